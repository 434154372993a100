"""`autograder grade`: the gradebook of serial `nbgrader autograde`, whatever happens on the way."""

import csv
import glob
import io
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import toycourse
from gradingruns import MARK, assert_same, gradebook, pythonpath, run, start, timings
from rich.console import Console
from sqlalchemy import create_engine, text
from toycourse import nbgrader, scores, submit, write_submission

from autograder import worker
from autograder.errors import CourseError
from autograder.grade import Plan, Report, grade_class, shown
from autograder.gradebook import PATIENCE
from autograder.journal import Journal, keep_timings, locked
from autograder.worker import Graded, log_name

slow = pytest.mark.slow
ODD = "Ana María 山田, #1 & 'co' %s {0}"
KILLS = 25


# -- a class, and commands on it ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy class before it is graded."""
    course = toycourse.lay_out(tmp_path_factory.mktemp("class") / "course")
    nbgrader(course, "generate_assignment", "toy")
    for student in ("right", "late", ODD):
        submit(course, student)
    (course / "submitted" / "late" / "toy" / "timestamp.txt").write_text("2026-04-01 12:00:00 UTC")
    stub = nbformat.read(course / "release" / "toy" / "toy.ipynb", as_version=4)
    write_submission(course, "blank", nbformat.writes(stub))
    submit(course, "mistaken", double="def double(x):\n    return x.square()")
    submit(course, "slow", quadruple="import time\ndef quadruple(x):\n    time.sleep(0.4)\n    return 4 * x")
    submit(course, "kills", toy_choice="toy_choice = 'b'\nimport os\nos.kill(os.getpid(), 9)")
    write_submission(course, "not_json", "{this is not JSON")
    return course


STUDENTS = {"right", "late", ODD, "blank", "mistaken", "slow", "kills", "not_json"}


@pytest.fixture(scope="module")
def serial(handed_in: Path) -> Path:
    """The class after serial `nbgrader autograde`."""
    course = _copy(handed_in, "serial")
    nbgrader(course, "autograde", "toy")
    return course


@pytest.fixture
def course(handed_in: Path) -> Path:
    """A fresh copy of the class."""
    return _copy(handed_in, uuid.uuid4().hex)


def _copy(course: Path, name: str) -> Path:
    return Path(shutil.copytree(course, course.parent / name))


def _only(course: Path, *students: str) -> Path:
    for folder in (course / "submitted").iterdir():
        if folder.name not in students:
            shutil.rmtree(folder)
    return course


def grade(course: Path, **options: Any) -> tuple[int, str]:
    """Grade in this process; returns the status and what was printed."""
    console = Console(file=io.StringIO(), width=200)
    status = grade_class(course, options.pop("assignment", "toy"), console, **options)
    return status, console.file.getvalue()  # type: ignore[attr-defined]


def assert_timed_once(course: Path, students: set[str] = STUDENTS) -> None:
    """A row for each exercise of each submission, with the score that the gradebook has."""
    rows = timings(course)
    told = Counter((row["student"], row["exercise"]) for row in rows)
    assert told == Counter((student, exercise) for student in students for exercise in scores(course)[student])
    assert {(r["student"], r["exercise"]): float(r["score"]) for r in rows} == {
        (student, exercise): score for student in students for exercise, score in scores(course)[student].items()
    }
    assert all(float(row["seconds"]) >= 0 and float(row["points"]) > 0 for row in rows)


def journal(course: Path) -> list[dict[str, Any]]:
    path = course / "grading" / "toy" / "journal.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _done(course: Path) -> int:
    return sum("done" in entry for entry in journal(course))


def _inode(course: Path) -> int:
    path = course / "grading" / "toy" / "journal.jsonl"
    return path.stat().st_ino if path.exists() else 0


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def processes(mark: str) -> list[int]:
    """The processes of a run: all that were started with its mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}\0".encode() in (folder / "environ").read_bytes() and " Z " not in _stat(folder):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _stat(folder: Path) -> str:
    return (folder / "stat").read_text().rpartition(")")[2][:3]


def workers(parent: int) -> list[int]:
    """The processes that grade: forked from the command, so that their command line is its own."""
    command = Path(f"/proc/{parent}/cmdline").read_bytes()
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children if Path(f"/proc/{child}/cmdline").read_bytes() == command]


# -- as serial nbgrader ------------------------------------------------------------------------------------------------


@slow
def test_the_gradebook_is_that_of_serial_nbgrader(course: Path, serial: Path) -> None:
    said = run(course, "--jobs", "2")
    assert_same(course, serial)
    assert_timed_once(course)
    assert "8 of 8" in said
    assert all(f"{shown(student)} " in said for student in STUDENTS)
    assert "right" in said
    assert "6 of 6" in said
    logs = course / "grading" / "toy" / "log"
    assert {path.name for path in logs.iterdir()} == {"workers.log", *map(log_name, STUDENTS)}
    assert "double: 0 of 2 points" in (logs / "mistaken.log").read_text(encoding="utf-8")

    before = gradebook(course)
    assert "Nothing to do: 8 submissions" in run(course)
    assert gradebook(course) == before
    assert_timed_once(course)


@slow
def test_the_same_submission_gets_the_same_whatever_the_threads(
    course: Path, serial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "3")
    nbgrader(course, "autograde", "toy")
    assert_same(course, serial)


@slow
@pytest.mark.skipif(sys.platform != "linux", reason="spawn is what other systems have anyway")
def test_workers_that_are_spawned_grade_too(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "START_METHOD", "spawn")
    monkeypatch.setenv("PYTHONPATH", pythonpath(course))
    status, said = grade(_only(course, "mistaken"), jobs=1)
    assert (status, scores(course)["mistaken"]["quadruple"]) == (0, 3.0), said


# -- which submissions ------------------------------------------------------------------------------------------------


@slow
def test_who_is_graded_again(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", pythonpath(course))
    _only(course, "right", "late", ODD)
    status, said = grade(course, students=[ODD, "late"], jobs=1)
    assert (status, set(scores(course))) == (0, {ODD, "late"}), said
    assert "Graded 2 of 2" in said

    stamps = {path: path.stat().st_mtime_ns for path in (course / "autograded").rglob("*.ipynb")}
    (course / "submitted" / "late" / "toy" / "timestamp.txt").write_text("2026-04-02 12:00:00 UTC")
    submit(course, "late", double="")
    status, said = grade(course, jobs=1)  # the new one, and the one that was handed in anew
    assert (status, scores(course)["late"]["double"]) == (0, 0.0), said
    assert "Graded 2 of 2" in said
    assert "1 were graded before" in said
    kept = course / "autograded" / ODD / "toy" / "toy.ipynb"
    assert kept.stat().st_mtime_ns == stamps[kept]
    assert_timed_once(course, {"right", "late", ODD})

    status, said = grade(course, students=["right"], force=True, jobs=1)
    assert "Graded 1 of 1" in said
    assert_timed_once(course, {"right", "late", ODD})


@slow
def test_what_cannot_be_graded_is_set_aside_or_fails_and_stops_nobody(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", pythonpath(course))
    _only(course, "right")
    for name in ("pat*tern", "line\nbreak"):
        shutil.copytree(course / "submitted" / "right", course / "submitted" / name)
    (course / "submitted" / "linked" / "toy").mkdir(parents=True)
    (course / "submitted" / "linked" / "toy" / "toy.ipynb").symlink_to("/etc/passwd")
    (course / "submitted" / "a_file").write_text("")
    # nbgrader cannot write where a file is in the way of its folder
    shutil.copytree(course / "submitted" / "right", course / "submitted" / "in_the_way")
    (course / "autograded").mkdir()
    (course / "autograded" / "in_the_way").write_text("")
    status, said = grade(course, jobs=1)
    assert status == 1
    assert scores(course)["right"] == {"double": 2.0, "quadruple": 3.0, "toy_choice": 1.0}
    assert set(scores(course)) <= {"right", "in_the_way"}
    assert "in_the_way: not graded" not in said, "the student comes in a column of its own"
    assert "not graded: FileExistsError" in said or "not graded: NotADirectoryError" in said
    for part in ("pat*tern", "line\\nbreak", "is a symbolic link", "a_file is no folder"):
        assert part in said
    assert_timed_once(course, {"right"})

    (course / "autograded" / "in_the_way").unlink()
    status, said = grade(course, jobs=1)
    assert (status, "Graded 1 of 1" in said) == (0, True), said
    assert_timed_once(course, {"right", "in_the_way"})


# -- killed, stopped, interrupted -------------------------------------------------------------------------------------


@slow
@pytest.mark.timeout(1800)
def test_killed_at_any_moment_it_goes_on_and_loses_nothing(course: Path, serial: Path) -> None:
    seed = int(os.environ.get("AUTOGRADER_TEST_SEED", time.time_ns() % 2**32))
    print(f"AUTOGRADER_TEST_SEED={seed}")
    drawn, mark, arguments = random.Random(seed), uuid.uuid4().hex, []
    start_up, killed, left = 5.0, 0, []
    while killed < KILLS:
        began, before = time.monotonic(), _inode(course)
        process = start(course, "--jobs", "2", *arguments, mark=mark)
        # every other time while it starts; else after so many more submissions, in the middle of the next ones
        done = None if killed % 2 else drawn.randrange(4)
        if done is not None:
            wait_for(lambda: _inode(course) != before or process.poll() is not None)  # noqa: B023
            start_up = time.monotonic() - began
            wait_for(lambda: _done(course) >= done or process.poll() is not None)  # noqa: B023
        try:
            said, _ = process.communicate(
                timeout=drawn.uniform(0, 1) if done is not None else drawn.uniform(0.3, start_up)
            )
            assert process.returncode == 0, said
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
            left.append(len(journal(course)))
        # begun afresh when it had ended, or was killed before it began its own journal
        arguments = ["--force"] if {"end": True} in journal(course) else []
    print(f"killed {killed} times, with this many lines in the journal: {left}")
    assert len(set(left)) > 4, "the moments were spread over the run"
    run(course, *arguments, mark=mark)
    assert_same(course, serial)
    assert_timed_once(course)
    assert journal(course)[-1] == {"end": True}
    wait_for(lambda: not processes(mark), 20)
    scratch = json.loads((course / "grading" / "lock").read_text())["scratch"]
    assert not Path(scratch).exists()


@slow
def test_a_second_run_is_told_who_holds_the_lock_and_ctrl_c_stops_at_once(course: Path, serial: Path) -> None:
    mark = uuid.uuid4().hex
    first = start(course, "--jobs", "2", mark=mark)
    wait_for(lambda: any("done" in entry for entry in journal(course)))
    with pytest.raises(CourseError, match=rf"process {first.pid} on {os.uname().nodename}, since 20\d\d-"):
        grade(course)

    assert len(processes(mark)) >= 3
    os.killpg(first.pid, signal.SIGINT)
    asked = time.monotonic()
    said, _ = first.communicate(timeout=60)
    assert time.monotonic() - asked < 8
    done = _done(course)
    assert first.returncode == 130, said
    assert f"Stopped: {done} of 8 are graded; the same command goes on." in said
    assert "Traceback" not in said
    wait_for(lambda: not processes(mark), 10)

    with (course / "grading" / "toy" / "journal.jsonl").open("a") as stream:
        stream.write('{"done": "slo')  # as a full disk or a power cut leaves it
    said = run(course, "--resume")
    assert f"Going on with the run that was interrupted: {done} of 8 are done." in said
    assert f"Graded {8 - done} of {8 - done}" in said
    assert_same(course, serial)
    assert_timed_once(course)
    assert "there is no interrupted run of toy" in " ".join(run(course, "--resume", status=1).split())


@slow
def test_what_a_killed_worker_had_is_tried_once_more(course: Path, serial: Path) -> None:
    _only(course, "late", "mistaken", "right")
    mark = uuid.uuid4().hex
    process = start(course, "--jobs", "1", mark=mark)
    for student, count in (("late", 1), ("mistaken", 1), ("mistaken", 2)):
        wait_for(lambda: sum(entry.get("begin") == student for entry in journal(course)) == count)  # noqa: B023
        (grading,) = wait_for(lambda: workers(process.pid))
        os.kill(grading, signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert said.count("was ended by SIGKILL (often: too little memory); it is tried again at the end") == 2
    assert "was ended by SIGKILL (often: too little memory), and so did a second one" in said
    assert "Graded 2 of 3" in said
    assert scores(course)["late"] == scores(serial)["late"]
    assert scores(course)["right"] == scores(serial)["right"]
    wait_for(lambda: not processes(mark), 10)
    assert_timed_once(course, {"late", "right"})

    assert "Graded 1 of 1" in run(course)
    for student in ("late", "mistaken", "right"):
        assert scores(course)[student] == scores(serial)[student]
    assert_timed_once(course, {"late", "mistaken", "right"})


@slow
def test_a_gradebook_that_another_program_locks_is_waited_for(course: Path) -> None:
    other = _copy(_only(course, "right"), f"{course.name}-plain")
    held = [sqlite3.connect(each / "gradebook.db", isolation_level=None) for each in (course, other)]
    for connection in held:
        connection.execute("BEGIN EXCLUSIVE")
    ours = start(course)
    environment = {**os.environ, "PYTHONPATH": pythonpath(other)}
    command = [sys.executable, "-m", "nbgrader", "autograde", "toy"]
    pipe = subprocess.PIPE
    plain = subprocess.Popen(command, cwd=other, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    time.sleep(15)  # sqlite3 gives up after 5 s, and the commands take some to get there
    assert ours.poll() is plain.poll() is None
    for connection in held:
        connection.execute("ROLLBACK")
        connection.close()
    for process in (ours, plain):
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert scores(course) == scores(other) == {"right": {"double": 2.0, "quadruple": 3.0, "toy_choice": 1.0}}


def test_each_connection_to_a_gradebook_waits(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'gradebook.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == PATIENCE
    engine.dispose()


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with one submission, which no test here grades."""
    course = toycourse.lay_out(tmp_path_factory.mktemp("small"))
    nbgrader(course, "generate_assignment", "toy")
    submit(course, "right")
    return course


def _tree(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if "__pycache__" not in p.parts and p.is_file()}


@slow
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"students": ["../right"]}, "'../right' is not a student id"),
        ({"students": ["a/b"]}, "'a/b' is not a student id"),
        ({"students": ["/etc"]}, "'/etc' is not a student id"),
        ({"students": [""]}, "'' is not a student id"),
        ({"students": ["."]}, "'.' is not a student id"),
        ({"students": ["right,"]}, "'' is not a student id"),
        ({"students": ["nobody"]}, "no submission of 'nobody' for toy"),
        ({"assignment": "../toy"}, "not the name of an assignment"),
        ({"assignment": ""}, "not the name of an assignment"),
        ({"assignment": "a+b"}, "not the name of an assignment"),
        ({"assignment": "other"}, "run `nbgrader generate_assignment other` first"),
        ({"resume": True, "force": True}, "leave out --force"),
    ],
)
def test_bad_input_gets_one_sentence_before_anything_is_written(
    small: Path, options: dict[str, Any], says: str
) -> None:
    before = _tree(small)
    with pytest.raises(CourseError) as told:
        grade(small, **options)
    assert says in str(told.value)
    assert "\n" not in str(told.value)
    assert _tree(small) == before


@slow
def test_a_course_that_is_not_ready_gets_one_sentence(small: Path, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=r"nbgrader_config\.py is not in .* --root"):
        grade(tmp_path)
    course = _copy(small, f"{small.name}-damaged")
    with pytest.raises(CourseError, match="there is no interrupted run of toy to go on with"):
        grade(course, resume=True)
    _only(course)
    with pytest.raises(CourseError, match=r"there are no submissions at .*submitted"):
        grade(course)
    (course / "gradebook.db").unlink()
    with pytest.raises(CourseError, match="run `nbgrader generate_assignment toy` first"):
        grade(course)
    assert not (course / "gradebook.db").exists()
    (course / "nbgrader_config.py").write_text("c = get_config(")
    with pytest.raises(CourseError, match=r"configuration of the course in .* cannot be read: SyntaxError"):
        grade(course)


@slow
def test_a_fault_in_an_exercise_file_is_told_once_and_the_interrupted_run_is_kept(small: Path) -> None:
    course = _copy(small, f"{small.name}-faulty")
    log = Journal(course / "grading" / "toy")
    log.folder.mkdir(parents=True)
    log.start(["right"], [], ["right"])
    log.begin("right")
    log.close()
    before = log.path.read_text()
    (course / "solutions" / "toy" / "double.py").write_text("def double(x:\n")
    with pytest.raises(CourseError, match=r"double\.py"):
        grade(course, jobs=1)
    assert log.path.read_text() == before
    assert not (course / "autograded").exists()


# -- the parts --------------------------------------------------------------------------------------------------------


def test_the_journal_knows_what_is_due(tmp_path: Path) -> None:
    log = Journal(tmp_path)
    assert log.read().ended
    log.start(["a", "b", "c", "é\u2028"], finished=["a"], must=["b", "z"])
    log.begin("b")
    log.done("b", 1, 2, 3.0, [{"exercise": "x"}])
    log.begin("c")
    log.close()
    with log.path.open("ab") as stream:
        stream.write('{"done": "c", "timings": [], "x": "é'.encode()[:-1])
    past = log.read()
    assert not past.ended
    assert past.graded == {"a", "b"}
    assert past.due == {"c", "z"}
    assert past.students == ["a", "b", "c", "é\u2028"]
    assert past.done == {"b": [{"exercise": "x"}]}


@pytest.mark.parametrize("text", ["", "\n", "[]\n", "{}\n", '{"plan": 1}\n', '{"plan": [], "finished": 3}\n', "\0\0"])
def test_a_journal_that_is_none_counts_as_none(tmp_path: Path, text: str) -> None:
    log = Journal(tmp_path)
    log.path.write_text(text)
    assert log.read().ended
    assert log.read().due == set()


def test_timings_are_replaced_and_never_doubled(tmp_path: Path) -> None:
    def row(exercise: str, seconds: float) -> dict[str, Any]:
        return {"notebook": "n", "exercise": exercise, "seconds": seconds, "score": 1, "points": 2, "assignment": "toy"}

    keep_timings(tmp_path, {ODD: [row("x", 1), row("y", 1)], "b": [row("x", 1)]})
    path = keep_timings(tmp_path, {ODD: [row("x", 2)]})
    with path.open(encoding="utf-8", newline="") as stream:
        told = list(csv.DictReader(stream))
    assert [(r["student"], r["exercise"], r["seconds"]) for r in told] == [(ODD, "x", "2"), ("b", "x", "1")]
    assert [p.name for p in tmp_path.iterdir()] == ["timings.csv"]


def test_what_a_killed_run_left_behind_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    with locked(tmp_path) as scratch:
        assert scratch.is_dir()
        assert scratch.stat().st_mode & 0o777 == 0o711
    assert not scratch.exists()
    scratch.mkdir()
    precious = tmp_path / "precious"
    precious.mkdir()
    with locked(tmp_path):
        assert not scratch.exists()
    (tmp_path / "lock").write_text(json.dumps({"host": os.uname().nodename, "scratch": str(precious)}))
    with locked(tmp_path):
        assert precious.exists()


@slow
def test_a_full_disk_is_told_in_one_sentence(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "grading/toy/journal.jsonl")

    monkeypatch.setattr("autograder.grade.Journal.read", full)
    with pytest.raises(CourseError, match=r"journal\.jsonl: No space left on device: .* nothing is lost"):
        grade(small)


@pytest.mark.parametrize("student", ["a", " a ", "  ", "a[1]", "*", "日本　", "\ta"])
def test_a_pattern_matches_its_student_only(student: str, tmp_path: Path) -> None:
    for name in ("a", " a", "a ", " a ", "  ", "a[1]", "a1", "*", "日本", "日本　", "\ta"):
        (tmp_path / name).mkdir()
    pattern = worker.pattern(student)
    assert pattern == pattern.strip(), "nbgrader strips it"
    assert [Path(path).name for path in glob.glob(f"{tmp_path}/{pattern}")] == [student]


def test_logs_have_names_of_their_own() -> None:
    students = ["a", "a ", "a/b", "a_b", "workers", "é" * 200, "é" * 201, "..", "a\nb", ODD, "x" * 250]
    names = [log_name(student) for student in students]
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) < 255 and "/" not in name and "\n" not in name for name in names)
    assert names[0] == "a.log"
    assert "workers.log" not in names


def test_what_is_shown_moves_no_cursor() -> None:
    assert shown("a\x1b[2Jb\nc\u202ed\u2028\udc80") == "a�[2Jb�c�d��"
    assert shown(ODD) == ODD


def test_a_terminal_gets_a_bar_with_count_rate_and_time_left() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    report = Report(console, Plan(["s[1]", "s2"], [], {}, set(), 0))
    report.finished(Graded("s[1]", 1.5, 2.25, 6.0))
    report.tick()
    report.close()
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "s[1]  2.25 of 6  1.5 s" in said
    assert "1/2" in said
    assert "/min" in said
    assert "left:" in said
