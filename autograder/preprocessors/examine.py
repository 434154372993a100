"""nbgrader's Execute with a trusted examiner: graded cells are judged from outside the kernel.

Cells run in the student's kernel as ever, in a scratch folder. A graded cell that has an exercise file is not run:
the kernel gets its hidden inputs and hands back outputs as bytes, and this process compares them with the reference.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbclient.util import run_sync
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output
from nbgrader.preprocessors import Execute
from nbgrader.utils import is_grade
from traitlets import Bool, Integer, default

from autograder.ask import write_question
from autograder.examiner import Exam, mark, seconds_for, unasked
from autograder.exercise import Exercise
from autograder.kernels.warm import ONE_THREAD, WarmKernelManager, available
from autograder.key import Key
from autograder.notebook import grade_id
from autograder.preprocessors.release import InCourse, SelectLanguage
from autograder.render import as_mimebundle
from autograder.selfcheck import IN_PROCESS
from autograder.solutions import load_chapter
from autograder.verdict import Verdict

_ASK = "__import__('autograder.ask', fromlist=['ask']).answer_question({folder!r})"
_MAX_COPIED = 64 * 2**20  # bytes of a submission's other files that its cells may read
_MAX_FILES = 500
_FRESH_KERNELS = 3  # for one cell; after that it is judged without the cells before it
# One thread a kernel: answers are run in forked children, which hang where OpenMP has started threads before.
_KERNEL_ENVIRONMENT = {**ONE_THREAD, IN_PROCESS: ""}


class Examine(InCourse, Execute):
    """Runs a submission and judges its exercises. Put it in place of Execute in c.Autograde.autograde_preprocessors."""

    warm_kernels = Bool(
        True,
        help="Fork kernels from a process that has imported torch already (Linux); else each starts by itself.",
    ).tag(config=True)

    max_output = Integer(
        2**20, help="Characters of output that one cell may make; what comes after them is dropped."
    ).tag(config=True)

    @default("extra_arguments")  # type: ignore[untyped-decorator]
    def _extra_arguments_default(self) -> list[str]:
        return ["--HistoryManager.hist_file=:memory:", "--Application.log_level=ERROR"]

    @default("shutdown_kernel")  # type: ignore[untyped-decorator]
    def _shutdown_kernel_default(self) -> str:
        return "immediate"  # a polite shutdown costs over a second, and the kernel has nothing to save

    def preprocess(self, nb: NotebookNode, resources: Any = None, km: Any = None) -> tuple[NotebookNode, Any]:
        folder = self.chapter_folder(resources)
        self._chapter: dict[str, Exercise] = load_chapter(folder) if folder.is_dir() else {}
        self._exam, self._language = Exam(parent=self), SelectLanguage(parent=self).language
        self._killers: set[int] = set()
        self._printed = 0
        metadata = resources.setdefault("metadata", {})
        home = metadata.get("path", "")
        self._scratch = Path(tempfile.mkdtemp(prefix="autograder-"))
        _copy_files(Path(home), self._scratch / "work")
        # The kernel works in a copy: beside the autograded notebook lie the hidden tests.
        metadata["path"] = str(self._scratch / "work")
        try:
            return super().preprocess(nb, resources, km)
        finally:
            metadata["path"] = home
            shutil.rmtree(self._scratch, ignore_errors=True)

    def create_kernel_manager(self) -> Any:
        if self.warm_kernels and available():
            self.km = WarmKernelManager(config=self.config)
            return self.km
        return super().create_kernel_manager()

    async def async_start_new_kernel(self, **options: Any) -> None:
        environment = {**os.environ, **_KERNEL_ENVIRONMENT, **options.pop("env", {})}
        await super().async_start_new_kernel(env=environment, **options)

    start_new_kernel = run_sync(async_start_new_kernel)

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> tuple[NotebookNode, Any]:
        if cell.cell_type == "code" and self._is_exam(cell):
            self._examine(cell, index, self._exam.key(self._chapter[cell.metadata.nbgrader.grade_id]))
            return cell, resources
        try:
            return super().preprocess_cell(cell, resources, index)
        except (DeadKernelError, CellTimeoutError) as error:
            self._killers.add(index)
            self._say_it_ended(cell, error)
            self._begin_again(index)
            return cell, resources

    # -- an exam cell -----------------------------------------------------------------------------------------------

    def _examine(self, cell: NotebookNode, index: int, key: Key) -> None:
        folder = Path(tempfile.mkdtemp(prefix="question-", dir=self._scratch))
        made_up = key.device and self._exam.place == "cpu"
        write_question(folder, list(key.trials), dict(key.stand_ins), self._exam.place, made_up)
        try:
            asked = self._ask(folder, index, seconds_for(key))
            verdict = mark(key, folder) if asked else unasked(key)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self.nb.cells[index] = cell  # nbclient has put the question's cell there
        self._record(cell, verdict)

    def _ask(self, folder: Path, index: int, seconds: float) -> bool:
        """Have the kernel answer the question in `folder`; False where there is no kernel to ask."""
        if self.kc is None:
            return False
        usual = self.timeout  # type: ignore[has-type]
        self.timeout = int(seconds)
        try:
            self.execute_cell(new_code_cell(_ASK.format(folder=str(folder))), index, store_history=False)
        except (DeadKernelError, CellTimeoutError):
            self._begin_again(index)
        finally:
            self.timeout = usual
        return True

    def _record(self, cell: NotebookNode, verdict: Verdict) -> None:
        """The marks as nbgrader reads them (a plain number from 0 to the maximum), and the verdict for people."""
        bundle = as_mimebundle(verdict, self._language)
        cell.execution_count = None
        cell.outputs = [
            new_output("display_data", data=bundle),
            new_output("execute_result", data={"text/plain": repr(float(verdict.score))}, execution_count=None),
        ]
        self.log.info("%s: %g of %g points", verdict.slug, verdict.score, verdict.points)

    # -- a kernel that ended ----------------------------------------------------------------------------------------

    def _begin_again(self, index: int) -> None:
        """A fresh kernel with the state that the cells before `index` leave, without those that ended a kernel."""
        for _ in range(_FRESH_KERNELS):
            self._replace_kernel()
            killer = self._replay(index)
            if killer is None:
                return
            self._killers.add(killer)
            self.log.warning("Cell %d ends the kernel when it is run again; it is left out", killer)
        self._killers.update(range(index))
        self._replace_kernel()

    def _replay(self, index: int) -> int | None:
        """Run the cells before `index` again, keeping their outputs; returns the cell that ended the kernel, if any."""
        for earlier in range(index):
            cell = self.nb.cells[earlier]
            if earlier in self._killers or cell.cell_type != "code" or self._is_exam(cell):
                continue
            try:
                self.execute_cell(new_code_cell(cell.source), earlier, store_history=True)
            except (DeadKernelError, CellTimeoutError):
                return earlier
            finally:
                self.nb.cells[earlier] = cell
        return None

    def _replace_kernel(self) -> None:
        self._cleanup_kernel()
        self.km = self.create_kernel_manager()
        self.start_new_kernel()
        self.start_new_kernel_client()

    def _is_exam(self, cell: NotebookNode) -> bool:
        return is_grade(cell) and grade_id(cell) in self._chapter

    def _say_it_ended(self, cell: NotebookNode, error: Exception) -> None:
        name = type(error).__name__
        self.log.warning("A cell ended the kernel (%s); the rest is run in a fresh one without it", name)
        says = "This cell ended the notebook's process; the rest was graded without it."
        cell.outputs = [new_output("error", ename=name, evalue=says, traceback=[f"{name}: {says}"])]

    # -- output -----------------------------------------------------------------------------------------------------

    def output(
        self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str, cell_index: int
    ) -> NotebookNode | None:
        """Bound what a cell prints while it arrives."""
        if not outs:
            self._printed = 0
        size = sum(len(str(value)) for value in msg["content"].values())
        if self._printed + size <= self.max_output:
            self._printed += size
            return super().output(outs, msg, display_id, cell_index)
        if self._printed <= self.max_output:
            self._printed = self.max_output + 1
            outs.append(new_output("stream", name="stdout", text=f"\n[output above {self.max_output:,} characters]\n"))
            self.log.warning(
                "Cell %d printed more than %d characters; the rest is dropped", cell_index, self.max_output
            )
        return None


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
