"""The trusted side of an exam: writes a question, reads the replies, judges them in this process."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from traitlets import CaselessStrEnum, Integer
from traitlets.config import LoggingConfigurable

from autograder.devices import first_of_each_kind
from autograder.errors import DataError
from autograder.exercise import Exercise
from autograder.isolate import reply_path
from autograder.judge import judge
from autograder.key import Key, make_key
from autograder.make import Trial
from autograder.runners import Outcome, as_outcome, failure
from autograder.serialize import MAX_BYTES, decode
from autograder.untrusted import read_untrusted
from autograder.verdict import Verdict, carried


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
    asked = first_of_each_kind(key.trials) if key.device else []
    leaves = {number: _read(folder, key.rounds * count + i) is True for i, number in enumerate(asked)}
    verdicts = []
    for start in range(0, key.rounds * count, count):
        outcomes = [_reply(folder, start + i, trial) for i, trial in enumerate(key.trials)]
        verdicts.append(judge(key.sheet, [{**o, "device": leaves.get(i, False)} for i, o in enumerate(outcomes)]))
    return carried(verdicts[0], verdicts[1], key.stand_ins) if len(verdicts) == 2 else verdicts[0]


def unasked(key: Key) -> Verdict:
    """The verdict where there is no kernel left to ask."""
    return judge(key.sheet, [as_outcome(failure("unasked"), trial) for trial in key.trials])


def seconds_for(key: Key) -> float:
    """How long a kernel may take over a question at most, with some time for itself."""
    return 30.0 + key.rounds * sum(float(trial.fields.get("seconds", 0.0)) for trial in key.trials)


def _reply(folder: Path, index: int, trial: Trial) -> Outcome:
    return as_outcome(_read(folder, index), trial)


def _read(folder: Path, index: int) -> Any:
    """A reply from a file that a student's process wrote: data, bounded, and never followed through a link."""
    try:
        data = read_untrusted(reply_path(folder, index), MAX_BYTES + 1)
        return decode(data) if data else failure("crash")
    except FileNotFoundError:
        return failure("crash")
    except (OSError, DataError):
        return failure("unreadable")
