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
from autograder.kernels.policy import ENDED, LIMITS, NAMESPACES, USER, Policy

OUT_OF_MEMORY, NOT_CONFINED = "memory", "not confined"
_LOOK = 0.2  # seconds between two looks at memory


def keep(policy: Policy, run: Callable[[], None]) -> None:
    """Have a confined child do `run`, and end with it; never returns. For a child of the nursery."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the kernel, which is in this group of processes, too
        _let_go_of_everything()
        if NAMESPACES not in policy["layers"]:
            system.adopt_orphans()
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
            code = _keep(policy, run, os.getpid())
        else:
            number = os.getpid()
            layers.leave_namespaces()
            first = os.fork()
            if first == 0:
                system.die_with_parent(signal.SIGKILL)
                system.hide_memory()
                layers.build_root(policy)
                os._exit(_keep(policy, run, number))
            code = _status(os.waitpid(first, 0)[1])
    except SystemExit:
        pass
    except BaseException as error:
        _say(policy, f"{NOT_CONFINED}: {type(error).__name__}: {error}")
    finally:
        if NAMESPACES not in policy["layers"]:
            _end_children()
        os._exit(code)


def _let_go_of_everything() -> None:
    """No file, socket or terminal of the grader is left open."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.closerange(3, 65536)


def _keep(policy: Policy, run: Callable[[], None], number: int) -> int:
    """Start the kernel and wait for its end; returns its status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    kernel = os.fork()
    if kernel == 0:
        _become_kernel(policy, run, number)
    watch = NAMESPACES in policy["layers"] and LIMITS in policy["layers"]
    usual = _private_memory("self")
    while True:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == kernel:
                    return _status(ended[1])
        if watch and _used(usual) > policy["memory"] and (_exactly_used() or policy["memory"]) >= policy["memory"]:
            _say(policy, OUT_OF_MEMORY)
            return 1
        signal.sigtimedwait([signal.SIGCHLD], _LOOK)


def _become_kernel(policy: Policy, run: Callable[[], None], number: int) -> None:
    try:
        system.die_with_parent(signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        layers.put_on(policy, number)
        if USER in policy["layers"]:
            system.die_with_parent(signal.SIGKILL)  # changing the user has cleared it
    except BaseException as error:
        _say(policy, f"{NOT_CONFINED}: {type(error).__name__}: {error}")
        os._exit(1)
    run()


def _say(policy: Policy, reason: str) -> None:
    with contextlib.suppress(OSError):
        Path(policy["folder"], ENDED).write_text(reason)


def _status(status: int) -> int:
    return os.waitstatus_to_exitcode(status) & 255


# -- memory ----------------------------------------------------------------------------------------------------------


def _used(usual: int) -> int:
    """Bytes that all processes in here use, without what they share with the process that all were forked from.

    Exact numbers cost the system a walk through every page, so that they are asked for only when a rough sum, which
    counts what forks share once a fork, is large.
    """
    return sum(max(0, _private_memory(process) - usual) for process in _processes())


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
    with contextlib.suppress(OSError, ValueError, IndexError):
        _, resident, shared, *_ = Path(f"/proc/{process}/statm").read_text().split()
        return (int(resident) - int(shared)) * _PAGE
    return 0


_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


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
