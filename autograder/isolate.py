"""Runs jobs in a forked child, so that a loop without end, a crash or a changed global stays there."""

import contextlib
import gc
import json
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
Work = Callable[[Path], Callable[[int], bytes]]  # for a folder, what does its jobs by their numbers


_ours: set[int] = set()  # this process's ends of the pipes to its children
_ending: list[int] = []  # children that have been ended, until that has been noted: they count as processes


def reply_path(folder: Path, index: int) -> Path:
    return folder / f"reply-{index}"


class Isolated:
    """A child of this process that does the jobs of one folder after the other.

    When it ends early, or a job takes longer than it may, that job's reply says so and a new child goes on with the
    next one. The children's standard streams lead nowhere.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._child = 0  # the process, where there is one
        self._tell = self._hear = -1  # pipes to and from it

    def run(
        self, folder: Path, seconds: Sequence[float], *, patience: float | None = None, goes_on: bool = True
    ) -> bool:
        """Leave the bytes of `work(folder)(i)` in `reply_path(folder, i)` for every i in `range(len(seconds))`.

        `seconds[i]` is what job i may take. `patience` is the limit of the jobs that follow one which ran out of time:
        a loop without end costs its time once, not once a job. Returns whether one child has done them all; unless it
        `goes_on`, no other is started: a child of this process would not be the same any more.
        """
        limits, done, whole = list(seconds), 0, True
        while done < len(limits):
            self.start()
            with contextlib.suppress(BrokenPipeError):  # it has ended since; that shows in a moment
                os.write(self._tell, json.dumps([str(folder), done, len(limits)]).encode() + b"\n")
            done, late = self._watch(done, limits, folder)
            whole = whole and bool(self._child)
            if not (whole or goes_on):
                return False
            if late and patience is not None:
                limits[done:] = [min(limit, patience) for limit in limits[done:]]
        return whole

    def start(self) -> None:
        """Fork the child, unless it is there."""
        if self._child:
            return
        _reap()
        reading, self._tell = os.pipe()
        self._hear, writing = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._tell)
            os.close(self._hear)
            for handle in _ours:  # of other children
                os.close(handle)
            _be_child(self._work, reading, writing)
        os.close(reading)
        os.close(writing)
        _ours.update((self._tell, self._hear))

    def end(self, *, ended: bool = False, wait: bool = True) -> None:
        """End the child and all that it started; a child that leaves its own group is ended by itself."""
        if not self._child:
            return
        for kill in (os.killpg,) if ended else (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(self._child, signal.SIGKILL)
        if not ended:
            _ending.append(self._child)
            _reap(wait=wait)
        for handle in (self._tell, self._hear):
            os.close(handle)
            _ours.discard(handle)
        self._child = 0

    def _watch(self, done: int, seconds: Sequence[float], folder: Path) -> tuple[int, bool]:
        """Wait until the jobs are done or the child has ended; returns how many have a reply, and whether one is late.

        An interrupt from the keyboard does not reach a child in a group of its own.
        """
        deadline, ended = time.monotonic() + seconds[done], 0
        try:
            while done < len(seconds) and (left := deadline - time.monotonic()) > 0:
                ready = select.select([self._hear], [], [], min(_LOOK, left))[0]
                replies = len(os.read(self._hear, len(seconds))) if ready else 0
                if replies:
                    done = min(done + replies, len(seconds))
                    deadline = time.monotonic() + seconds[min(done, len(seconds) - 1)]
                elif ended:
                    break  # and there is nothing more to be read
                else:
                    ended, _ = os.waitpid(self._child, os.WNOHANG)
                    if ready and not ended:
                        time.sleep(_SOON)  # its end of the pipe is closed
        except BaseException:
            self.end(ended=bool(ended))
            raise
        if done == len(seconds):
            return done, False
        self.end(ended=bool(ended))
        what = failure("crash") if ended else failure("time", seconds=seconds[done])
        reply_path(folder, done).write_bytes(encode(what))
        return done + 1, not ended


def _reap(*, wait: bool = False) -> None:
    for child in list(_ending):
        with contextlib.suppress(ChildProcessError):
            if not os.waitpid(child, 0 if wait else os.WNOHANG)[0]:
                continue
        _ending.remove(child)


def run_isolated(
    work: Callable[[int], bytes], seconds: Sequence[float], folder: Path, *, patience: float | None = None
) -> None:
    """Do one folder's jobs in a child that ends with them (see `Isolated.run`)."""
    child = Isolated(lambda _: work)
    try:
        child.run(folder, seconds, patience=patience)
    finally:
        child.end()


def leave_the_parent() -> None:
    """In a forked child: a group of processes of its own, streams that lead nowhere, signals that end it."""
    os.setsid()  # so that the parent can end whatever this child starts, too
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.stdin, sys.stdout, sys.stderr = (open(os.devnull, mode) for mode in ("r", "w", "w"))  # noqa: SIM115
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_DFL)


def _be_child(work: Work, told: int, done: int) -> None:
    """Do the jobs and end, without running anything of the parent's on the way out; a byte to `done` for each."""
    try:
        leave_the_parent()
        gc.freeze()  # else each collection copies what it looks at
        with os.fdopen(told, "rb") as lines:
            for line in lines:
                folder, first, count = json.loads(line)
                do = work(Path(folder))
                for job in range(first, count):
                    reply_path(Path(folder), job).write_bytes(do(job))
                    os.write(done, b".")
    finally:
        os._exit(0)
