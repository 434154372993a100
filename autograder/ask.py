"""The kernel's side of an exam: reads a question, runs the student's answers on it, leaves replies. Judges nothing.

At an exam's cell the kernel calls `hold(folder)`: a forked child keeps the notebook's state, and answers the visible
cases, if they have been asked. When the last cell has run, and all visible cases have been answered, the grader
(`autograder.examiner`) writes the hidden ones, and `answer(folder)` has the child answer them. So hidden inputs come
when nothing that is shown to a student can hold them any more. Nothing here needs to be trusted: whatever is left in
the folder is data to the grader.
"""

import gc
import os
import threading
from collections.abc import Mapping, MutableMapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from autograder.devices import first_of_each_kind, stays_on_device, warm_up
from autograder.errors import DataError
from autograder.isolate import leave_the_parent, reply_path, run_isolated
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
_held: dict[str, tuple[int, int]] = {}  # by folder the child that waits, and the pipe that wakes it


def hold(folder: str) -> None:
    """Keep the notebook's state as it is now in a forked child; return when it has answered the visible question."""
    waking, wake = os.pipe()
    waiting, done = os.pipe()
    child = os.fork()
    if child:
        os.close(waking)
        os.close(done)
        _held[folder] = child, wake
        with os.fdopen(waiting, "rb") as stream:
            stream.read(1)
        return
    try:
        for handle in (wake, waiting, *(other for _, other in _held.values())):
            os.close(handle)
        leave_the_parent()
        gc.freeze()  # else each collection, here and in the children to come, copies what it looks at
        if (Path(folder) / VISIBLE).exists():
            answer_question(str(Path(folder) / VISIBLE))
        os.close(done)
        if os.read(waking, 1):  # else the kernel has ended
            os.close(waking)
            answer_question(str(Path(folder) / HIDDEN))
    finally:
        os._exit(0)


def answer(folder: str) -> None:
    """Have the child that holds the state for this folder answer the hidden question that now is in it."""
    child, wake = _held.pop(folder)
    with os.fdopen(wake, "wb") as stream:
        stream.write(b".")
    os.waitpid(child, 0)


def responds(folder: str) -> None:
    """Show that the kernel still does what it is asked."""


def answer_here(folder: str) -> None:
    """Answer a question about values that the notebook has, which needs neither hidden inputs nor a fork."""
    answer_question(folder, isolated=False)


def answer_question(folder: str, namespace: MutableMapping[str, Any] | None = None, *, isolated: bool = True) -> None:
    """Run every trial of the question in `folder` on the answers in `namespace` (the notebook's variables).

    The trials are read in the forked child: hidden inputs are never objects of the process that later cells run in.
    """
    if namespace is None:
        from IPython import get_ipython

        namespace = get_ipython().user_ns
    place = Path(folder)
    outline = decode((place / OUTLINE).read_bytes())
    count, rounds = len(outline["seconds"]), _rounds(outline["stand_ins"])

    @cache
    def trials() -> list[Trial]:
        return [Trial.from_data(data) for data in decode((place / QUESTION).read_bytes(), recipes=True)]

    def work(job: int) -> bytes:
        round_number, number = divmod(job, count)
        if round_number >= rounds:
            number = outline["made_up"][job - rounds * count]
            return encode(_leaves_device(trials()[number], namespace, reply_path(place, number)))
        trial = trials()[number]
        with standing_in(namespace, outline["stand_ins"] if round_number else {}):
            return _packed(run(trial, namespace, outline["device"]))

    if outline["made_up"]:
        warm_up()
    # The made-up device comes last and in jobs of its own: whatever it does to an answer costs that answer nothing.
    seconds = outline["seconds"] * rounds + [outline["seconds"][number] for number in outline["made_up"]]
    if isolated and _can_fork():
        run_isolated(work, seconds, place, patience=IMPATIENT)
    else:
        for job in range(len(seconds)):
            reply_path(place, job).write_bytes(work(job))


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
