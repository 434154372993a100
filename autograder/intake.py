"""What cannot be handed to nbgrader: such submissions are set aside before its loop, with a sentence each.

nbgrader copies the files of a submission whatever they are, through links too, and reads names as patterns. A link
would carry any file of this machine to the student's feedback; some names stop the class. Nothing here follows a link,
opens what is not a plain file, or looks at more than the limits allow.
"""

import errno
import fnmatch
import glob
import logging
import os
import re
import shutil
import stat
import sys
import unicodedata
import weakref
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, InvalidEntry, MissingEntry, app_log
from nbgrader.converters.base import NbGraderException
from nbgrader.utils import chdir, find_all_files, parse_utc
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from autograder.errors import AutograderError, CourseError

MEGABYTE = 10**6
_TIMESTAMP = "timestamp.txt"
_MAX_TIMESTAMP = 1000  # bytes
_SHOWN = 5  # names in one sentence
_AGAIN = "and run autograde again"


@dataclass(frozen=True)
class Limits:
    """How large a submission may be."""

    files: int = 1000  # files and folders
    megabytes: int = 500  # of all files together
    notebook_megabytes: int = 100  # of one notebook: it is read whole


class _Fault(Exception):
    """Why a submission is set aside, as a sentence."""


# -- one submission --------------------------------------------------------------------------------------------------


def faults(
    folder: Path, notebooks: Sequence[str], limits: Limits | None = None, given: Collection[str] = ()
) -> str | None:
    """One sentence why nbgrader cannot be given a submission, what to do included; None when it can.

    Args:
        folder: the submission, such as submitted/<student>/<assignment>.
        notebooks: the names of the assignment's notebooks, without .ipynb. One of them has to be there.
        limits: how large it may be.
        given: the files that nbgrader lays over those of a submission, relative to the folder.

    Raises nothing.
    """
    limits = limits or Limits()
    try:
        _check_names(folder)
        _check_folder(folder)
        _check_files(folder, limits, set(given))
        _check_notebooks(folder, notebooks)
        _check_timestamp(folder / _TIMESTAMP)
    except _Fault as fault:
        return str(fault)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        why = (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
        at = error.filename if isinstance(error, OSError) and isinstance(error.filename, str) else folder
        return f"{_shown(folder, at)} cannot be read ({why}): make it readable {_AGAIN}."
    return None


def _check_names(folder: Path) -> None:
    """A student's or an assignment's name that nbgrader's pattern or regular expression does not match."""
    for name in (folder.parent.name, folder.name):
        odd = next((c for c in name if c in "*?[" or _unprintable(c)), None)
        if odd is not None:
            kind = "a line break" if odd in "\r\n" else f"the character {_escaped(odd)}"
            raise _Fault(f"{_shown(folder)}: nbgrader cannot deal with {kind} in a name: rename the folder {_AGAIN}.")


def _check_folder(folder: Path) -> None:
    for path in (folder.parent, folder):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise _Fault(f"{_shown(folder, path)} is a symbolic link: put the folder itself in its place {_AGAIN}.")
        if not stat.S_ISDIR(mode):
            what = "a folder with the student's files"
            raise _Fault(f"{_shown(folder, path)} is no folder: put {what} in its place {_AGAIN}.")


def _check_files(folder: Path, limits: Limits, given: Collection[str]) -> None:
    count, size = 0, 0
    above = {str(parent) for name in given for parent in Path(name).parents}
    for entry in _entries(folder):
        count += 1
        if count > limits.files:
            raise _Fault(
                f"{_shown(folder)} holds more than {limits.files:,} files and folders: delete what is not the"
                f" student's work {_AGAIN} (or set c.SubmissionExporter.max_files)."
            )
        where = _shown(folder, entry.path)
        about = entry.stat(follow_symlinks=False)
        name = os.path.relpath(entry.path, folder)
        if stat.S_ISDIR(about.st_mode):
            if name in given:
                raise _Fault(f"{where} is a folder where the assignment has a file: rename it {_AGAIN}.")
            continue
        _check_kind(where, about)
        if name in above:
            raise _Fault(f"{where} is a file where the assignment has a folder: rename it {_AGAIN}.")
        size += about.st_size
        if size > limits.megabytes * MEGABYTE:
            raise _Fault(
                f"{_shown(folder)} holds more than {limits.megabytes:,} MB: delete what is not the student's work"
                f" {_AGAIN} (or set c.SubmissionExporter.max_megabytes)."
            )
        if entry.name.endswith(".ipynb") and about.st_size > limits.notebook_megabytes * MEGABYTE:
            raise _Fault(
                f"{where} is larger than {limits.notebook_megabytes:,} MB: clear its outputs {_AGAIN}"
                " (or set c.SubmissionExporter.max_notebook_megabytes)."
            )
        os.close(os.open(entry.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)))


def _check_kind(where: str, about: os.stat_result) -> None:
    """Only a plain file with one name: anything else could be, or become, something that is not the student's."""
    kinds = {
        stat.S_ISLNK: "a symbolic link",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
    }
    for test, kind in kinds.items():
        if test(about.st_mode):
            raise _Fault(f"{where} is {kind}, no file: delete it, or put the file itself in its place, {_AGAIN}.")
    if about.st_nlink > 1:
        raise _Fault(f"{where} is a hard link, a file with a second name: put a copy in its place {_AGAIN}.")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder and below, one by one, never through a link."""
    waiting = [os.fspath(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def _check_notebooks(folder: Path, notebooks: Sequence[str]) -> None:
    found = sorted(name for name in os.listdir(folder) if name.endswith(".ipynb"))
    if not notebooks or any(f"{name}.ipynb" in found for name in notebooks):
        return
    wanted = _listed([f"{name}.ipynb" for name in notebooks])
    if not found:
        raise _Fault(f"{_shown(folder)} holds no notebook ({wanted} is expected): put it there {_AGAIN}.")
    raise _Fault(f"{_shown(folder)} holds {_listed(found)}, and not {wanted}: rename the notebook {_AGAIN}.")


def _check_timestamp(path: Path) -> None:
    """nbgrader ends in a traceback where timestamp.txt is no date."""
    if not os.path.lexists(path):
        return
    where, remedy = _shown(path.parent, path), f"correct it, or delete it, {_AGAIN}."
    if path.is_dir():
        raise _Fault(f"{where} is a folder, not a file with a date: {remedy}")
    with path.open("rb") as stream:
        data = stream.read(_MAX_TIMESTAMP + 1)
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise _Fault(f"{where} is not text in UTF-8: {remedy}") from None
    if not text:
        return  # nbgrader warns and goes on
    try:
        if len(data) > _MAX_TIMESTAMP:
            raise ValueError
        parse_utc(text)
    except Exception:  # dateutil raises several kinds
        raise _Fault(f"{where} holds no date ({_escaped(text[:40])}): {remedy}") from None


# -- a run of nbgrader autograde -------------------------------------------------------------------------------------


def check_request(course: Any) -> None:
    """Raise CourseError where the assignment or the student that a run is for is a path, or nothing."""
    for what, name, where in (
        ("assignment", course.assignment_id, course.source_directory),
        ("student", course.student_id, course.submitted_directory),
    ):
        if not name or name in (".", "..") or any(c in name for c in "/\\\0"):
            raise CourseError(f"{name!r} is no name of {_a(what)}: give the name of a folder in {where}/, not a path.")


def expected_notebooks(course: Any) -> list[str]:
    """The names of the notebooks of a course directory's assignment that its gradebook knows, without .ipynb.

    Raises CourseError with a sentence when the assignment was never generated or the gradebook cannot be read.
    """
    wanted = course.assignment_id
    advice = f"run `nbgrader generate_assignment {wanted}` first, then autograde."
    missing = CourseError(f"The gradebook has no assignment {wanted!r}: {advice}")
    try:
        with chdir(course.root):  # where nbgrader will work
            if not _gradebook_is_there(course.db_url):
                raise missing  # to open it would make an empty one
            with Gradebook(course.db_url, course.course_id) as gradebook:
                names = sorted(notebook.name for notebook in gradebook.find_assignment(wanted).notebooks)
    except MissingEntry:
        raise missing from None
    except SQLAlchemyError as error:
        raise CourseError(gradebook_trouble(error)) from None
    if not names:
        raise missing
    chosen = [name for name in names if fnmatch.fnmatchcase(name, course.notebook_id)]
    if not chosen:
        raise CourseError(f"{wanted} has no notebook {course.notebook_id!r}: it has {_listed(names)}.")
    return chosen


def _gradebook_is_there(url: str) -> bool:
    """False only for a SQLite file that does not exist."""
    parts = make_url(url)
    path = parts.database or ""
    return parts.get_backend_name() != "sqlite" or not path or path.startswith("file:") or os.path.exists(path)


def set_aside(converter: Any, limits: Limits) -> None:
    """Take the submissions that cannot be graded out of `converter.assignments`, and say so now and at the end.

    Nothing is recorded or written for them, and an earlier grade of theirs stays.

    Raises:
        CourseError: nothing is left to grade, or there is no such assignment; a sentence.
    """
    course, log = converter.coursedir, converter.log
    notebooks, given = expected_notebooks(course), _given(converter)
    pattern = course.format_path(course.submitted_directory, course.student_id, course.assignment_id)
    reasons = []
    for path in sorted({*glob.glob(pattern), *converter.assignments}):
        if _student(course, path) in course.student_id_exclude.split(","):
            continue
        reason = faults(Path(path), notebooks, limits, given)
        if reason is None and path not in converter.assignments:
            reason = f"{_shown(Path(path))}: nbgrader finds no notebook in it; look at its names {_AGAIN}."
        if reason is not None:
            converter.assignments.pop(path, None)
            reasons.append(reason)
    for path in sorted(glob.glob(os.path.dirname(pattern))):
        if not os.path.isdir(path):
            shown = _escaped(os.path.relpath(path, course.root))
            reasons.append(f"{shown} is no folder: put a student's folder in its place {_AGAIN}.")
    for reason in reasons:
        log.warning("Set aside: %s", reason)
    if not converter.assignments:
        raise CourseError("Nothing was graded, since every submission was set aside: see the reasons above.")
    if reasons:
        # nbgrader has no hook at the end of a run; its converter goes when the run is over, at the latest at exit.
        weakref.finalize(converter, _list_again, log, reasons, len(converter.assignments), os.getpid())


def _list_again(log: Any, reasons: Sequence[str], graded: int, process: int) -> None:
    if os.getpid() == process:  # not in a forked child that ends
        lines = "".join(f"\n  {number}. {reason}" for number, reason in enumerate(reasons, 1))
        said = "%d of %d submissions were set aside; they are not graded, and earlier grades of theirs stay:%s"
        log.warning(said, len(reasons), len(reasons) + graded, lines)


def _given(converter: Any) -> list[str]:
    """The files that nbgrader lays over a submission's: those that the source folder has beside its notebooks."""
    course = converter.coursedir
    source = course.format_path(course.source_directory, ".", course.assignment_id)
    names = {os.path.relpath(path, source) for path in find_all_files(source, [*course.ignore, "*.ipynb"])}
    return sorted(names - set(converter.exclude_overwriting.get(course.assignment_id, [])))


def _student(course: Any, path: str) -> str | None:
    """The student's id as nbgrader reads it from a path."""
    names = ("(?P<student_id>.*)", "(?P<assignment_id>.*)")
    match = re.match(course.format_path(course.submitted_directory, *names, escape=True), path)
    return match["student_id"] if match else None


# -- what goes wrong in the loop -------------------------------------------------------------------------------------


def check_room(course: Any, megabytes: int) -> None:
    """Raise CourseError where the disk of autograded/ or of the course has less room than that."""
    autograded = Path(course.format_path(course.autograded_directory, ".", "."))
    for place in (autograded, Path(course.root)):
        there = next(path for path in (place, *place.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < megabytes * MEGABYTE:
            raise CourseError(
                f"No room on the disk of {there}: {free / MEGABYTE:.0f} MB are free, {megabytes} MB are wanted"
                f" (c.SubmissionExporter.min_free_megabytes): make room {_AGAIN}."
            )


class _Sentences(logging.Filter):
    """Says an error in a sentence where nbgrader logs a traceback.

    nbgrader logs it while the error is being handled, so that the error itself can be had here.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        said, text = _explained(sys.exc_info()[1]), str(record.msg)
        if said is None:
            return True
        if text.startswith("Traceback (most recent call last)"):
            record.msg, record.args = said, ()
        # The gradebook logs its error before it raises it; of a database's errors, nbgrader guesses at an upgrade.
        return not record.exc_info and not text.startswith("There was an error accessing the nbgrader database")


_SENTENCES = _Sentences()  # one: a logger takes the same filter once only


def explain_errors(log: Any) -> None:
    """Have the logger of a run, and that of nbgrader's gradebook, say in sentences what goes wrong in the loop."""
    for each in (getattr(log, "logger", log), app_log):
        each.addFilter(_SENTENCES)


def _explained(error: BaseException | None) -> str | None:
    if isinstance(error, InvalidEntry):  # how the gradebook tells that it could not write
        return _explained(error.__context__)
    if isinstance(error, AutograderError | NbGraderException):
        return str(error)
    if isinstance(error, OperationalError):
        return gradebook_trouble(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"The disk had no room for the autograded copy ({error.strerror}); it is not kept: make room {_AGAIN}."
    return None


def gradebook_trouble(error: SQLAlchemyError) -> str:
    """A sentence for an error of the gradebook's database."""
    why = str(getattr(error, "orig", None) or error).splitlines()[0][:200]
    if "locked" in why:
        return f"The gradebook is in use ({why}): close the program that holds it {_AGAIN}."
    if "full" in why or "I/O" in why:
        return f"The gradebook cannot be written ({why}): make room on its disk {_AGAIN}."
    if "no such column" in why or "no such table" in why:
        return f"The gradebook is of another nbgrader ({why}): back it up, run `nbgrader db upgrade` {_AGAIN}."
    return f"The gradebook cannot be used ({why}): put a good copy in its place {_AGAIN}."


# -- names in sentences ----------------------------------------------------------------------------------------------


def _shown(folder: Path, path: str | Path | None = None) -> str:
    """A path from submitted/ on, on one line and not too long."""
    start = folder.parent.parent.parent
    return _escaped(os.path.relpath(path or folder, start))


def _escaped(text: str) -> str:
    text = "".join(c.encode("unicode_escape").decode() if _unprintable(c) else c for c in text)
    return text if len(text) <= 200 else f"{text[:120]} … {text[-60:]}"


def _unprintable(character: str) -> bool:
    """Control characters, and bytes that are no text (surrogates, in Python)."""
    return unicodedata.category(character) in ("Cc", "Cs")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(_escaped, names[:_SHOWN])) + more


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
