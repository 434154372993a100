"""Runs jobs in forked children, so that a loop without end, a crash or a changed global stays in its own job."""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from autograder.runners import failure
from autograder.serialize import encode

_LOOK, _SOON = 0.05, 0.001  # seconds between two looks at whether a child has ended


def reply_path(folder: Path, index: int) -> Path:
    return folder / f"reply-{index}"


def run_isolated(
    work: Callable[[int], bytes], seconds: Sequence[float], folder: Path, *, patience: float | None = None
) -> None:
    """Leave the bytes of `work(i)` in `reply_path(folder, i)` for every i in `range(len(seconds))`.

    One child does all jobs in turn. When it ends early, or when a job takes longer than `seconds[i]`, that job's reply
    says so and a new child goes on with the next. The children's standard streams lead nowhere. `patience` is the limit
    of the jobs that follow one which ran out of time: a loop without end costs its time once, not once a job.
    """
    limits, done = list(seconds), 0
    while done < len(limits):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _be_child(work, range(done, len(limits)), folder, writing)
        os.close(writing)
        done, late = _watch(child, done, limits, folder, reading)
        if late and patience is not None:
            limits[done:] = [min(limit, patience) for limit in limits[done:]]


def leave_the_parent() -> None:
    """In a forked child: a group of processes of its own, streams that lead nowhere, signals that end it."""
    os.setsid()  # so that the parent can end whatever this child starts, too
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.stdin, sys.stdout, sys.stderr = (open(os.devnull, mode) for mode in ("r", "w", "w"))  # noqa: SIM115
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_DFL)


def _be_child(work: Callable[[int], bytes], jobs: range, folder: Path, done: int) -> None:
    """Do the jobs and end, without running anything of the parent's on the way out; a byte to `done` for each."""
    try:
        leave_the_parent()
        for job in jobs:
            reply_path(folder, job).write_bytes(work(job))
            os.write(done, b".")
    finally:
        os._exit(0)


def _watch(child: int, done: int, seconds: Sequence[float], folder: Path, reading: int) -> tuple[int, bool]:
    """Wait until the child has ended; returns the number of jobs that have a reply then, and whether one was late."""
    deadline, ended = time.monotonic() + seconds[done], 0
    try:
        while done < len(seconds) and (left := deadline - time.monotonic()) > 0:
            ready = select.select([reading], [], [], min(_LOOK, left))[0]
            replies = len(os.read(reading, len(seconds))) if ready else 0
            if replies:
                done = min(done + replies, len(seconds))
                deadline = time.monotonic() + seconds[min(done, len(seconds) - 1)]
            elif ended:
                break  # and there is nothing more to be read
            else:
                ended, _ = os.waitpid(child, os.WNOHANG)
                if ready and not ended:
                    time.sleep(_SOON)  # its end of the pipe is closed
    finally:  # an interrupt from the keyboard does not reach a child in a group of its own
        os.close(reading)
        _end(child, ended=bool(ended))
    if done == len(seconds):
        return done, False
    what = failure("crash") if ended else failure("time", seconds=seconds[done])
    reply_path(folder, done).write_bytes(encode(what))
    return done + 1, not ended


def _end(child: int, *, ended: bool) -> None:
    """End the child and all that it started; a child that leaves its own group is ended by itself."""
    for kill in (os.killpg,) if ended else (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)
    if not ended:
        os.waitpid(child, 0)
