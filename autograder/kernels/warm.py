"""A kernel provisioner of jupyter_client whose kernels are forked from a warm process, in a tenth of a cold start.

The standard library's forkserver could do the forking, but it listens on a socket in the file system, which a student's
kernel of the same user could reach; this one is reached through an inherited socket pair only.
"""

import asyncio
import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from queue import Empty
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Dict, List, Type, Unicode, default

from autograder.kernels.nursery import LARGEST
from autograder.kernels.policy import ENDED, NAMESPACES, REASONS
from autograder.untrusted import read_untrusted

PROVISIONER = "autograder-warm"
# What a chapter's first cells import, what an exam needs, and a call of "module:function" that loads more.
PRELOAD = (
    "torch",
    "numpy",
    "matplotlib.pyplot",
    "transformers",
    "autograder.ask",
    "autograder.selfcheck",
    "autograder.devices:warm_up",
)
ONE_THREAD = {"OMP_THREAD_LIMIT": "1"}  # OpenMP's: without it the children that a kernel forks hang
# Read when torch and Matplotlib are loaded, so that a kernel's own environment comes too late. The backend is the one
# that any kernel has.
_ENVIRONMENT = {
    **ONE_THREAD,
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a kernel's debugger warns of Python's frozen modules
}
# What a warm process and confined kernels see of the grader's environment, which may hold passwords.
_SHOWN = ("PATH", "LANG", "LANGUAGE", "TZ", "PYTHONPATH", "PYTHONWARNINGS", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
_SHOWN_PREFIXES = ("LC_", "OMP_", "MKL_", "AUTOGRADER_", "NBGRADER_", "MPL")


_MOMENT, _MOMENTS = 0.005, 200  # seconds between two looks at a kernel that is about to end or begin, and how many
_LARGEST_MESSAGE, _MESSAGES = 32 * 2**20, 8  # bytes of a message that a kernel sends, and how many may wait


def available() -> bool:
    """Whether kernels can be forked and watched here (Linux), and jupyter_client knows of the provisioner.

    It does not where the package lies on the path without being installed, or was installed before it had one.
    """
    registered = entry_points(group="jupyter_client.kernel_provisioners", name=PROVISIONER)
    return sys.platform == "linux" and hasattr(os, "pidfd_open") and bool(registered)


def shown(environment: Mapping[str, str], more: Sequence[str] = ()) -> dict[str, str]:
    """The part of an environment that is for confined kernels."""
    names = {*_SHOWN, *more}
    return {name: value for name, value in environment.items() if name in names or name.startswith(_SHOWN_PREFIXES)}


class Nursery:
    """The warm process, and a line to it."""

    def __init__(self, preload: Sequence[str]) -> None:
        ours, theirs = _line()
        with theirs:
            # -P and the root folder: what lies where the grader was started is not for a kernel to import
            command = [sys.executable, "-P", "-m", "autograder.kernels.nursery", str(theirs.fileno())]
            self.process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd="/",
                env={**shown(os.environ), **_ENVIRONMENT},
                start_new_session=True,  # an interrupt from the keyboard is for the grader
            )
        self.line = ours
        self.line.send(json.dumps({"preload": list(preload)}).encode())
        self.ready = False

    def fork(self, request: dict[str, Any]) -> int:
        """Ask for a kernel; returns its process id. Raises RuntimeError when the warm process has ended."""
        return int(self.request({"do": "kernel", "policy": None, **request})["pid"])

    def request(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have the warm process do something. Raises RuntimeError when it has ended."""
        self._wait()
        self.line.send(json.dumps(request).encode())
        return self._receive()

    def share(self) -> socket.socket:
        """A further line to the warm process, for `adopt` in a process that is forked from this one."""
        ours, theirs = _line()
        with theirs:
            self._wait()
            socket.send_fds(self.line, [json.dumps({"do": "share"}).encode()], [theirs.fileno()])
            self._receive()
        return ours

    def _wait(self) -> None:
        if not self.ready:
            self._receive()
            self.ready = True

    def _receive(self) -> dict[str, Any]:
        data = self.line.recv(LARGEST)
        if not data:
            raise RuntimeError("the process that kernels are forked from has ended: run the command again")
        return dict(json.loads(data))

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def close(self) -> None:
        """End the warm process, and with it the kernels that are left."""
        self.line.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class _Adopted(Nursery):
    """A line to a warm process that another process has started."""

    def __init__(self, line: socket.socket) -> None:
        self.line, self.ready = line, True

    @property
    def ended(self) -> bool:
        return bool(select.select([self.line], [], [], 0)[0])  # only its end is there to be read between requests

    def close(self) -> None:
        self.line.close()


def _line() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


_nurseries: dict[tuple[tuple[str, ...], int], Nursery] = {}  # by preloaded modules and process


def nursery(preload: Sequence[str] = PRELOAD) -> Nursery:
    """This process's nursery for these modules; a new one where the old one has ended."""
    key = (tuple(preload), os.getpid())
    if key not in _nurseries or _nurseries[key].ended:
        _nurseries[key] = Nursery(preload)
        atexit.register(_nurseries[key].close)
    return _nurseries[key]


def adopt(line: socket.socket, preload: Sequence[str] = PRELOAD) -> None:
    """Let this process, forked from one that has a nursery, use a line which that one shared."""
    _nurseries[tuple(preload), os.getpid()] = _Adopted(line)


class _Watched:
    """What a provisioner needs of `subprocess.Popen`, for a process that is not a child of this one."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid, self.returncode = pid, None
        self._handle: int | None = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """None while it runs; 0 afterwards, for only its parent could tell more."""
        if self._handle is not None and select.select([self._handle], [], [], 0)[0]:
            os.close(self._handle)
            self._handle = None
        return None if self._handle is not None else 0

    def wait(self, timeout: float | None = None) -> int:
        if self._handle is not None:
            select.select([self._handle], [], [], timeout)
        return self.poll() or 0

    def send_signal(self, number: int) -> None:
        if self.poll() is None and self._handle is not None:
            signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class WarmProvisioner(LocalProvisioner):
    """Provides kernels by forking. A kernelspec names it: its metadata's `kernel_provisioner.provisioner_name`."""

    preload = List(Unicode(), list(PRELOAD), help="Modules that the warm process imports.").tag(config=True)

    process: Any = None
    _folder: str | None = None

    async def pre_launch(self, **options: Any) -> dict[str, Any]:
        # jupyter_client's path for ipc is relative, and the kernel works in another folder
        self._folder = tempfile.mkdtemp(prefix="kernel-")
        os.mkdir(os.path.join(self._folder, "root"))
        manager = self.parent
        manager.transport, manager.ip = "ipc", os.path.join(self._folder, "socket")
        manager.connection_file = os.path.join(self._folder, "connection.json")
        return await super().pre_launch(**options)

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        policy = getattr(self.parent, "policy", None) or None
        environment = {**options["env"], **_ENVIRONMENT}
        request = {
            "arguments": cmd[cmd.index("-f") :],
            "cwd": str(options.get("cwd") or os.getcwd()),
            "env": shown(environment, policy["environment"]) | _ENVIRONMENT if policy else environment,
            "policy": {**policy, "folder": self._folder} if policy else None,
        }
        pid = nursery(self.preload).fork(request)
        self.process, self.pid, self.pgid = _Watched(pid), pid, pid
        return self.connection_info

    async def wait(self) -> int | None:
        """As jupyter_client's, which looks ten times a second."""
        while self.process is not None and self.process.poll() is None:
            await asyncio.sleep(_MOMENT)
        self.process = None
        return 0

    async def kill(self, restart: bool = False) -> None:
        policy = getattr(self.parent, "policy", None)
        if self.process is not None and policy and NAMESPACES not in policy["layers"]:
            self.process.terminate()  # its keeper has to end, itself, what the kernel has left behind
            self.process.wait(timeout=5)
        await super().kill(restart)
        for _ in range(_MOMENTS):  # jupyter_client looks ten times a second
            if self.process is None or self.process.poll() is not None:
                return
            await asyncio.sleep(_MOMENT)

    def why_it_ended(self) -> str:
        """What the keeper of a confined kernel has left as the reason; empty where it left none."""
        with contextlib.suppress(OSError):
            said = read_untrusted(Path(self._folder or "", ENDED), 100).decode("utf-8", "replace")
            return said if said in REASONS.values() else ""
        return ""

    async def cleanup(self, restart: bool = False) -> None:
        await super().cleanup(restart)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class _Client(AsyncKernelClient):
    """A client that does not wait, at the start, until the kernel has said nothing for a fifth of a second."""

    @default("context")  # type: ignore[untyped-decorator]
    def _context_default(self) -> zmq.asyncio.Context:
        """Sockets that take no huge message and queue few: the rest waits in the kernel's memory, which is bounded."""
        self._created_context = True
        context = zmq.asyncio.Context()
        context.setsockopt(zmq.MAXMSGSIZE, _LARGEST_MESSAGE)
        context.setsockopt(zmq.RCVHWM, _MESSAGES)
        return context

    def start_channels(self, *args: Any, **options: Any) -> None:
        """Connect once the kernel's sockets are there: ZeroMQ would try again only after a tenth of a second."""
        sockets = [f"{self.ip}-{port}" for port in (self.shell_port, self.iopub_port, self.control_port)]
        for _ in range(_MOMENTS):
            if self.transport != "ipc" or all(map(os.path.exists, sockets)):
                break
            time.sleep(_MOMENT)
        super().start_channels(*args, **options)

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers on both channels. Raises RuntimeError when it has ended, or is late."""
        deadline = time.monotonic() + (timeout or float("inf"))
        while True:
            self.kernel_info()
            with contextlib.suppress(Empty):
                message = await self.shell_channel.get_msg(timeout=1)
                if message["msg_type"] == "kernel_info_reply":
                    await self.iopub_channel.get_msg(timeout=0.2)  # else this client is not connected to it yet
                    return
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")


class WarmKernelManager(AsyncKernelManager):
    """Starts warm kernels whatever kernelspec the notebook names: a submission's kernels are all of one kind."""

    client_factory = Type(_Client, klass=AsyncKernelClient)

    policy = Dict(help="What confines the kernel (see `policy`); nothing does where it is empty.")

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python (warm)",
            language="python",
            metadata={"kernel_provisioner": {"provisioner_name": PROVISIONER}},
        )
