"""The trusted side of an exam: writes a question, reads the replies, judges them in this process."""

import os
import stat
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from traitlets import CaselessStrEnum, Integer
from traitlets.config import LoggingConfigurable

from autograder.check import carried
from autograder.errors import DataError
from autograder.exercise import Exercise
from autograder.isolate import reply_path
from autograder.judge import judge
from autograder.key import Key, make_key
from autograder.make import Trial
from autograder.runners import Outcome, as_outcome, failure
from autograder.serialize import MAX_BYTES, decode
from autograder.verdict import Verdict


class Exam(LoggingConfigurable):
    """How a course's exams are run. `nbgrader_config.py` sets these as `c.Exam.<name>`."""

    device = CaselessStrEnum(
        ("auto", "cpu", "cuda"), "auto", help="Where answers run; 'auto' takes cuda where there is one."
    ).tag(config=True)

    seed = Integer(
        20_260_401,
        help="Draws the hidden cases. Give each course and each year its own, and keep it from the students.",
    ).tag(config=True)

    @property
    def place(self) -> str:
        """The device, with 'auto' decided."""
        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    def key(self, exercise: Exercise) -> Key:
        """The answer key of an exercise under this course's seed. It is made once a process."""
        return _key(exercise, self.seed, self.place)


@cache
def _key(exercise: Exercise, seed: int, device: str) -> Key:
    return make_key(exercise, seed, device=device)


def mark(key: Key, folder: Path) -> Verdict:
    """Read the replies that a kernel left in `folder` and judge them; the better of the two rounds counts."""
    count = len(key.trials)
    rounds = [
        judge(key.sheet, [_reply(folder, start + i, trial) for i, trial in enumerate(key.trials)])
        for start in ((0, count) if key.stand_ins else (0,))
    ]
    return carried(rounds[0], rounds[1], key) if len(rounds) == 2 else rounds[0]


def unasked(key: Key) -> Verdict:
    """The verdict where there is no kernel left to ask."""
    return judge(key.sheet, [as_outcome(failure("unasked"), trial) for trial in key.trials])


def seconds_for(trials: Sequence[Trial], rounds: int) -> float:
    """How long a kernel may take over a question at most, with some time for itself."""
    return 30.0 + rounds * sum(float(trial.fields.get("seconds", 0.0)) for trial in trials)


def _reply(folder: Path, index: int, trial: Trial) -> Outcome:
    """One outcome from a file that a student's process wrote: data, bounded, and never followed through a link."""
    path = reply_path(folder, index)
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return as_outcome(failure("unreadable"), trial)
            data = stream.read(MAX_BYTES + 1)
        return as_outcome(decode(data), trial)
    except FileNotFoundError:
        return as_outcome(failure("crash"), trial)
    except (OSError, DataError):
        return as_outcome(failure("unreadable"), trial)
