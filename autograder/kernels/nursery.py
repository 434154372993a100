"""The process that warm kernels are forked from: it imports the heavy packages once, and nothing else runs in it.

Started as `python -m autograder.kernels.nursery FD` by `autograder.kernels.warm`. FD is one end of a socket pair, which
nobody else can reach; requests and answers are JSON datagrams. It ends when the other end is closed.

It must only import: a child hangs in OpenMP where its parent has started threads, and CUDA does not survive a fork.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

LARGEST = 2**20  # bytes of a request: arguments and environment
_ALWAYS = ("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "IPython.core.completer", "comm")


def main(handle: int) -> None:
    """Import what the first request names, then fork a kernel for each further one, until the other end is closed."""
    with socket.socket(fileno=handle) as line:
        line.send(json.dumps(_prepare(json.loads(line.recv(LARGEST))["preload"])).encode())
        children: set[int] = set()
        while True:
            ready, _, _ = select.select([line], [], [], 0.05 if children else None)
            if ready:
                request = line.recv(LARGEST)
                if not request:
                    break
                child = os.fork()
                if child == 0:
                    line.close()
                    _be_kernel(json.loads(request))
                children.add(child)
                line.send(json.dumps({"pid": child}).encode())
            _bury(children)
    for child in children:
        os.kill(child, signal.SIGKILL)


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
    return {"seconds": time.monotonic() - started, "failed": failed}


def _bury(children: set[int]) -> None:
    while children:
        child, _ = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        children.discard(child)


def _be_kernel(request: dict[str, Any]) -> None:
    """Become an ipykernel in the requested folder and environment; never returns."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        # ipykernel ends when its parent does; it has read the variable that usually says who that is, long ago
        arguments = [*request["arguments"], f"--IPKernelApp.parent_handle={os.getppid()}"]
        sys.argv = ["ipykernel_launcher", *arguments]
        sys.path[0:0] = [""]  # as for any kernel, its own folder comes first

        from ipykernel.kernelapp import IPKernelApp

        app = IPKernelApp.instance()
        app.initialize(arguments)
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
