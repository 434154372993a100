"""The kernel's side of an exam: reads a question, runs the student's answers on it, leaves replies. Judges nothing.

At an exam's cell the kernel calls `hold(folder)`: a forked child keeps the notebook's state, and answers the visible
cases, if they have been asked. When the last cell has run, and all visible cases have been answered, the grader
(`autograder.examiner`) writes the hidden ones, and `answer(folder)` has the child answer them. So hidden inputs come
when nothing that is shown to a student can hold them any more. Nothing here needs to be trusted: whatever is left in
the folder is data to the grader.
"""

import os
import threading
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from autograder.devices import first_of_each_kind, stays_on_device
from autograder.errors import DataError
from autograder.isolate import Isolated, leave_the_parent, reply_path
from autograder.make import Trial
from autograder.runners import IMPATIENT, Outcome, failure, run, standing_in
from autograder.serialize import MAX_BYTES, decode, encode

QUESTION = "question"  # the trials, hidden inputs included
OUTLINE = "outline"  # what the kernel has to know of them before it forks


def write_question(folder: Path, trials: list[Trial], stand_ins: dict[str, str], device: str, made_up: bool) -> None:
    """Leave a question for `answer_question`. `made_up` asks whether answers stay on a made-up device, too."""
    outline = {
        "seconds": [float(trial.fields.get("seconds", 10.0)) for trial in trials],
        "stand_ins": stand_ins,
        "device": device,
        "made_up": first_of_each_kind(trials) if made_up else [],
    }
    for name, data in ((OUTLINE, outline), (QUESTION, [trial.as_data() for trial in trials])):
        (folder / name).write_bytes(encode(data))
        (folder / name).chmod(0o644)
    for job in range(len(trials) * _rounds(stand_ins) + len(outline["made_up"])):
        reply = reply_path(folder, job)  # the kernel, another user, may fill in files here, and make none
        reply.touch()
        reply.chmod(0o666)


def _rounds(stand_ins: Mapping[str, str]) -> int:
    return 2 if stand_ins else 1


VISIBLE, HIDDEN = "visible", "hidden"  # the folders of an exam's two questions
_held: dict[str, Callable[[Path], bool]] = {}  # by an exam's folder, what answers a question with the state of its cell


def hold(folder: str) -> None:
    """Keep the notebook's state as it is now in a forked child, and have it answer the visible question, if any.

    That child is one that may end: an answer which has ended one already gets a guard (see `hold_guarded`).
    """
    answers, visible = Answers(_variables()), Path(folder) / VISIBLE
    if answers.give(visible) if visible.exists() else answers.start():
        _held[folder] = answers.give_once
    else:
        answers.end()
        hold_guarded(folder)


def hold_guarded(folder: str) -> None:
    """Keep the notebook's state in a child that runs no answer itself: its own children do, one after the other."""
    told, tell = os.pipe()
    hear, done = os.pipe()
    if os.fork():
        os.close(told)
        os.close(done)
        _held[folder] = partial(_wake, tell, hear)
        return
    try:
        os.close(tell)
        os.close(hear)
        leave_the_parent()
        answers = Answers(_variables())
        if os.read(told, 1):  # else the kernel has ended
            answers.give(Path(folder) / HIDDEN)
            os.write(done, b".")
        answers.end()
    finally:
        os._exit(0)


def _wake(tell: int, hear: int, _: Path) -> bool:
    """Have a guard answer; whether it has."""
    with os.fdopen(tell, "wb") as stream, os.fdopen(hear, "rb") as replies:
        stream.write(b".")
        stream.flush()
        return bool(replies.read(1))


def answer(folder: str) -> None:
    """Answer the hidden question that now is in the folder, with the state that has been held for it.

    Raises ChildProcessError when the child that holds it has ended, or ends: the state is lost.
    """
    if not _held.pop(folder)(Path(folder) / HIDDEN):
        raise ChildProcessError("the child that held the state has ended")


def responds(folder: str) -> None:
    """Show that the kernel still does what it is asked."""


def answer_here(folder: str) -> None:
    """Answer a question about values that the notebook has, which needs neither hidden inputs nor a fork."""
    Answers(_variables(), isolated=False).give(Path(folder))


def answer_question(folder: str, namespace: MutableMapping[str, Any] | None = None) -> None:
    """Answer the question in `folder` with what `namespace` (the notebook's variables) holds now."""
    answers = Answers(_variables() if namespace is None else namespace)
    answers.give(Path(folder))
    answers.end()


def _variables() -> MutableMapping[str, Any]:
    from IPython import get_ipython

    names: MutableMapping[str, Any] = get_ipython().user_ns
    return names


class Answers:
    """The answers in `namespace`, to run on the trials of questions.

    They run, and the trials are read, in one forked child for all questions: hidden inputs are never objects of the
    process that later cells run in.
    """

    def __init__(self, namespace: MutableMapping[str, Any], *, isolated: bool = True) -> None:
        self._namespace = namespace
        self._child = Isolated(self._work) if isolated and _can_fork() else None

    def start(self) -> bool:
        """Fork the child, which keeps the namespace as it is now."""
        if self._child is not None:
            self._child.start()
        return True

    def give(self, folder: Path, *, goes_on: bool = True) -> bool:
        """Leave a reply to each trial of the question in `folder`; whether no child ended over it."""
        outline = decode((folder / OUTLINE).read_bytes())
        # The made-up device comes last, in jobs of its own: whatever it does to an answer costs that answer nothing.
        seconds = outline["seconds"] * _rounds(outline["stand_ins"])
        seconds += [outline["seconds"][number] for number in outline["made_up"]]
        if self._child is not None:
            return self._child.run(folder, seconds, patience=IMPATIENT, goes_on=goes_on)
        work = self._work(folder)
        for job in range(len(seconds)):
            reply_path(folder, job).write_bytes(work(job))
        return True

    def give_once(self, folder: Path) -> bool:
        """As `give`, by the child that is there, which ends then; whether it has replied to all."""
        whole = self.give(folder, goes_on=False)
        if self._child is not None:
            self._child.end(wait=False)
        return whole

    def end(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.end()

    def _work(self, folder: Path) -> Callable[[int], bytes]:
        outline = decode((folder / OUTLINE).read_bytes())
        trials = [Trial.from_data(data) for data in decode((folder / QUESTION).read_bytes(), recipes=True)]

        def work(job: int) -> bytes:
            round_number, number = divmod(job, len(trials))
            if round_number >= _rounds(outline["stand_ins"]):
                number = outline["made_up"][job - _rounds(outline["stand_ins"]) * len(trials)]
                return encode(_leaves_device(trials[number], self._namespace, reply_path(folder, number)))
            with standing_in(self._namespace, outline["stand_ins"] if round_number else {}):
                return _packed(run(trials[number], self._namespace, outline["device"]))

        return work


def _leaves_device(trial: Trial, namespace: MutableMapping[str, Any], reply: Path) -> bool:
    """Whether an answer that was right to end on real tensors leaves its inputs' device."""
    outcome = decode(reply.read_bytes())
    return isinstance(outcome, dict) and "failure" not in outcome and not stays_on_device(trial, namespace)


def _packed(outcome: Outcome) -> bytes:
    try:
        data = encode(outcome)
    except DataError:
        return encode(failure("unreadable"))
    return data if len(data) <= MAX_BYTES else encode(failure("unreadable"))


def _can_fork() -> bool:
    """Forking is not there on Windows, and breaks CUDA once it is in use: then the kernel itself runs the question."""
    main = threading.current_thread() is threading.main_thread()
    return hasattr(os, "fork") and main and not torch.cuda.is_initialized()
