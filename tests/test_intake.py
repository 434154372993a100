"""What cannot be handed to nbgrader is set aside with a sentence: alone, and in runs of plain `nbgrader autograde`."""

import gc
import glob
import logging
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import toycourse
from hypothesis import given
from hypothesis import strategies as st
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from toycourse import nbgrader, scores, submit

from autograder.errors import CourseError
from autograder.intake import Limits, check_request, expected_notebooks, faults, set_aside

NOBODY = 65534
RIGHT = {"double": 2.0, "quadruple": 3.0, "toy_choice": 1.0}
SECRET = "SECRET-5b1e: the root password"


# -- one folder ------------------------------------------------------------------------------------------------------


def _submission(root: Path, student: str = "eve") -> Path:
    folder = root / "submitted" / student / "toy"
    folder.mkdir(parents=True)
    (folder / "toy.ipynb").write_text("{}")
    (folder / "data").mkdir()
    (folder / "data" / "notes.txt").write_text("mine")
    return folder


def _link(folder: Path) -> None:
    (folder / "notes.txt").symlink_to("/etc/passwd")


def _dangling_link(folder: Path) -> None:
    (folder / "data" / "gone").symlink_to("/nowhere/at/all")


def _linked_folder_inside(folder: Path) -> None:
    (folder / "etc").symlink_to("/etc")


def _linked_notebook(folder: Path) -> None:
    (folder / "toy.ipynb").rename(folder / "other.ipynb")
    (folder / "toy.ipynb").symlink_to("other.ipynb")


def _linked_folder(folder: Path) -> None:
    folder.rename(folder.with_name("real"))
    folder.symlink_to("real")


def _linked_student(folder: Path) -> None:
    folder.parent.rename(folder.parent.with_name("real"))
    folder.parent.symlink_to("real")


def _hard_link(folder: Path) -> None:
    os.link(folder / "data" / "notes.txt", folder.parent / "second name")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def _pipe_for_a_notebook(folder: Path) -> None:
    (folder / "toy.ipynb").unlink()
    os.mkfifo(folder / "toy.ipynb")


def _pipe_for_a_timestamp(folder: Path) -> None:
    os.mkfifo(folder / "timestamp.txt")


def _socket(folder: Path) -> None:
    here = os.getcwd()
    os.chdir(folder)  # the name of a socket has 107 bytes at most
    with socket.socket(socket.AF_UNIX) as each:
        each.bind("s")
    os.chdir(here)


def _device(folder: Path) -> None:
    try:
        os.mknod(folder / "zero", 0o20666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("devices cannot be made here")


def _many_files(folder: Path) -> None:
    for number in range(10_000):
        (folder / "data" / f"{number}.txt").touch()


def _many_folders(folder: Path) -> None:
    for number in range(1_100):
        (folder / "data" / str(number)).mkdir()


def _sparse(folder: Path) -> None:
    with (folder / "zeros.bin").open("wb") as stream:
        stream.truncate(2 * 10**9)


def _large_notebook(folder: Path) -> None:
    with (folder / "toy.ipynb").open("wb") as stream:
        stream.truncate(101 * 10**6)


def _file_for_a_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("toy")


def _file_for_a_student(folder: Path) -> None:
    shutil.rmtree(folder.parent)
    folder.parent.write_text("toy")


def _nothing(folder: Path) -> None:
    shutil.rmtree(folder)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _other_names(folder: Path) -> None:
    (folder / "toy.ipynb").rename(folder / "Toy.ipynb")
    (folder / "toy (1).ipynb").write_text("{}")


def _timestamp(content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "timestamp.txt").write_bytes(content) and None


def _folder_for_a_timestamp(folder: Path) -> None:
    (folder / "timestamp.txt").mkdir()


FAULTY: list[tuple[Callable[[Path], None], str]] = [
    (_link, "submitted/eve/toy/notes.txt is a symbolic link"),
    (_dangling_link, "submitted/eve/toy/data/gone is a symbolic link"),
    (_linked_folder_inside, "submitted/eve/toy/etc is a symbolic link"),
    (_linked_notebook, "submitted/eve/toy/toy.ipynb is a symbolic link"),
    (_linked_folder, "submitted/eve/toy is a symbolic link"),
    (_linked_student, "submitted/eve is a symbolic link"),
    (_hard_link, "submitted/eve/toy/data/notes.txt is a hard link"),
    (_pipe, "submitted/eve/toy/pipe is a pipe"),
    (_pipe_for_a_notebook, "submitted/eve/toy/toy.ipynb is a pipe"),
    (_pipe_for_a_timestamp, "submitted/eve/toy/timestamp.txt is a pipe"),
    (_socket, "submitted/eve/toy/s is a socket"),
    (_device, "submitted/eve/toy/zero is a device"),
    (_many_files, "holds more than 1,000 files and folders"),
    (_many_folders, "holds more than 1,000 files and folders"),
    (_sparse, "holds more than 500 MB"),
    (_large_notebook, "toy.ipynb is larger than 100 MB"),
    (_file_for_a_folder, "submitted/eve/toy is no folder"),
    (_file_for_a_student, "submitted/eve is no folder"),
    (_nothing, "submitted/eve/toy cannot be read (No such file or directory)"),
    (_empty, "submitted/eve/toy holds no notebook (toy.ipynb is expected)"),
    (_other_names, "submitted/eve/toy holds Toy.ipynb, toy (1).ipynb, and not toy.ipynb"),
    (_timestamp(b"yesterday, I think"), "timestamp.txt holds no date (yesterday, I think)"),
    (_timestamp(b"2026-13-45 10:00:00 UTC"), "timestamp.txt holds no date"),
    (_timestamp(b"99999999999999999999"), "timestamp.txt holds no date"),
    (_timestamp(b"2026-04-01 10:00:00" + b" " * 5000 + b"UTC"), "timestamp.txt holds no date"),
    (_timestamp(b"\xff\xfe2\x000\x00"), "timestamp.txt is not text in UTF-8"),
    (_folder_for_a_timestamp, "timestamp.txt is a folder"),
]


def test_a_sound_submission_has_no_fault(tmp_path: Path) -> None:
    folder = _submission(tmp_path)
    assert faults(folder, ["toy"]) is None
    for text in ("2026-04-01 10:00:00.123456 UTC", "2026-04-01 10:00:00 Asia/Tokyo", "2026-04-01T10:00:00+09:00", ""):
        (folder / "timestamp.txt").write_text(text)
        assert faults(folder, ["toy"]) is None
    (folder / "two\nlines.txt").write_text("a name that nbgrader can copy")
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("so is this")
    assert faults(folder, ["other", "toy"]) is None
    (folder / "toy.ipynb").unlink()
    (folder / "toy.ipynb").mkdir()  # graded as a notebook that cannot be read
    assert faults(folder, ["toy"]) is None


@pytest.mark.parametrize(("damage", "says"), FAULTY)
def test_a_fault_is_one_sentence(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    folder = _submission(tmp_path)
    damage(folder)
    said = faults(folder, ["toy"])
    assert said is not None
    assert says in said
    assert "run autograde again" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("student", "says"),
    [
        ("new\nline", "new\\nline/toy: nbgrader cannot deal with a line break"),
        ("return\r", "a line break"),
        ("bell\a", "the character \\x07"),
        (os.fsdecode(b"caf\xe9"), "the character \\udce9"),
        ("*", "the character *"),
        ("a[b]", "the character ["),
        ("who?", "the character ?"),
    ],
)
def test_a_name_that_breaks_nbgrader_is_told(tmp_path: Path, student: str, says: str) -> None:
    said = faults(_submission(tmp_path, student), ["toy"])
    assert said is not None
    assert says in said
    assert said.isprintable()


@pytest.mark.parametrize("student", ["山田　太郎", "O'Neil, Jo", "a b", "50%", "{student_id}", "-x", "#1"])
def test_unusual_names_are_fine(tmp_path: Path, student: str) -> None:
    assert faults(_submission(tmp_path, student), ["toy"]) is None


@given(name=st.text(max_size=300), inside=st.text(max_size=300))
def test_no_name_makes_it_raise(tmp_path_factory: pytest.TempPathFactory, name: str, inside: str) -> None:
    said = faults(Path(os.fspath(tmp_path_factory.getbasetemp()), "submitted", name, inside), ["toy"], given=[inside])
    assert said is None or "\n" not in said


def test_limits_are_the_configurations(tmp_path: Path) -> None:
    folder = _submission(tmp_path)
    assert "more than 2 files" in str(faults(folder, ["toy"], Limits(files=2)))
    assert "more than 0 MB" in str(faults(folder, ["toy"], Limits(megabytes=0)))
    assert "larger than 0 MB" in str(faults(folder, ["toy"], Limits(notebook_megabytes=0)))


def test_a_file_where_the_assignment_has_a_folder_and_the_other_way_round(tmp_path: Path) -> None:
    folder = _submission(tmp_path)
    assert "notes.txt is a file where the assignment has a folder" in str(
        faults(folder, ["toy"], given=["data/notes.txt/a.csv"])
    )
    assert "toy/data is a folder where the assignment has a file" in str(faults(folder, ["toy"], given=["data"]))
    assert faults(folder, ["toy"], given=["data/notes.txt", "more/a.csv"]) is None


@pytest.mark.parametrize("place", ["data/notes.txt", "toy.ipynb", "data"])
def test_what_cannot_be_read_is_told(tmp_path: Path, place: str) -> None:
    folder = _submission(tmp_path)
    (folder / place).chmod(0)
    said = _as_nobody(lambda: faults(folder, ["toy"]), tmp_path)
    assert said.startswith(f"submitted/eve/toy/{place} cannot be read (Permission denied)")
    (folder / place).chmod(0o755)
    assert _as_nobody(lambda: faults(folder, ["toy"]), tmp_path) == "None"


def _as_nobody(work: Callable[[], object], folder: Path) -> str:
    """What `work` gives, as text, in a child that is not root: root may read everything."""
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.getuid() and each != Path(each.root):
            each.chmod(each.stat().st_mode | 0o055)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(writing, str(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as stream:
        return stream.read().decode()


def test_nothing_is_read_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, opened = _submission(tmp_path), []
    _link(folder)
    _linked_folder_inside(folder)
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: (opened.append(path), real(path, *rest))[1])
    assert "symbolic link" in str(faults(folder, ["toy"], Limits(files=100_000)))
    assert all(path.startswith(str(folder)) and not Path(path).is_symlink() for path in opened)


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".", "", "/etc", "a\\b", "a\0b"])
def test_a_request_that_is_a_path_is_refused(name: str) -> None:
    folders = {"source_directory": "source", "submitted_directory": "submitted"}
    check_request(SimpleNamespace(assignment_id="toy", student_id="*", **folders))
    for changed in ({"assignment_id": name, "student_id": "*"}, {"assignment_id": "toy", "student_id": name}):
        with pytest.raises(CourseError, match="give the name of a folder in"):
            check_request(SimpleNamespace(**changed, **folders))


def test_a_gradebook_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gradebook.db"
    about = {"assignment_id": "toy", "notebook_id": "*", "course_id": "c", "root": str(tmp_path)}
    course = SimpleNamespace(**about, db_url=f"sqlite:///{path}")
    with pytest.raises(CourseError, match="run `nbgrader generate_assignment toy` first"):
        expected_notebooks(course)
    assert not path.exists()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(CourseError, match="The gradebook cannot be used"):
        expected_notebooks(course)


class _Converter:
    """What `set_aside` needs of nbgrader's Autograde."""

    def __init__(self, root: Path, log: logging.Logger, **changes: str) -> None:
        self.coursedir = CourseDirectory(root=str(root), assignment_id="toy", **changes)
        self.log, self.exclude_overwriting = log, {}
        names = glob.glob(str(root / "submitted" / "*" / "toy"))
        self.assignments = {name: found for name in names if (found := glob.glob(f"{name}/*.ipynb"))}


def test_the_list_comes_once_a_run_when_the_run_is_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as gradebook:
        gradebook.add_assignment("toy")
        gradebook.add_notebook("toy", "toy")
    _submission(tmp_path, "good")
    _link(_submission(tmp_path, "eve"))
    _empty(_submission(tmp_path, "none"))
    log = logging.getLogger("test_intake")
    for number in (1, 2):
        converter = _Converter(tmp_path, log)
        set_aside(converter, Limits())
        assert list(converter.assignments) == [str(tmp_path / "submitted" / "good" / "toy")]
        assert caplog.text.count("Set aside: submitted/eve/toy/notes.txt is a symbolic link") == number
        assert caplog.text.count("Set aside: submitted/none/toy holds no notebook") == number
        assert caplog.text.count("2 of 3 submissions were set aside") == number - 1
        del converter
        gc.collect()
        assert caplog.text.count("2 of 3 submissions were set aside") == number
    excluding = _Converter(tmp_path, log, student_id_exclude="eve,none")
    set_aside(excluding, Limits())
    del excluding
    gc.collect()
    assert caplog.text.count("were set aside") == 2
    with pytest.raises(CourseError, match="toy has no notebook 'other'"):
        set_aside(_Converter(tmp_path, log, notebook_id="other"), Limits())


# -- runs of nbgrader ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    course = toycourse.lay_out(tmp_path_factory.mktemp("intake") / "course")
    nbgrader(course, "generate_assignment", "toy")
    return course


@pytest.fixture
def own(course: Path, tmp_path: Path) -> Path:
    """A copy of the generated course, without submissions."""
    return Path(shutil.copytree(course, tmp_path / "course", ignore=shutil.ignore_patterns("submitted")))


RUN_FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    damage.__name__.strip("_"): (damage, says)
    for damage, says in FAULTY
    if damage.__name__ not in ("<lambda>", "_linked_student", "_file_for_a_student", "_nothing", "_device")
}


@pytest.fixture(scope="module")
def sorted_out(course: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class of faulty submissions and two good ones after `autograde` and `generate_feedback`."""
    own = Path(shutil.copytree(course, tmp_path_factory.mktemp("run") / "course"))
    submit(own, "before")
    submit(own, "good")
    first = nbgrader(own, "autograde", "toy", "--student", "before")
    assert "Set aside" not in first
    secret = own.parent / "secret.txt"
    secret.write_text(SECRET)
    (own / "submitted" / "before" / "toy" / "key.txt").symlink_to(secret)
    (own / "submitted" / "before" / "toy" / "timestamp.txt").write_text("2030-01-01 00:00:00 UTC")
    for student, (damage, _) in RUN_FAULTS.items():
        submit(own, student)
        folder = own / "submitted" / student / "toy"
        (folder / "data").mkdir()
        (folder / "data" / "notes.txt").write_text("mine")
        damage(folder)
    for student in ("secret_link", "secret_name", "gradebook_link"):
        submit(own, student)
    (own / "submitted" / "secret_link" / "toy" / "notes.txt").symlink_to(secret)
    os.link(secret, own / "submitted" / "secret_name" / "toy" / "notes.txt")
    (own / "submitted" / "gradebook_link" / "toy" / "notes.txt").symlink_to(own / "gradebook.db")
    for student in ("new\nline", os.fsdecode(b"caf\xe9"), "*", "a[b"):
        submit(own, student)
    (own / "submitted" / "of_good").symlink_to("good")
    (own / "submitted" / "a_file").write_text("no folder")
    submit(own, "no_date")
    (own / "submitted" / "no_date" / "toy" / "timestamp.txt").write_text("soon")
    folder = own / "submitted" / "good" / "toy"
    (folder / "two\nlines.txt").write_text("handed in")
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("handed in")
    log = nbgrader(own, "autograde", "toy")
    (own / "autograde.log").write_text(log)
    (own / "feedback.log").write_text(nbgrader(own, "generate_feedback", "toy"))
    return own


SET_ASIDE = {
    **{student: says.replace("/eve/", f"/{student}/") for student, (_, says) in RUN_FAULTS.items()},
    "before": "submitted/before/toy/key.txt is a symbolic link",
    "secret_link": "submitted/secret_link/toy/notes.txt is a symbolic link",
    "secret_name": "submitted/secret_name/toy/notes.txt is a hard link",
    "gradebook_link": "submitted/gradebook_link/toy/notes.txt is a symbolic link",
    "newline": "submitted/new\\nline/toy: nbgrader cannot deal with a line break",
    "not_utf8": "submitted/caf\\udce9/toy: nbgrader cannot deal with the character",
    "star": "submitted/*/toy: nbgrader cannot deal with the character *",
    "bracket": "submitted/a[b/toy: nbgrader cannot deal with the character [",
    "of_good": "submitted/of_good is a symbolic link",
    "a_file": "submitted/a_file is no folder",
    "no_date": "timestamp.txt holds no date (soon)",
}


@pytest.mark.slow
@pytest.mark.parametrize("student", SET_ASIDE)
def test_each_is_told_at_once_and_again_at_the_end(sorted_out: Path, student: str) -> None:
    log = (sorted_out / "autograde.log").read_text()
    start, end = log.split("submissions were set aside")  # once
    graded = start.index("Autograding")
    assert SET_ASIDE[student] in start[:graded]
    assert SET_ASIDE[student] not in start[graded:]
    assert SET_ASIDE[student] in end


@pytest.mark.slow
def test_the_run_goes_on_and_ends_well(sorted_out: Path) -> None:
    log = (sorted_out / "autograde.log").read_text()
    assert "Traceback" not in log
    assert "Logging error" not in log
    assert f"{len(SET_ASIDE)} of {len(SET_ASIDE) + 1} submissions were set aside" in log
    assert log.index("Setting destination file permissions") < log.index("submissions were set aside")
    assert (sorted_out / "submitted" / "*" / "toy" / "toy.ipynb").exists()


@pytest.mark.slow
def test_nothing_is_recorded_or_written_for_them_and_earlier_grades_stay(sorted_out: Path) -> None:
    assert scores(sorted_out) == {"before": RIGHT, "good": RIGHT}
    assert {path.name for path in (sorted_out / "autograded").iterdir()} == {"before", "good"}
    assert not (sorted_out / "autograded" / "before" / "toy" / "key.txt").exists()
    assert (sorted_out / "autograded" / "before" / "toy" / "toy.ipynb").exists()


@pytest.mark.slow
def test_no_secret_goes_out(sorted_out: Path) -> None:
    for step in ("autograded", "feedback"):
        files = [path for path in (sorted_out / step).rglob("*") if path.is_file()]
        assert files
        for path in files:
            assert SECRET.encode() not in path.read_bytes(), path
            assert not path.read_bytes().startswith(b"SQLite"), path


@pytest.mark.slow
def test_stock_nbgrader_gives_the_secret_to_the_student(own: Path) -> None:
    """So the tests above have something to find."""
    submit(own, "eve")
    (own.parent / "secret.txt").write_text(SECRET)
    (own / "submitted" / "eve" / "toy" / "notes.txt").symlink_to(own.parent / "secret.txt")
    nbgrader(own, "autograde", "toy", "--Autograde.exporter_class=nbconvert.exporters.NotebookExporter")
    nbgrader(own, "generate_feedback", "toy")
    assert (own / "feedback" / "eve" / "toy" / "notes.txt").read_text() == SECRET


@pytest.mark.slow
def test_names_with_a_line_break_inside_a_submission_are_copied(sorted_out: Path) -> None:
    for step in ("autograded", "feedback"):
        for name in ("two\nlines.txt", os.fsdecode(b"caf\xe9.txt")):
            assert (sorted_out / step / "good" / "toy" / name).read_text() == "handed in"


@pytest.mark.slow
def test_a_run_of_one_that_is_set_aside_fails_with_a_sentence(sorted_out: Path) -> None:
    before = scores(sorted_out)
    for student in ("secret_link", "before", "other_names", "no_date"):
        log = nbgrader(sorted_out, "autograde", "toy", "--student", student, "--force", fails=True)
        assert log.count(SET_ASIDE[student]) == 1
        assert "Nothing was graded, since every submission was set aside" in log
        assert "Traceback" not in log
    log = nbgrader(sorted_out, "autograde", "toy", "--student", "empty", fails=True)  # nbgrader's own sentence
    assert "No notebooks were matched" in log
    assert "Traceback" not in log
    assert scores(sorted_out) == before
    assert (sorted_out / "autograded" / "before" / "toy" / "toy.ipynb").exists()


@pytest.mark.slow
def test_what_was_mended_is_graded_in_the_next_run(own: Path) -> None:
    submit(own, "eve")
    submit(own, "good")
    notes = own / "submitted" / "eve" / "toy" / "notes.txt"
    notes.symlink_to("/etc/passwd")
    nbgrader(own, "autograde", "toy")
    assert scores(own) == {"good": RIGHT}
    notes.unlink()
    assert "set aside" not in nbgrader(own, "autograde", "toy")
    assert scores(own) == {"good": RIGHT, "eve": RIGHT}


@pytest.mark.slow
def test_paths_in_place_of_names_are_refused(own: Path) -> None:
    submit(own, "good")
    shutil.copytree(own / "submitted" / "good", own / "elsewhere")
    shutil.copytree(own / "submitted" / "good" / "toy", own / "submitted" / "good" / "a" / "b")
    requests = [
        ("toy", "--student", "../elsewhere"),
        ("toy", "--student", "good/../good"),
        ("a/b",),
        ("../good/toy",),
        ("./toy",),
    ]
    for request in requests:
        log = nbgrader(own, "autograde", *request, fails=True)
        assert "give the name of a folder in" in log, request
        assert "Traceback" not in log
    assert scores(own) == {}
    assert not (own / "autograded").exists()


@pytest.mark.slow
def test_an_assignment_that_was_never_generated_is_told_once(own: Path) -> None:
    for student in ("ann", "bob", "cat"):
        submit(own, student)
        (own / "submitted" / student / "toy").rename(own / "submitted" / student / "toy2")
    log = nbgrader(own, "autograde", "toy2", fails=True)
    assert log.count("The gradebook has no assignment 'toy2': run `nbgrader generate_assignment toy2` first") == 1
    assert "Traceback" not in log
    assert "No assignment with ID" not in log
    (own / "gradebook.db").unlink()
    log = nbgrader(own, "autograde", "toy2", fails=True)
    assert log.count("run `nbgrader generate_assignment toy2` first") == 1
    assert not (own / "gradebook.db").exists()


# -- no room on the disk ---------------------------------------------------------------------------------------------


@pytest.fixture
def mount() -> Iterator[Callable[[Path, str], None]]:
    """Mounts a small file system over a folder for the time of a test."""
    mounted: list[Path] = []

    def do(folder: Path, size: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("a small file system cannot be mounted here: this needs root and the right to mount")
        mounted.append(folder)

    yield do
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


NO_MARGIN = "--SubmissionExporter.min_free_megabytes=0"


def _partly(path: Path) -> list[str]:
    return sorted(str(each.relative_to(path)) for each in path.rglob("*") if each.is_file())


@pytest.mark.slow
def test_a_run_does_not_begin_without_room(own: Path, mount: Callable[[Path, str], None]) -> None:
    submit(own, "good")
    (own / "autograded").mkdir()
    mount(own / "autograded", "1m")
    log = nbgrader(own, "autograde", "toy", fails=True)
    assert log.count(f"No room on the disk of {own / 'autograded'}: 1 MB are free, 64 MB are wanted") == 1
    assert "Traceback" not in log
    assert scores(own) == {}
    assert _partly(own / "autograded") == []


@pytest.mark.slow
def test_a_disk_that_gets_full_costs_only_those_it_has_no_room_for(
    own: Path, mount: Callable[[Path, str], None]
) -> None:
    large = "print('x' * 400_000)\ndef double(x):\n    return x + x"
    submit(own, "a_first")
    submit(own, "copies")
    (own / "submitted" / "copies" / "toy" / "data.bin").write_bytes(bytes(2_000_000))
    submit(own, "prints", double=large)
    submit(own, "writes", double=f"note = '{'x' * 400_000}'")
    submit(own, "z_last")
    (own / "autograded").mkdir()
    mount(own / "autograded", "256k")
    log = nbgrader(own, "autograde", "toy", NO_MARGIN, fails=True)
    assert "Traceback" not in log
    assert log.count("The disk had no room for the autograded copy") == 3
    for student in ("copies", "prints", "writes"):
        assert f"There was an error processing assignment 'toy' for student '{student}'" in log
    kept = _partly(own / "autograded")
    assert kept == ["a_first/toy/toy.ipynb", "z_last/toy/toy.ipynb"]
    for place in kept:
        nbformat.read(own / "autograded" / place, as_version=4)  # whole
    got = scores(own)
    assert got["a_first"] == got["z_last"] == RIGHT
    assert set(got["writes"].values()) == {None}  # nothing was computed, nothing is said
    assert got["prints"] == RIGHT  # computed; the next run makes the copy
    subprocess.run(["mount", "-o", "remount,size=20m", str(own / "autograded")], check=True)
    nbgrader(own, "autograde", "toy", NO_MARGIN)
    assert scores(own) == dict.fromkeys(("a_first", "copies", "prints", "z_last"), RIGHT) | {
        "writes": {**RIGHT, "double": 0.0}
    }


@pytest.mark.slow
def test_a_gradebook_without_room_is_told_and_nothing_is_recorded(
    own: Path, mount: Callable[[Path, str], None]
) -> None:
    place = own.parent / "small"
    place.mkdir()
    mount(place, "8m")
    small = Path(shutil.copytree(own, place / "course"))
    submit(small, "ann")
    submit(small, "bob")
    filler = place / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(4096)):
                pass
        except OSError:
            pass
    log = nbgrader(small, "autograde", "toy", NO_MARGIN, fails=True)
    assert "Traceback" not in log
    assert log.count("(database or disk is full): make room on its disk and run autograde again") == 2  # ann, bob
    assert not (small / "autograded").exists() or _partly(small / "autograded") == []
    assert all(set(each.values()) <= {None} for each in scores(small).values())
    filler.unlink()
    nbgrader(small, "autograde", "toy", NO_MARGIN)
    assert scores(small) == {"ann": RIGHT, "bob": RIGHT}
