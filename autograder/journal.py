"""What a run of `autograder grade` leaves in the folder `grading/`: a lock, a journal, and the exercises' timings."""

import contextlib
import csv
import errno
import fcntl
import io
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from autograder.errors import CourseError

TIMINGS = "timings.csv"
COLUMNS = ("student", "notebook", "exercise", "seconds", "score", "points")
_JOURNAL = "journal.jsonl"
_SCRATCH = "autograder-run-"


# -- the lock --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Hold the course's lock, and yield a folder for what kernels leave while they run; it is deleted at the end.

    The lock is POSIX's and not flock's: a forked worker does not inherit it, so that it ends with this process, however
    that ends. What a killed run left in its scratch folder is deleted by the next.

    Raises:
        CourseError: another run holds the lock; the sentence says which.
    """
    with (folder / "lock").open("a+", encoding="utf-8") as stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            raise CourseError(f"another run grades here: {_holder(stream)}; wait for it, or stop it") from None
        _sweep(_read(stream))
        scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH))
        scratch.chmod(0o711)  # kernels may have a user of their own, who gets to folders in it
        try:
            now = datetime.now().astimezone().isoformat(" ", "seconds")
            about = {"pid": os.getpid(), "host": socket.gethostname(), "since": now, "scratch": str(scratch)}
            stream.truncate(0)
            stream.write(json.dumps(about) + "\n")
            stream.flush()
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _read(stream: IO[str]) -> dict[str, Any]:
    stream.seek(0)
    return _parsed(stream.read())


def _holder(stream: IO[str]) -> str:
    about = _read(stream)
    return "process {pid} on {host}, since {since}".format_map({"pid": "?", "host": "?", "since": "?", **about})


def _sweep(about: Mapping[str, Any]) -> None:
    scratch = Path(str(about.get("scratch", "")))
    if about.get("host") == socket.gethostname() and scratch.name.startswith(_SCRATCH) and not scratch.is_symlink():
        shutil.rmtree(scratch, ignore_errors=True)


# -- the journal -----------------------------------------------------------------------------------------------------


@dataclass
class Past:
    """What the journal tells of the run before this one."""

    students: list[str] = field(default_factory=list)  # whom that run was for, without those set aside
    finished: set[str] = field(default_factory=set)  # of them, those graded before it went on
    must: set[str] = field(default_factory=set)  # to be graded whatever autograded/ holds
    begun: set[str] = field(default_factory=set)
    done: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # with the timings
    ended: bool = True

    @property
    def graded(self) -> set[str]:
        return self.finished | set(self.done)

    @property
    def due(self) -> set[str]:
        """Those whose grading was meant anew, or was begun, and did not end."""
        return (self.must | self.begun) - set(self.done)


class Journal:
    """An append-only file of one run: its plan, then a line for each submission begun and each done.

    A line is on the disk before the next thing happens. A new run begins a new file in one step, with what is left of
    the one before in its plan.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / _JOURNAL
        self._stream: IO[str] | None = None

    @property
    def started(self) -> bool:
        return self._stream is not None

    def read(self) -> Past:
        """The run before; a line that was cut short, or is none of ours, is left out."""
        past = Past()
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""
        for entry in map(_parsed, text.split("\n")):
            match entry:
                case {"plan": [*students], "finished": [*finished], "must": [*must]}:
                    past = Past(list(students), set(finished), set(must), ended=False)
                case {"begin": str(student)}:
                    past.begun.add(student)
                    past.done.pop(student, None)
                case {"done": str(student), "timings": [*timings]}:
                    past.done[student] = [row for row in timings if isinstance(row, dict)]
                case {"end": True}:
                    past.ended = True
        return past

    def start(self, students: Iterable[str], finished: Iterable[str], must: Iterable[str]) -> None:
        """Begin the file of a new run. The timings of the run before must have been kept."""
        plan = {"plan": list(students), "finished": sorted(finished), "must": sorted(must)}
        _write_whole(self.path, json.dumps(plan) + "\n")
        self._stream = self.path.open("a", encoding="utf-8")

    def begin(self, student: str) -> None:
        self._append({"begin": student})

    def done(self, student: str, score: float, points: float, seconds: float, timings: Sequence[object]) -> None:
        entry = {"done": student, "score": score, "points": points, "seconds": round(seconds, 3)}
        self._append({**entry, "timings": timings})

    def end(self) -> None:
        """Note that everything planned was tried."""
        self._append({"end": True})

    def close(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):  # what could not be written has been told already
                self._stream.close()

    def _append(self, entry: Mapping[str, object]) -> None:
        assert self._stream is not None
        self._stream.write(json.dumps(entry) + "\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())


def _parsed(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


# -- the timings -----------------------------------------------------------------------------------------------------


def keep_timings(folder: Path, done: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    """Put the timings of these submissions into the table, in place of what it holds of them; returns its path."""
    path = folder / TIMINGS
    kept: list[Mapping[str, Any]] = []
    if path.is_file():
        try:
            with path.open(encoding="utf-8", errors="replace", newline="") as stream:
                kept = [row for row in csv.DictReader(stream) if row.get("student") and row["student"] not in done]
        except csv.Error as error:
            raise CourseError(f"{path} is damaged ({error}): delete it, then run the command again") from None
    rows = [*kept, *({**row, "student": student} for student, rows in done.items() for row in rows)]
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, extrasaction="ignore", restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(sorted(rows, key=lambda row: str(row["student"])))
    _write_whole(path, text.getvalue())
    return path


def _write_whole(path: Path, text: str) -> None:
    """Replace a file in one step, so that it is never half written."""
    partial = path.with_name(f"{path.name}.part")
    with partial.open("w", encoding="utf-8", newline="") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)
