"""A class of attackers, graded by plain nbgrader: no marks gained, nothing leaked, nobody else harmed."""

import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attacks
import attacks_judging  # noqa: F401 (it fills ATTACKS, as the next does)
import attacks_machine  # noqa: F401
import nbformat
import pytest
import toycourse
from attacks import ATTACKS, GOT, RAN, RIGHT, Attack

from autograder.examiner import Exam
from autograder.kernels.sandbox import PROTECTIONS, Sandbox
from autograder.key import Key
from autograder.solutions import load_chapter

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(Sandbox(required=list(PROTECTIONS)).missing()), reason="kernels cannot be confined here"),
]

FIRST, LAST = "aaa_honest", "zzz_honest"  # graded before and after all attackers
SECRET, TOKEN = "secret-beside-4e1d", "secret-token-58aa"
NEIGHBOUR = "neighbours-note-91c2"
CANARIES = (SECRET, TOKEN, NEIGHBOUR, "canary-7f3a", "BEGIN HIDDEN TESTS")  # the last is in every exam's source
MIB = 2**20
BOUNDS = {"memory": 3072, "processes": 100, "file": 32, "disk": 64}  # smaller ones are reached sooner
CONFIG = "".join(f"c.Sandbox.{name} = {value}\n" for name, value in BOUNDS.items()) + "c.Execute.timeout = 10\n"
# nbgrader writes these when it grades
_GRADED = ("student", "submitted_assignment", "submitted_notebook", "grade", "comment", "alembic_version")


class Targets:
    """What the attacks aim at: a course, files, listening sockets."""

    def __init__(self, course: Path, stack: ExitStack) -> None:
        self.course, self.run = course, uuid.uuid4().hex
        self.open = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="open-", dir="/tmp")))
        self.open.chmod(0o777)
        self.mark = self.open / "mark"
        self.streams, self.datagrams = [], []
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.run}"),
            (socket.AF_UNIX, socket.SOCK_STREAM, str(self.open / "stream")),
            (socket.AF_UNIX, socket.SOCK_DGRAM, str(self.open / "datagrams")),
        ):
            line = stack.enter_context(socket.socket(family, kind))
            line.bind(address)
            line.setblocking(False)
            if kind == socket.SOCK_STREAM:
                line.listen()
            (self.streams if kind == socket.SOCK_STREAM else self.datagrams).append(line)
        for path in self.open.iterdir():
            path.chmod(0o777)
        secret = course.parent / "secret.txt"
        secret.write_text(SECRET)
        honest = course / "submitted" / FIRST / "toy" / "toy.ipynb"
        course_files = ("solutions/toy/double.py", "source/toy/toy.ipynb", "nbgrader_config.py")
        self.untouched = [secret, honest, *(course / name for name in course_files)]
        self.gradebook = course / "gradebook.db"

    def as_variable(self, key: Key) -> str:
        cases = zip(key.trials, key.sheet.cases, strict=True)
        visible = [trial.fields["inputs"]["x"] for trial, case in cases if case.visible]
        return json.dumps(
            {
                "course": str(self.course),
                "gradebook": str(self.gradebook),
                "files": [str(self.gradebook), *map(str, self.untouched)],
                "halves": [(text[:7], text[7:]) for text in CANARIES],
                "mark": str(self.mark),
                "grader": os.getpid(),
                "parent": os.getppid(),
                "tcp": self.streams[0].getsockname()[1],
                "udp": self.datagrams[0].getsockname()[1],
                "abstract": self.run,
                "socket": str(self.open / "stream"),
                "datagrams": str(self.open / "datagrams"),
                "visible": [(x.flatten().tolist(), (2 * x).flatten().tolist()) for x in visible],
                "processes": BOUNDS["processes"],
                "memory": BOUNDS["memory"] * MIB,
                "file": BOUNDS["file"] * MIB,
                "files_bytes": 256 * MIB,
            }
        )  # fmt: skip

    def unchanged(self) -> dict[str, Any]:
        """What no attack may change."""
        package = Path(attacks.__file__).parent.parent / "autograder"
        made = ("autograded", "feedback")
        return {
            **{str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in self.untouched},
            "course": sorted(path.name for path in self.course.iterdir() if path.name not in made),
            "gradebook": _rows(self.gradebook),
            "package": sorted(path.name for path in package.iterdir() if path.stem == "new"),
            "passwd": Path("/etc/passwd").read_bytes(),
        }


def _rows(gradebook: Path) -> dict[str, list[Any]]:
    """The gradebook's rows that grading leaves alone, and the marks that only a person gives."""
    with sqlite3.connect(gradebook) as base:
        tables = [name for (name,) in base.execute("select name from sqlite_master where type = 'table'")]
        kept = {
            name: sorted(map(repr, base.execute(f"select * from {name}"))) for name in tables if name not in _GRADED
        }
        return {**kept, "manual": list(base.execute("select * from grade where manual_score is not null"))}


class Graded:
    """The toy course after a class of attackers has been graded."""

    def __init__(self, course: Path, stack: ExitStack) -> None:
        self.course = course
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        monkeypatch.syspath_prepend(str(course / "lib"))
        self.keys = {slug: Exam().key(it) for slug, it in load_chapter(course / "solutions" / "toy").items()}
        config = course / "nbgrader_config.py"
        config.write_text(config.read_text(encoding="utf-8") + CONFIG, encoding="utf-8")
        toycourse.nbgrader(course, "generate_assignment", "toy")
        for student in (FIRST, LAST):
            toycourse.submit(course, student, toy_choice=f"# {NEIGHBOUR}\ntoy_choice = 'b'")
        self.targets = Targets(course, stack)
        monkeypatch.setenv("AUTOGRADER_TARGETS", self.targets.as_variable(self.keys["double"]))
        monkeypatch.setenv("AUTOGRADER_RUN", self.targets.run)
        monkeypatch.setenv("SECRET_TOKEN", TOKEN)
        for attack in ATTACKS:
            attack.hand_in(course, attack.name)
        self.before, started = self.targets.unchanged(), time.monotonic()
        self.log = toycourse.nbgrader(course, "autograde", "toy")
        self.seconds = time.monotonic() - started
        (course.parent / "autograde.log").write_text(self.log)
        self.left = self._processes()
        toycourse.nbgrader(course, "generate_feedback", "toy")
        self.scores = toycourse.scores(course)

    def _processes(self) -> list[str]:
        """Processes that this run has started and that still live."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"AUTOGRADER_RUN={self.targets.run}".encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text())
            except OSError:
                continue
        return found

    def of(self, student: str) -> str:
        """The lines of the log that are about a student."""
        lines, about = [], ""
        for line in self.log.splitlines(keepends=True):
            named = re.search(r"submitted/([^/\s]+)/toy", line)
            about = named[1] if named else about
            lines += [line] if about == student else []
        return "".join(lines)

    def notebook(self, student: str) -> str:
        path = self.course / "autograded" / student / "toy" / "toy.ipynb"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def outputs(self, student: str) -> str:
        """All outputs, as text."""
        nb = nbformat.reads(self.notebook(student), as_version=4)
        return json.dumps([cell.get("outputs", []) for cell in nb.cells])

    def page(self, student: str) -> str:
        path = self.course / "feedback" / student / "toy" / "toy.html"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def hidden(self) -> list[float]:
        """All numbers of hidden inputs."""
        return [
            value
            for key in self.keys.values()
            for trial, case in zip(key.trials, key.sheet.cases, strict=True)
            if not case.visible and "inputs" in trial.fields
            for value in trial.fields["inputs"]["x"].flatten().tolist()
        ]


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graded]:
    with ExitStack() as stack:
        course = tmp_path_factory.mktemp("attacked") / "course"
        course.mkdir()
        yield Graded(toycourse.lay_out(course), stack)
        shutil.rmtree(course / "submitted")


def _cases() -> list[Any]:
    marks = {each.name: [pytest.mark.xfail(strict=True, reason=each.hole)] if each.hole else [] for each in ATTACKS}
    return [pytest.param(each, id=each.name, marks=marks[each.name]) for each in ATTACKS]


@pytest.mark.parametrize("attack", _cases())
def test_an_attack_gains_nothing_and_learns_nothing(graded: Graded, attack: Attack) -> None:
    log = graded.of(attack.name)
    assert graded.scores.get(attack.name) == attack.deserves
    assert attack.log in log
    if attack.deserves is None:
        assert not graded.notebook(attack.name)
        return
    outputs, page = graded.outputs(attack.name), graded.page(attack.name)
    if attack.runs:
        assert RAN in outputs
    assert GOT not in outputs
    assert [canary for canary in CANARIES if canary in outputs] == []
    shown = [text for value in graded.hidden() for text in (repr(abs(value))[:7], f"got {value:.4g})")]
    assert [text for text in shown if text in outputs + page] == []
    assert not attack.absent or attack.absent not in page + log
    assert len(outputs + page) < 8 * MIB


@pytest.mark.parametrize("student", [FIRST, LAST])
def test_the_honest_beside_them_keep_their_marks(graded: Graded, student: str) -> None:
    assert graded.scores[student] == RIGHT


def test_nobody_is_left_without_a_score(graded: Graded) -> None:
    expected = {each.name for each in ATTACKS if each.deserves is not None} | {FIRST, LAST}
    assert set(graded.scores) == expected
    assert all(None not in marks.values() for marks in graded.scores.values())


def test_the_log_says_what_was_in_force(graded: Graded) -> None:
    assert "Sandbox: " in graded.log


def test_the_grader_says_sentences(graded: Graded) -> None:
    assert "Traceback" not in graded.log


def test_nothing_of_the_course_was_changed(graded: Graded) -> None:
    assert graded.targets.unchanged() == graded.before


def test_no_command_was_run_and_no_socket_reached(graded: Graded) -> None:
    assert not graded.targets.mark.exists()
    for line in graded.targets.streams:
        with pytest.raises(BlockingIOError):
            line.accept()
    for line in graded.targets.datagrams:
        with pytest.raises(BlockingIOError):
            line.recv(100)


def test_no_process_is_left(graded: Graded) -> None:
    assert graded.left == []


def test_the_table_in_the_document_is_this_one() -> None:
    document = attacks.DOCUMENT.read_text(encoding="utf-8")
    assert document == attacks.with_table(document), "run `python tests/test_attacks.py` to write it anew"


if __name__ == "__main__":
    attacks.DOCUMENT.write_text(attacks.with_table(attacks.DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
