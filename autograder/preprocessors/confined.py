"""nbgrader's Execute in a confined kernel: what it sends is data, bounded and checked, and it may end at any time."""

import asyncio
import os
import shutil
import time
from pathlib import Path
from queue import Empty
from typing import Any

from nbclient.client import CellExecutionComplete, NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async, run_sync
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import Execute
from traitlets import Integer, default

from autograder.kernels.policy import WORK
from autograder.kernels.sandbox import Sandbox
from autograder.kernels.warm import ONE_THREAD, WarmKernelManager, available
from autograder.messages import GRADING
from autograder.selfcheck import IN_PROCESS

_MAX_COPIED = 64 * 2**20  # bytes of a submission's other files that its cells may read
_MAX_FILES = 500
_MESSAGES = frozenset(
    ("status", "execute_input", "stream", "display_data", "update_display_data", "execute_result", "error")
) | {"clear_output"}  # comm messages, of widgets, have no bound
_STARTS = 3  # tries to start a kernel
_SECONDS_TO_RESPOND = 10
_LOOK = 0.2  # seconds between two looks at whether the kernel is alive
# One thread a kernel: answers are run in forked children, which hang where OpenMP has started threads before.
_KERNEL_ENVIRONMENT = {**ONE_THREAD, IN_PROCESS: ""}


class KernelLost(Exception):
    """The kernel has ended, or does not answer; says how."""


class ConfinedExecute(Execute):
    """Runs cells one by one in a confined kernel. A subclass says when to begin again after `KernelLost`."""

    max_output = Integer(
        2**20, help="Characters of output that one cell may make; what comes after them is dropped."
    ).tag(config=True)

    @default("extra_arguments")  # type: ignore[untyped-decorator]
    def _extra_arguments_default(self) -> list[str]:
        return ["--HistoryManager.hist_file=:memory:", "--Application.log_level=ERROR"]

    @default("shutdown_kernel")  # type: ignore[untyped-decorator]
    def _shutdown_kernel_default(self) -> str:
        return "immediate"  # a polite shutdown costs over a second, and the kernel has nothing to save

    @default("record_timing")  # type: ignore[untyped-decorator]
    def _record_timing_default(self) -> bool:
        return False  # the same submission gives the same file

    @default("raise_on_iopub_timeout")  # type: ignore[untyped-decorator]
    def _raise_on_iopub_timeout_default(self) -> bool:
        return False  # a flood of output may lose the message that says that a cell is done

    def _confine(self, sandbox: Sandbox, scratch: Path, files: Path, *, cuda: bool, language: str) -> None:
        """Before the first cell: where the kernel works, with a copy of the submission's other files."""
        self._sandbox, self._scratch, self._cuda, self._language = sandbox, scratch, cuda, language
        self._printed, self._dropped, self._heard = 0, False, True
        _copy_files(files, scratch / WORK)

    def create_kernel_manager(self) -> Any:
        if available():
            policy = self._sandbox.policy(self._scratch, cuda=self._cuda)
            self.km = WarmKernelManager(config=self.config, policy=policy or {})
            return self.km
        self._sandbox.demand()  # kernels that start by themselves cannot be confined
        return super().create_kernel_manager()

    async def async_start_new_kernel(self, **options: Any) -> None:
        environment = {**os.environ, **_KERNEL_ENVIRONMENT, **options.pop("env", {})}
        await super().async_start_new_kernel(env=environment, **options)

    start_new_kernel = run_sync(async_start_new_kernel)

    async def async_start_new_kernel_client(self) -> Any:
        """Wait for the kernel; one that does not start is tried again, at last without the submission's other files."""
        for attempt in range(1, _STARTS + 1):
            try:
                return await super().async_start_new_kernel_client()
            except RuntimeError as error:
                why = self._how_it_ended(error)
                self.log.warning("The kernel did not start: %s", why)
                if attempt == _STARTS:
                    raise NbGraderException(f"no kernel could be started ({why}): see `autograder doctor`") from None
            if attempt == _STARTS - 1:
                shutil.rmtree(self._scratch / WORK, ignore_errors=True)
                (self._scratch / WORK).mkdir()
            await self._async_cleanup_kernel()
            self.km = self.create_kernel_manager()
            await self.async_start_new_kernel()
        return None

    start_new_kernel_client = run_sync(async_start_new_kernel_client)

    async def _async_poll_kernel_alive(self) -> None:
        """As nbclient's, but sooner, and without an error when the kernel has been replaced."""
        while self.kc is not None:
            await asyncio.sleep(_LOOK)
            if self.kc is not None and not await ensure_async(self.kc.is_alive()):
                if self.task_poll_for_reply is not None:
                    self.task_poll_for_reply.cancel()
                return

    def _execute(self, cell: NotebookNode, index: int) -> None:
        """Run a cell's source in place of the notebook's cell `index`. Raises KernelLost."""
        there = self.nb.cells[index]
        try:
            self.execute_cell(cell, index, store_history=cell is there)
            if not self._heard and not was_late(cell):  # what it sent was too much for the connection
                self.kc.stop_channels()  # type: ignore[has-type]
                self.kc = None
                NotebookClient.start_new_kernel_client(self)
                self._say_too_much(cell)
        except Exception as error:  # whatever a kernel can send to upset the client
            raise KernelLost(self._how_it_ended(error)) from None
        finally:
            self.nb.cells[index] = there  # nbclient has put its own there

    async def _async_poll_output_msg(self, parent_msg_id: str, cell: NotebookNode, cell_index: int) -> None:
        self._heard = False
        await super()._async_poll_output_msg(parent_msg_id, cell, cell_index)
        self._heard = True  # the message that says that the cell is done

    async def _async_call(self, seconds: float, function: str, folder: Path) -> bool:
        """Have the kernel call a function of `autograder.ask`; whether it ran without an error. Raises KernelLost.

        Not as a cell: what the call shows is not waited for.
        """
        source = f"__import__('autograder.ask', fromlist=['ask']).{function}({str(folder)!r})"
        kernel: Any = self.kc  # type: ignore[has-type]
        deadline = time.monotonic() + seconds
        try:
            asked = kernel.execute(source, silent=True, store_history=False, allow_stdin=False)
            while (left := deadline - time.monotonic()) > 0:
                try:
                    reply = await ensure_async(kernel.shell_channel.get_msg(timeout=min(left, _LOOK)))
                except Empty:
                    if not await ensure_async(kernel.is_alive()):
                        raise DeadKernelError("Kernel died") from None
                    continue
                if reply["parent_header"].get("msg_id") == asked:
                    return bool(reply["content"]["status"] == "ok")
            raise CellTimeoutError(f"{function}: no reply in {seconds:.0f} s")
        except Exception as error:  # whatever a kernel can send to upset the client
            raise KernelLost(self._how_it_ended(error)) from None

    _call = run_sync(_async_call)

    def _responds(self) -> bool:
        try:
            return bool(self._call(_SECONDS_TO_RESPOND, "responds", self._scratch))
        except KernelLost:
            return False

    def _replace_kernel(self) -> None:
        self._cleanup_kernel()
        self.km = self.create_kernel_manager()
        self.start_new_kernel()
        self.start_new_kernel_client()

    def _how_it_ended(self, error: Exception) -> str:
        """For the log: what was seen, and what the kernel's keeper says."""
        provisioner: Any = getattr(self.km, "provisioner", None)
        why = provisioner.why_it_ended() if hasattr(provisioner, "why_it_ended") else ""
        said = "took too long" if isinstance(error, CellTimeoutError) else "ended the kernel"
        odd = "" if isinstance(error, (CellTimeoutError, DeadKernelError)) else f" ({type(error).__name__})"
        return f"it {said}{odd}{f': {why}' if why else ''}"

    def _text(self, name: str, **values: str) -> str:
        return GRADING[name].format(**values).pick(self._language)

    @property
    def _too_much(self) -> str:
        return self._text("too_much", most=f"{self.max_output:,}")

    # -- output -----------------------------------------------------------------------------------------------------

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Take what a cell shows, within bounds, while it arrives; what is no message of ipykernel's is dropped."""
        try:
            if msg["msg_type"] not in _MESSAGES or not self._has_room(msg, cell):
                return None
            return super().process_message(msg, cell, cell_index)
        except CellExecutionComplete:
            raise
        except Exception as error:  # a kernel can send anything
            self.log.warning("Cell %d sent something that is no output (%s)", cell_index, type(error).__name__)
            return None

    def _has_room(self, msg: dict[str, Any], cell: NotebookNode) -> bool:
        if msg["msg_type"] in ("status", "execute_input", "clear_output"):
            return True
        if not cell.outputs:
            self._printed, self._dropped = 0, False
        size = sum(len(str(value)) for value in msg["content"].values())
        self._printed += min(size, self.max_output + 1)
        if self._printed <= self.max_output:
            return True
        if not self._dropped:
            self._dropped = True
            self._say_too_much(cell)
        return False

    def _say_too_much(self, cell: NotebookNode) -> None:
        cell.outputs.append(new_output("stream", name="stdout", text=f"\n{self._too_much}\n"))
        self.log.warning("A cell printed more than %d characters; the rest is dropped", self.max_output)


def was_late(cell: NotebookNode) -> bool:
    """Whether a cell was interrupted at its time limit."""
    return any(output.get("ename") == CellTimeoutError.__name__ for output in cell.outputs)


def _copy_files(source: Path, target: Path) -> None:
    """Copy the files that a student handed in beside the notebooks: real files only, within bounds."""
    target.mkdir()
    left, count = _MAX_COPIED, 0
    for path in sorted(source.rglob("*")) if source.is_dir() else []:
        if path.is_symlink() or not path.is_file() or path.suffix == ".ipynb":
            continue
        left, count = left - path.stat().st_size, count + 1
        if left < 0 or count > _MAX_FILES:
            break
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
