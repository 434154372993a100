"""The process that warm kernels are forked from: it imports the heavy packages once, and nothing else runs in it.

Started as `python -m autograder.kernels.nursery FD` by `autograder.kernels.warm`. FD is one end of a socket pair, which
nobody else can reach; requests and answers are JSON datagrams. A grader with several processes hands over a line for
each. A kernel ends when the line that asked for it is closed, and this process when no line is left.

It must only import: a child hangs in OpenMP where its parent has started threads, and CUDA does not survive a fork.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from autograder.kernels import system

LARGEST = 2**20  # bytes of a request: arguments and environment
# What every kernel imports when it starts: half of the time that it takes is its debugger's.
_ALWAYS = (
    *("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.debugger", "comm", "sqlite3"),
    *("IPython.core.completer", "IPython.core.oinspect", "IPython.extensions.storemagic", "tornado.platform.asyncio"),
)

Children = dict[int, socket.socket]  # the line that asked for each process


def main(handle: int) -> None:
    """Import what the first request names, then do what the lines ask for, until none is left."""
    lines, children = [socket.socket(fileno=handle)], Children()
    wanted = lines[0].recv(LARGEST)
    with contextlib.suppress(ConnectionError):  # whoever started this has ended already
        lines[0].send(json.dumps(_prepare(json.loads(wanted)["preload"])).encode())
    while lines:
        ready, _, _ = select.select(lines, [], [], 0.05 if children else None)
        for line in ready:
            data, handles = _receive(line)
            lines += [socket.socket(fileno=handle) for handle in handles]
            if data:
                answer = _do(json.loads(data), line, lines, children)
                with contextlib.suppress(OSError):
                    line.send(json.dumps(answer).encode())
            else:
                lines.remove(line)
                line.close()
                _end([child for child, owner in children.items() if owner is line], children)
        _bury(children)


def _receive(line: socket.socket) -> tuple[bytes, list[int]]:
    with contextlib.suppress(ConnectionError):
        data, handles, _, _ = socket.recv_fds(line, LARGEST, 1)
        return data, handles
    return b"", []


def _do(request: dict[str, Any], line: socket.socket, lines: list[socket.socket], children: Children) -> dict[str, Any]:
    if request["do"] == "kernel":
        child = _forked(lambda: _be_kernel(request), lines)
        children[child] = line
        return {"pid": child}
    if request["do"] == "probe":
        from autograder.kernels.probe import probe

        return probe(request["policy"])
    return {}  # another line was handed over


def _forked(work: Callable[[], None], lines: list[socket.socket]) -> int:
    child = os.fork()
    if child == 0:
        for line in lines:
            line.close()
        try:
            work()
        finally:
            os._exit(1)
    return child


def _prepare(modules: list[str]) -> dict[str, Any]:
    """Import, and take what was imported out of the garbage collector's sight, which would copy its pages."""
    started, failed = time.monotonic(), {}
    for name in (*_ALWAYS, *modules):
        module, _, function = name.partition(":")
        try:
            found = importlib.import_module(module)
            if function:
                getattr(found, function)()
        except Exception as error:  # a package that is not there is the kernel's own matter
            failed[name] = f"{type(error).__name__}: {error}"
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError):
        system.use_large_pages()
    return {"seconds": time.monotonic() - started, "failed": failed}


def _end(mine: list[int], children: Children) -> None:
    """End these: politely first, for a keeper without namespaces has to end what its kernel has left behind."""
    for number, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)):
        for child in mine:
            if child in children:
                os.kill(child, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(child in children for child in mine):
            _bury(children)
            time.sleep(0.005)


def _bury(children: Children) -> None:
    while children:
        child, _ = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        children.pop(child, None)


def _be_kernel(request: dict[str, Any]) -> None:
    """Become an ipykernel in the requested folder and environment, confined if asked to; never returns."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    policy = request["policy"]
    if policy is None:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # ipykernel ends when its parent does; it has read the variable that usually says who that is, long ago
        _run_kernel(
            [*request["arguments"], f"--IPKernelApp.parent_handle={os.getppid()}"], request["cwd"], lambda: None
        )
    else:
        from autograder.kernels.keeper import keep

        arguments = [*request["arguments"], "--IPKernelApp.parent_handle=1"]  # its keeper ends it
        keep(policy, lambda lock: _run_kernel(arguments, request["cwd"], lock))


def _run_kernel(arguments: list[str], folder: str, lock: Callable[[], None]) -> None:
    """Start ipykernel; `lock` is called when its sockets and threads are there, before any message is handled."""
    code = 1
    try:
        os.chdir("/")
        sys.argv = ["ipykernel_launcher", *arguments]

        from ipykernel.kernelapp import IPKernelApp

        app = IPKernelApp.instance()
        app.initialize(arguments)
        lock()
        os.chdir(folder)  # only now, for modules that lie there are a submission's
        sys.path[0:0] = [""]  # as for any kernel, its own folder comes first
        app.start()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException as error:
        print(f"A warm kernel could not start: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
