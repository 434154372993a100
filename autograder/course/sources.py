"""Where a loader's data come from, in this order: the folder that AUTOGRADER_DATA names, the Hugging Face hub, here.

A loader says which source served. A source that was asked for and is faulty is an error: no other is taken in silence.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from autograder.course.messages import SAYS, WRONG
from autograder.errors import CourseError

VARIABLE = "AUTOGRADER_DATA"
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
_TRUE = ("1", "ON", "YES", "TRUE")  # as huggingface_hub reads them
_SECONDS = 2.0  # until the hub has to answer

Loaded = TypeVar("Loaded")


def language() -> str:
    """The notebook's language, as `start` found it; English before that."""
    selfcheck = sys.modules.get("autograder.selfcheck")
    return str(selfcheck._session.language) if selfcheck is not None else "en"


def say(message: str, **fields: object) -> None:
    """Print one of the sentences of `SAYS`."""
    print(SAYS[message].format(**fields).pick(language()))


def wrong(message: str, **fields: object) -> CourseError:
    """The error with one of the sentences of `WRONG`, to be raised."""
    return CourseError(WRONG[message].format(variable=VARIABLE, **fields).pick(language()))


def chosen(argument: str, value: object, choices: Sequence[str]) -> str:
    """The value, if it is one of the choices; else raises CourseError."""
    if not isinstance(value, str) or value not in choices:
        raise wrong("choice", argument=argument, found=repr(value), choices=", ".join(map(repr, choices)))
    return value


def counted(argument: str, value: int | None) -> int | None:
    """The value, if it is None or a number of things; else raises CourseError."""
    if value is not None and (type(value) is not int or value < 1):
        raise wrong("count", argument=argument, found=repr(value))
    return value


# -- the folder ------------------------------------------------------------------------------------------------------


def in_folder(name: str) -> Path | None:
    """The folder `name` in the one that the environment names; None if there is none.

    Raises:
        CourseError: the environment names a folder that is not there.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    folder = os.path.expanduser(named)
    if not os.path.isdir(folder):
        raise wrong("no_folder", folder=folder)
    place = Path(folder, name)
    return place if os.path.isdir(place) else None


def in_folder_or_say(name: str) -> Path | None:
    """As `in_folder`; where there is a folder without a `name`, one printed line says so."""
    place = in_folder(name)
    if place is None and os.environ.get(VARIABLE):
        say("not_in_folder", folder=os.environ[VARIABLE], variable=VARIABLE, name=name)
    return place


def first_of(folder: Path, files: Sequence[str]) -> Path:
    """The first of these files that the folder has; raises CourseError if it has none."""
    for file in files:
        if os.path.lexists(folder / file):
            return folder / file
    raise wrong("no_file", folder=folder, files=", ".join(files))


def read(path: Path) -> str:
    """A file's text, with line ends as on Linux. Raises CourseError: it cannot be read, is not UTF-8, or is empty."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except OSError as error:
        raise wrong("unreadable", file=path, why=error.strerror) from None
    except UnicodeDecodeError as error:
        raise wrong("not_utf8", file=path, line=data.count(b"\n", 0, error.start) + 1) from None
    if not text.strip():
        raise wrong("no_rows", file=path)
    return text


# -- the Hugging Face hub --------------------------------------------------------------------------------------------


class Hub:
    """What this process knows of the Hugging Face hub. What did not answer once is not asked again."""

    def __init__(self) -> None:
        self._reachable: bool | None = None
        self._failed: set[str] = set()

    def answers(self) -> bool:
        """Whether the hub can be asked. Says so, once, if it cannot."""
        if self._reachable is None:
            offline = next((name for name in _OFFLINE if os.environ.get(name, "").upper() in _TRUE), None)
            why = "" if offline else _why_unreachable()
            if offline:
                say("offline", variable=offline)
            elif why:
                say("unreachable", why=why)
            self._reachable = not offline and not why
        return self._reachable

    def load(self, name: str, load: Callable[[], Loaded]) -> Loaded | None:
        """What `load` fetches from the hub under `name`; None, which is said, if it does not give it."""
        if name in self._failed or not self.answers():
            return None
        try:
            return load()
        except Exception as error:  # of the network, the hub, several libraries, the disk
            self._failed.add(name)
            say("hub_failed", name=name, why=type(error).__name__)
            return None


def _why_unreachable() -> str:
    """Ask the hub for a sign of life; the reason if none comes in time, else an empty text."""
    try:
        from huggingface_hub import constants
        from huggingface_hub.utils import get_session
    except ImportError:
        return "huggingface_hub is not installed"
    found: list[str] = []

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=_SECONDS)
            found.append("")
        except Exception as error:  # which ones depends on the library that the hub's client uses
            found.append(type(error).__name__)

    # in a thread of its own, since looking up a name cannot be given a time limit
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_SECONDS + 0.5)
    return found[0] if found else "no answer"


hub = Hub()
