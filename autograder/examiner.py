"""The trusted side of an exam: writes a question, reads the replies, judges them in this process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from traitlets import CaselessStrEnum, Integer
from traitlets.config import LoggingConfigurable

from autograder.ask import write_question
from autograder.devices import first_of_each_kind
from autograder.errors import DataError
from autograder.exercise import Exercise
from autograder.isolate import reply_path
from autograder.judge import judge
from autograder.key import Key, make_key
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


@dataclass(frozen=True)
class Replies:
    """What a kernel has answered: outcomes by round and trial, and the trials that left a made-up device."""

    outcomes: Mapping[tuple[int, int], Outcome]
    leaves: frozenset[int] = frozenset()

    @property
    def ended(self) -> bool:
        """Whether an answer has ended its process, or ran out of time."""
        failures = (outcome.get("failure", {}) for outcome in self.outcomes.values())
        return any(failure.get("kind") in ("crash", "time") for failure in failures)


def make_folder(folder: Path) -> None:
    """A folder that a kernel, another user, may look into, whatever this process's umask."""
    folder.mkdir()
    folder.chmod(0o755)


def ask(key: Key, trials: Sequence[int], folder: Path, place: str) -> None:
    """Make `folder` with the question of these trials of `key`, for the device `place`."""
    make_folder(folder)
    made_up = key.device and place == "cpu" and trials == key.hidden
    write_question(folder, [key.trials[i] for i in trials], dict(key.stand_ins), place, made_up)


def read(key: Key, trials: Sequence[int], folder: Path) -> Replies:
    """The replies to the question of these trials that a kernel has left in `folder`."""
    count = len(trials)
    outcomes = {
        (number, trial): as_outcome(_read(folder, number * count + i), key.trials[trial])
        for number in range(key.rounds)
        for i, trial in enumerate(trials)
    }
    made_up = first_of_each_kind([key.trials[i] for i in trials]) if key.device else []
    leaves = {trials[i] for n, i in enumerate(made_up) if _read(folder, key.rounds * count + n) is True}
    return Replies(outcomes, frozenset(leaves))


def mark(key: Key, *replies: Replies) -> Verdict:
    """Judge what was answered; the better of the two rounds counts. What was not asked has failed as such."""
    found = {place: outcome for part in replies for place, outcome in part.outcomes.items()}
    leaves = frozenset[int]().union(*(part.leaves for part in replies))
    verdicts = []
    for number in range(key.rounds):
        outcomes = [found.get((number, i)) or as_outcome(failure("unasked"), t) for i, t in enumerate(key.trials)]
        verdicts.append(judge(key.sheet, [{**o, "device": i in leaves} for i, o in enumerate(outcomes)]))
    return carried(verdicts[0], verdicts[1], key.stand_ins) if len(verdicts) == 2 else verdicts[0]


def seconds_for(key: Key, trials: Sequence[int]) -> float:
    """How long a kernel may take over a question at most, with some time for itself."""
    return 30.0 + key.rounds * sum(float(key.trials[i].fields.get("seconds", 0.0)) for i in trials)


def _read(folder: Path, index: int) -> Any:
    """A reply from a file that a student's process wrote: data, bounded, and never followed through a link."""
    try:
        data = read_untrusted(reply_path(folder, index), MAX_BYTES + 1)
        return decode(data) if data else failure("crash")
    except FileNotFoundError:
        return failure("crash")
    except (OSError, DataError):
        return failure("unreadable")
