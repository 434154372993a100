"""Runs jobs in forked children, so that a loop without end, a crash or a changed global stays in its own job."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from autograder.runners import failure
from autograder.serialize import encode

_POLL = 0.001  # seconds between two looks at a child


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
        child = os.fork()
        if child == 0:
            _be_child(work, range(done, len(limits)), folder)
        done, late = _watch(child, done, limits, folder)
        if late and patience is not None:
            limits[done:] = [min(limit, patience) for limit in limits[done:]]


def _be_child(work: Callable[[int], bytes], jobs: range, folder: Path) -> None:
    """Do the jobs and end, without running anything of the parent's on the way out."""
    try:
        os.setsid()  # so that the parent can end whatever this child starts, too
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        sys.stdin, sys.stdout, sys.stderr = (open(os.devnull, mode) for mode in ("r", "w", "w"))  # noqa: SIM115
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, signal.SIG_DFL)
        for job in jobs:
            _write(reply_path(folder, job), work(job))
    finally:
        os._exit(0)


def _watch(child: int, done: int, seconds: Sequence[float], folder: Path) -> tuple[int, bool]:
    """Wait until the child has ended; returns the number of jobs that have a reply then, and whether one was late."""
    deadline = time.monotonic() + seconds[done]
    pause, ended = _POLL, 0
    try:
        while True:
            ended, _ = os.waitpid(child, os.WNOHANG)
            before = done
            while done < len(seconds) and reply_path(folder, done).exists():
                done += 1
            if done > before and done < len(seconds):
                deadline, pause = time.monotonic() + seconds[done], _POLL
            if ended or done == len(seconds) or time.monotonic() > deadline:
                break
            time.sleep(pause)
            pause = min(pause * 1.2, 0.05)
    finally:  # an interrupt from the keyboard does not reach a child in a group of its own
        _end(child, ended=bool(ended))
    if done == len(seconds):
        return done, False
    what = failure("crash") if ended else failure("time", seconds=seconds[done])
    _write(reply_path(folder, done), encode(what))
    return done + 1, not ended


def _end(child: int, *, ended: bool) -> None:
    """End the child and all that it started; a child that leaves its own group is ended by itself."""
    for kill in (os.killpg,) if ended else (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)
    if not ended:
        os.waitpid(child, 0)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: the reader looks for the final name."""
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.rename(path)
