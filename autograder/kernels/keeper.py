"""The process that stands between the grader and a confined kernel: it confines, watches, and lets nothing survive.

    nursery ── fork ──▸ outer process (what the grader watches) ── fork ──▸ process 1 ── fork ──▸ kernel

With namespaces, process 1 of the kernel's own process namespace keeps the kernel: when it ends, the system ends all
that lives in there. Without them the outer process is the keeper, and adopts and ends what the kernel leaves behind.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from autograder.kernels import layers, system
from autograder.kernels.policy import ENDED, LIMITS, NAMESPACES, NOT_CONFINED, OUT_OF_MEMORY, REASONS, USER, Policy

Run = Callable[[Callable[[], None]], None]  # starts a kernel, and calls what it is given when the kernel has started
_LOOK = 0.2  # seconds between two looks at memory


def keep(policy: Policy, run: Run) -> None:
    """Have a confined child do `run`, and end with it; never returns. For a child of the nursery."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the kernel, which is in this group of processes, too
        _let_go_of_everything()
        # opened here, for the folder is soon read-only to all in there
        report = os.open(os.path.join(policy["folder"], ENDED), os.O_WRONLY | os.O_CREAT, 0o644)
        if NAMESPACES not in policy["layers"]:
            system.adopt_orphans()
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
            code = _keep(policy, run, os.getpid(), report)
        else:
            number = os.getpid()
            layers.leave_namespaces()
            first = os.fork()
            if first == 0:
                system.die_with_parent(signal.SIGKILL)
                system.hide_memory()
                layers.build_root(policy)
                os._exit(_keep(policy, run, number, report))
            code = _status(os.waitpid(first, 0)[1])
    except SystemExit:
        pass
    except BaseException:
        code = NOT_CONFINED
    finally:
        if code in REASONS:
            os.write(report, REASONS[code].encode())
        if NAMESPACES not in policy["layers"]:
            _end_children()
        os._exit(code)


def _let_go_of_everything() -> None:
    """No file, socket or terminal of the grader is left open."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.closerange(3, 65536)


def _keep(policy: Policy, run: Run, number: int, report: int) -> int:
    """Start the kernel and wait for its end; returns its status, or why it was ended."""
    own_root = NAMESPACES in policy["layers"]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    started, start = os.pipe()
    locked, lock = os.pipe()
    kernel = os.fork()
    if kernel == 0:
        os.close(report)
        for handle in (started, lock):
            os.close(handle)
        _become_kernel(policy, run, number, (start, locked))
    for handle in (start, locked):
        os.close(handle)
    if os.read(started, 1):  # its sockets are there, and nothing of a submission has run
        if own_root:
            system.bind(policy["folder"], policy["folder"], read_only=True)
        os.write(lock, b".")
    for handle in (started, lock):
        os.close(handle)
    usual = _private_memory("self")
    while True:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == kernel:
                    return _status(ended[1])
        if own_root and LIMITS in policy["layers"] and _too_much(policy["memory"], usual):
            return OUT_OF_MEMORY
        signal.sigtimedwait([signal.SIGCHLD], _LOOK)


def _become_kernel(policy: Policy, run: Run, number: int, pipes: tuple[int, int]) -> None:
    try:
        system.die_with_parent(signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        layers.put_on(policy, number)
        if USER in policy["layers"]:
            system.die_with_parent(signal.SIGKILL)  # changing the user has cleared it
    except BaseException:
        os._exit(NOT_CONFINED)

    def lock() -> None:
        """The last layers, when the kernel has started."""
        os.write(pipes[0], b".")
        os.read(pipes[1], 1)
        for handle in pipes:
            os.close(handle)
        layers.lock(policy)

    run(lock)


def _status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status) & 255
    return 1 if code in REASONS and os.WIFSIGNALED(status) else code


# -- memory ----------------------------------------------------------------------------------------------------------


def _too_much(most: int, usual: int) -> bool:
    """Whether all processes in here use more than `most` bytes, without what they share with their common parent.

    Exact numbers cost the system a walk through every page, so that they are asked for only when a rough sum, which
    counts what forks share once a fork, is large.
    """
    if sum(max(0, _private_memory(process) - usual) for process in _processes()) <= most:
        return False
    exact = _exactly_used()
    return exact == 0 or exact > most


def _exactly_used() -> int:
    """In exact numbers, each page by the share that a process has of it; 0 where the system does not tell."""
    total = 0
    for process in _processes():
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def _processes() -> Iterator[str]:
    return (name for name in os.listdir("/proc") if name.isdigit() and name != "1")


def _private_memory(process: str) -> int:
    """Bytes of memory that no file stands for: its own, and what it shares with others by mmap."""
    total = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * 1024
    return total


# -- without namespaces ----------------------------------------------------------------------------------------------


def _end_children() -> None:
    """End whatever this process has for children, adopted ones included, until there are none."""
    while True:
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        try:
            for child in children.read_text().split():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(child), signal.SIGKILL)
            os.waitpid(-1, 0)
        except (ChildProcessError, FileNotFoundError):
            return
