"""Tries every layer of a sandbox in a forked child, and says which this machine gives, and why not the others."""

import os
import socket
import sys
from collections.abc import Callable

from autograder.kernels import layers, system
from autograder.kernels.policy import LANDLOCK, LIMITS, NAMESPACES, SECCOMP, SIGNALS, USER, Policy


def probe(policy: Policy) -> dict[str, str]:
    """By layer an empty text where it works, else the reason why not. `policy` names folders to try them on."""
    namespaces = _tried(lambda: _namespaces(policy))
    return {
        NAMESPACES: namespaces,
        USER: _tried(lambda: _another_user(policy, own_root=not namespaces)),
        LIMITS: _tried(lambda: layers.limit(policy)),
        LANDLOCK: _tried(lambda: layers.confine_files(policy)),
        SIGNALS: _tried(_landlock_of_signals),
        SECCOMP: _tried(lambda: _no_network(policy)),
    }


def _namespaces(policy: Policy) -> None:
    layers.leave_namespaces()
    reason = _tried(lambda: layers.build_root(policy))
    if reason:
        raise OSError(reason)


def _another_user(policy: Policy, *, own_root: bool) -> None:
    if os.geteuid() != 0:
        raise OSError("the grader is not root")
    layers.become(layers.spare_user(os.getpid()), {**policy, "layers": [NAMESPACES] if own_root else []})
    for path in () if own_root else (sys.base_prefix, sys.prefix, *policy["readable"], os.path.dirname(__file__)):
        if not os.access(path, os.R_OK | os.X_OK):
            raise OSError(f"another user may not read {path}, where Python or its packages are")


def _landlock_of_signals() -> None:
    version = system.landlock_version()
    if version < 6:
        raise OSError(f"Landlock's version here is {version}, and 6 is the first that stops signals")


def _no_network(policy: Policy) -> None:
    layers.forbid_calls(policy)
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
    except PermissionError:
        return
    raise OSError("the filter has no effect")


def _tried(work: Callable[[], None]) -> str:
    """Do `work` in a child of its own; returns why it failed, or an empty text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        reason = "it ended its process"
        try:
            work()
            reason = ""
        except BaseException as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            reason = text or type(error).__name__
        finally:
            os.write(writing, b"." + reason.encode()[:1000])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return answer[1:].decode() if answer else "it ended its process"
