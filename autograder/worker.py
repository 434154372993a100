"""The worker processes of `autograder grade`: each grades submissions, one after another, by nbgrader's own converter.

Not concurrent.futures: its pool ends all its workers when one is killed, does not tell which submission that one had,
and starts threads in the parent, so that forking a worker in the killed one's place would not be safe.
"""

import contextlib
import gc
import glob
import hashlib
import logging
import multiprocessing
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from nbgrader.apps import AutogradeApp
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from traitlets import TraitError

from autograder.errors import CourseError
from autograder.gradebook import total
from autograder.kernels.sandbox import Sandbox
from autograder.kernels.system import die_with_parent
from autograder.kernels.warm import adopt, available, nursery
from autograder.preprocessors.release import CourseExporter

START_METHOD = "fork" if sys.platform == "linux" else "spawn"
LOGS = "log"
_SET_ASIDE = "Set aside: "  # how `autograder.intake` begins
_GRACE = 5.0  # seconds that a worker gets to end its kernel and to tidy up


@dataclass(frozen=True)
class Setup:
    """What a worker needs to know."""

    root: Path  # the course's
    assignment: str
    folder: Path  # where logs go
    scratch: Path  # for temporary files


@dataclass(frozen=True)
class Ready:
    """A worker can grade, or `problem` says why it cannot."""

    problem: str | None = None


@dataclass(frozen=True)
class Graded:
    """What became of one submission."""

    student: str
    seconds: float
    score: float = 0.0
    points: float = 0.0
    problem: str | None = None  # why there is no score, in a few words
    timings: list[dict[str, Any]] = field(default_factory=list)  # of the exercises, as `Examine` logs them


def load_course(root: Path, assignment: str) -> AutogradeApp:
    """nbgrader's own application in the course's root, as `nbgrader autograde` configures it.

    Raises:
        CourseError: the configuration, or the name of the assignment, is not valid.
    """
    app = AutogradeApp()
    app.raise_config_file_errors = True  # else nbgrader goes on with its defaults
    try:
        with contextlib.chdir(root):
            app.initialize([])
        app.coursedir.assignment_id = assignment
    except TraitError as error:
        raise CourseError(f"{assignment!r} is not the name of an assignment: {error}") from None
    except SystemExit:
        raise CourseError(f"the configuration of the course in {root} is not valid; the line above says why") from None
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise CourseError(f"the configuration of the course in {root} cannot be read: {told}") from None
    return app


def prepare(app: AutogradeApp) -> None:
    """Read the exercises, make their keys, and see whether submissions can be confined. A fork has all of it.

    Raises:
        CourseError: something in the course is wrong, so that no submission can be graded.
    """
    torch.set_num_threads(1)  # what runs side by side would only be in each other's way
    try:
        converter = Autograde(coursedir=app.coursedir, parent=app)
        if issubclass(converter.exporter_class, CourseExporter):
            exporter = CourseExporter(parent=converter, config=converter.config)
            Sandbox(parent=exporter).demand()
    except NbGraderException as error:
        raise CourseError(str(error)) from None
    except Exception as error:
        traceback.print_exc()
        raise CourseError(f"the configuration does not work: {type(error).__name__}: {error}") from None


# -- the parent's side -----------------------------------------------------------------------------------------------


class Worker:
    """A worker process, seen from the one that started it."""

    def __init__(self, setup: Setup) -> None:
        context: Any = multiprocessing.get_context(START_METHOD)
        self.line, theirs = context.Pipe()
        kernels = _kernels()
        gc.freeze()  # what workers share would be copied when the garbage collector looks at it
        self.process = context.Process(target=serve, args=(theirs, os.getpid(), setup, kernels), daemon=True)
        with _no_interrupts():
            self.process.start()
        theirs.close()
        if kernels is not None:
            kernels.close()
        self.ready = False
        self.student: str | None = None  # whose submission it has

    @property
    def waited_for(self) -> bool:
        return not self.ready or self.student is not None

    def give(self, student: str) -> None:
        """Have it grade a submission. Whether it is still there shows in `receive`."""
        self.student = student
        with contextlib.suppress(OSError):
            self.line.send(student)

    def receive(self) -> Ready | Graded | None:
        """Its next message, once there is one; None when it has ended."""
        try:
            message: Ready | Graded = self.line.recv()
        except (EOFError, OSError):
            self.process.join()
            return None
        self.ready, self.student = True, None
        return message

    @property
    def how_it_ended(self) -> str:
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"ended with status {code}"
        hint = " (often: too little memory)" if code == -signal.SIGKILL else ""
        return f"was ended by {signal.Signals(-code).name}{hint}"


def stop(workers: list[Worker], *, now: bool) -> None:
    """End workers: those that are idle by themselves, or all of them at once."""
    for worker in workers:
        with contextlib.suppress(OSError):
            if now:
                worker.process.terminate()
            else:
                worker.line.send(None)
    deadline = time.monotonic() + _GRACE
    for worker in workers:
        worker.process.join(max(deadline - time.monotonic(), 0))
        worker.process.kill()
        worker.process.join()
        worker.line.close()
    workers.clear()


def _kernels() -> socket.socket | None:
    """A line, for a forked worker, to the warm process that all workers' kernels come from; None: it starts its own."""
    if START_METHOD == "fork" and available():
        with contextlib.suppress(RuntimeError, OSError):
            return nursery().share()
    return None


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Keep a Ctrl-C for later, so that it does not meet a child that is not set up yet."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# -- the worker's side -----------------------------------------------------------------------------------------------


def serve(line: Connection, parent: int, setup: Setup, kernels: socket.socket | None) -> None:
    """Grade what is asked for on the line, until it is None or the parent ends."""
    if kernels is not None:
        adopt(kernels)
    _stand_alone(parent, setup.folder / LOGS / "workers.log")
    with contextlib.suppress(KeyboardInterrupt):
        try:
            app = begin(setup)
        except CourseError as error:
            line.send(Ready(str(error)))
            return
        line.send(Ready())
        while (student := line.recv()) is not None:
            line.send(grade(app, student, setup.folder / LOGS / log_name(student)))


def _stand_alone(parent: int, log: Path) -> None:
    """End with the parent, be out of the terminal's reach, and be ended in order by SIGTERM."""
    if sys.platform == "linux":
        die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    else:
        watched = multiprocessing.parent_process()
        assert watched is not None
        threading.Thread(target=lambda: (watched.join(), os._exit(1)), daemon=True).start()
    os.setsid()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nbgrader tidies up after a KeyboardInterrupt
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for stream, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY)):
        place = os.devnull if stream == 0 else log
        handle = os.open(place, flags | (os.O_CREAT | os.O_APPEND if stream else 0), 0o644)
        os.dup2(handle, stream)
        os.close(handle)
    os.dup2(1, 2)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stderr = open(1, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115


def begin(setup: Setup) -> AutogradeApp:
    """What is done once a process, before the first submission: configuration, exercise files and their keys.

    Raises:
        CourseError: something in the course is wrong, so that no submission can be graded.
    """
    os.environ["TMPDIR"], tempfile.tempdir = str(setup.scratch), None
    os.chdir(setup.root)
    app = load_course(setup.root, setup.assignment)
    for handler in list(app.log.handlers):
        app.log.removeHandler(handler)  # each submission has a log of its own
    prepare(app)
    return app


def grade(app: AutogradeApp, student: str, log: Path) -> Graded:
    """Grade one submission as `nbgrader autograde` does, whatever it got before."""
    started, problem, score, points = time.monotonic(), None, 0.0, 0.0
    with _logged(app, log) as problems, _timed() as timings:
        try:
            app.coursedir.student_id = pattern(student)
            converter = Autograde(coursedir=app.coursedir, parent=app)
            converter.force = True
            converter.start()
            course = app.coursedir
            score, points = total(course.db_url, course.course_id, course.assignment_id, student)
        except NbGraderException as error:
            problem = _few_words(problems) or str(error)
        except (Exception, SystemExit) as error:
            app.log.error(traceback.format_exc())
            problem = f"{type(error).__name__}: {error}"
    if problem is not None:
        timings.clear()
    return Graded(student, time.monotonic() - started, score, points, problem, list(timings.values()))


def pattern(student: str) -> str:
    """A pattern that matches this id only: nbgrader reads ids as globs, and strips blanks from both ends."""
    start, end = len(student) - len(student.lstrip()), len(student.rstrip())
    return "".join(glob.escape(c) if start <= i < end else f"[{c}]" for i, c in enumerate(student))


def log_name(student: str) -> str:
    """A file name for a student's log: the id itself where it is a plain one."""
    plain = re.sub(r"[^\w .@+=,-]", "_", student)[:50]
    if plain == student and plain != "workers":
        return f"{plain}.log"
    return f"{plain}-{hashlib.sha256(student.encode()).hexdigest()[:8]}.log"


@contextlib.contextmanager
def _logged(app: AutogradeApp, path: Path) -> Iterator[list[str]]:
    """Write nbgrader's log to a file, and collect what it says of problems."""
    problems: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if record.levelno >= logging.ERROR or text.startswith(_SET_ASIDE):
                problems.append(text)

    handlers = [logging.FileHandler(path, "w", encoding="utf-8", errors="replace"), Collector(logging.WARNING)]
    handlers[0].setLevel(app.log_level)
    handlers[0].setFormatter(logging.Formatter("%(asctime)s [%(name)s | %(levelname)s] %(message)s"))
    for handler in handlers:
        app.log.addHandler(handler)
    try:
        yield problems
    finally:
        for handler in handlers:
            app.log.removeHandler(handler)
            handler.close()


@contextlib.contextmanager
def _timed() -> Iterator[dict[tuple[str, str], dict[str, Any]]]:
    """Collect what `Examine` says of each exercise: a dictionary by notebook and exercise."""
    timings: dict[tuple[str, str], dict[str, Any]] = {}

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            timing = getattr(record, "timing", None)
            if isinstance(timing, dict):
                timings[timing["notebook"], timing["exercise"]] = {**timing, "seconds": round(timing["seconds"], 3)}

    logger, collector = logging.getLogger("autograder.timings"), Collector(logging.INFO)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(collector)
    try:
        yield timings
    finally:
        logger.removeHandler(collector)
        logger.setLevel(level)
        logger.propagate = propagate


def _few_words(problems: list[str]) -> str:
    """What went wrong, out of nbgrader's log of one submission: the exception's line where there is a traceback."""
    for text in problems:
        if text.startswith(_SET_ASIDE):
            return text.removeprefix(_SET_ASIDE)
        _, found, tail = text.rpartition("Traceback (most recent call last):")
        told = [line for line in tail.splitlines() if line.strip() and not line.startswith(" ")]
        if found and told:
            return told[0]
    lines = [text.strip() for text in problems if not text.startswith("There was an error processing")]
    return " ".join(lines[0].split()) if lines else ""
