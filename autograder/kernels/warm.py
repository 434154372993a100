"""A kernel provisioner of jupyter_client whose kernels are forked from a warm process, in a tenth of a cold start.

The standard library's forkserver could do the forking, but it listens on a socket in the file system, which a student's
kernel of the same user could reach; this one is reached through an inherited socket pair only.
"""

import atexit
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets import List, Unicode

from autograder.kernels.nursery import LARGEST

PROVISIONER = "autograder-warm"
# What a chapter's first cells import, what an exam needs, and a call of "module:function" that loads more.
PRELOAD = ("torch", "numpy", "matplotlib.pyplot", "autograder.ask", "autograder.devices:warm_up")
ONE_THREAD = {"OMP_THREAD_LIMIT": "1"}  # OpenMP's: without it the children that a kernel forks hang
# Read when torch and Matplotlib are loaded, so that a kernel's own environment comes too late. The backend is the one
# that any kernel has.
_ENVIRONMENT = {**ONE_THREAD, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}


def available() -> bool:
    """Whether kernels can be forked and watched here (Linux), and jupyter_client knows of the provisioner.

    It does not where the package lies on the path without being installed, or was installed before it had one.
    """
    registered = entry_points(group="jupyter_client.kernel_provisioners", name=PROVISIONER)
    return sys.platform == "linux" and hasattr(os, "pidfd_open") and bool(registered)


class Nursery:
    """The warm process, and the line to it."""

    def __init__(self, preload: Sequence[str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # -P and the root folder: what lies where the grader was started is not for a kernel to import
            command = [sys.executable, "-P", "-m", "autograder.kernels.nursery", str(theirs.fileno())]
            self.process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd="/",
                env={**os.environ, **_ENVIRONMENT},
                start_new_session=True,  # an interrupt from the keyboard is for the grader
            )
        self.line = ours
        self.line.send(json.dumps({"preload": list(preload)}).encode())
        self.ready = False

    def fork(self, request: dict[str, Any]) -> int:
        """Ask for a kernel; returns its process id. Raises RuntimeError when the warm process has ended."""
        if not self.ready:
            self._receive()
            self.ready = True
        self.line.send(json.dumps(request).encode())
        return int(self._receive()["pid"])

    def _receive(self) -> dict[str, Any]:
        data = self.line.recv(LARGEST)
        if not data:
            raise RuntimeError("the process that kernels are forked from has ended: run the command again")
        return dict(json.loads(data))

    def close(self) -> None:
        """End the warm process, and with it the kernels that are left."""
        self.line.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@cache
def _nursery(preload: tuple[str, ...], process: int) -> Nursery:
    nursery = Nursery(preload)
    atexit.register(nursery.close)
    return nursery


def nursery(preload: Sequence[str] = PRELOAD) -> Nursery:
    """This process's nursery for these modules; a new one where the old one has ended."""
    found = _nursery(tuple(preload), os.getpid())
    if found.process.poll() is not None:
        atexit.unregister(found.close)
        _nursery.cache_clear()
        found = _nursery(tuple(preload), os.getpid())
    return found


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

    _folder: str | None = None

    async def pre_launch(self, **options: Any) -> dict[str, Any]:
        # jupyter_client's path for ipc is relative, and the kernel works in another folder
        self._folder = tempfile.mkdtemp(prefix="kernel-")
        manager = self.parent
        manager.transport, manager.ip = "ipc", os.path.join(self._folder, "socket")
        manager.connection_file = os.path.join(self._folder, "connection.json")
        return await super().pre_launch(**options)

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        request = {
            "arguments": cmd[cmd.index("-f") :],
            "cwd": str(options.get("cwd") or os.getcwd()),
            "env": {**options["env"], **_ENVIRONMENT},
        }
        pid = nursery(self.preload).fork(request)
        self.process, self.pid, self.pgid = _Watched(pid), pid, pid
        return self.connection_info

    async def cleanup(self, restart: bool = False) -> None:
        await super().cleanup(restart)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class WarmKernelManager(AsyncKernelManager):
    """Starts warm kernels whatever kernelspec the notebook names: a submission's kernels are all of one kind."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python (warm)",
            language="python",
            metadata={"kernel_provisioner": {"provisioner_name": PROVISIONER}},
        )
