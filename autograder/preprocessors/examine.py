"""nbgrader's Execute with a trusted examiner: graded cells are judged from outside the kernel.

Cells run in the student's kernel as ever, but confined, and in a scratch folder. A graded cell that has an exercise
file is not run: the kernel keeps its state there, and when the last cell has run it gets the hidden inputs and hands
back outputs as bytes, which this process compares with the reference.
"""

import logging
import os
import shutil
import tempfile
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_code_cell, new_output
from nbgrader.utils import is_grade
from traitlets import Integer

from autograder.ask import HIDDEN, VISIBLE
from autograder.demonstrations import demonstrations_in, not_needed
from autograder.examiner import Exam, Replies, ask, make_folder, mark, read, seconds_for
from autograder.exercise import Exercise
from autograder.kernels.policy import QUESTIONS, WORK
from autograder.kernels.sandbox import Sandbox
from autograder.key import Key
from autograder.notebook import grade_id
from autograder.outputs import bound
from autograder.preprocessors.confined import ConfinedExecute, KernelLost, was_late
from autograder.preprocessors.release import InCourse, SelectLanguage
from autograder.render import as_mimebundle
from autograder.solutions import load_chapter
from autograder.verdict import Verdict

TIMINGS = logging.getLogger("autograder.timings")  # a record for each exercise, for whoever listens

_LANGUAGE_INFO = {"name": "python", "pygments_lexer": "ipython3", "file_extension": ".py", "mimetype": "text/x-python"}
_FRESH_KERNELS = 3  # for one cell, and for all questions; after that they are judged without
_SECONDS_TO_HOLD = 30
# How an exam is asked: when the last cell has run, of a child that keeps the state; at its cell, of the kernel's own
# children; at its cell, of the kernel itself, for nothing hidden is sent to learn a value.
HELD, AT_ONCE, IN_KERNEL = "held", "at once", "in the kernel"


class Examine(InCourse, ConfinedExecute):
    """Runs a submission and judges its exercises. Put it in place of Execute in c.Autograde.autograde_preprocessors."""

    max_seconds = Integer(
        3600, help="Seconds that a notebook's cells may run in all; those after them are left out, exams are asked."
    ).tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Any = None, km: Any = None) -> tuple[NotebookNode, Any]:
        folder = self.chapter_folder(resources)
        self._chapter: dict[str, Exercise] = load_chapter(folder) if folder.is_dir() else {}
        self._exam = Exam(parent=self)
        self._about = resources["nbgrader"]
        self._left_out = not_needed(nb.cells, self._demonstrations())  # and those that ended the kernel
        self._exams = [i for i, cell in enumerate(nb.cells) if self._is_exam(cell)]
        self._verdicts: dict[int, Verdict] = {}  # by the index of the exam's cell
        self._visible: dict[int, Replies] = {}  # what was answered to the visible cases, when nothing hidden was there
        self._guarded: set[int] = set()  # those whose answers end, or may end, the child that holds their state
        self._seconds: dict[int, float] = {}
        self._began = time.monotonic()
        metadata = resources.setdefault("metadata", {})
        home = metadata.get("path", "")
        scratch, language = Path(tempfile.mkdtemp(prefix="autograder-")), SelectLanguage(parent=self).language
        make_folder(scratch / QUESTIONS)
        self._confine(Sandbox(parent=self), scratch, Path(home), cuda=self._exam.place == "cuda", language=language)
        # The kernel works in a copy: beside the autograded notebook lie the hidden tests.
        metadata["path"] = str(scratch / WORK)
        try:
            nb, resources = super().preprocess(nb, resources, km)
            nb.metadata.language_info = from_dict(_LANGUAGE_INFO)  # not what the kernel says of itself
            return nb, resources
        finally:
            metadata["path"] = home
            shutil.rmtree(scratch, ignore_errors=True)

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> tuple[NotebookNode, Any]:
        if index in self._exams:
            self._examine(index)
        elif index in self._left_out:
            cell.outputs = [new_output("stream", name="stdout", text=self._text("demonstration"))]
        elif cell.cell_type == "code":
            self._run(cell, index)
        if index == len(self.nb.cells) - 1:
            self._finish()
        return cell, resources

    # -- the kernel -------------------------------------------------------------------------------------------------

    @property
    def _is_late(self) -> bool:
        return time.monotonic() - self._began > self.max_seconds

    def _run(self, cell: NotebookNode, index: int) -> None:
        """Run a cell that is not an exam. One that ends the kernel, or leaves it deaf, is left out from then on."""
        if self._is_late:
            self.log.warning(
                "Cell %d: the cells before it took more than %d s; it is left out", index, self.max_seconds
            )
            self._left_out.add(index)
            cell.outputs = [new_output("stream", name="stderr", text=self._text("late"))]
            return
        try:
            self._execute(cell, index)
            if was_late(cell) and not self._responds():
                raise KernelLost("took too long, and could not be interrupted")
        except KernelLost as error:
            self._left_out.add(index)
            self._say_it_ended(index, error)
            self._begin_again(index)

    # -- exams ------------------------------------------------------------------------------------------------------

    def _is_exam(self, cell: NotebookNode) -> bool:
        return cell.cell_type == "code" and is_grade(cell) and grade_id(cell) in self._chapter

    def _key(self, index: int) -> Key:
        return self._exam.key(self._chapter[str(grade_id(self.nb.cells[index]))])

    def _examine(self, index: int) -> None:
        try:
            self._hold(index)
        except KernelLost as error:
            self.log.warning("before %s: %s", self._key(index).sheet.slug, error)
            self._begin_again(index + 1)

    def _way(self, key: Key) -> str:
        """How an exercise is asked; a kernel that uses CUDA cannot fork."""
        if not key.visible and all(trial.runner == "value" for trial in key.trials):
            return IN_KERNEL
        return HELD if hasattr(os, "fork") and self._exam.place != "cuda" else AT_ONCE

    def _place(self, index: int, part: str) -> Path:
        """Where a question of exam `index` is to be written: a folder that is not there, in one that is."""
        folder = self._scratch / QUESTIONS / str(index)
        if not folder.exists():
            make_folder(folder)
        shutil.rmtree(folder / part, ignore_errors=True)
        return folder / part

    def _hold(self, index: int) -> None:
        """Have the kernel keep the state that exam `index` is judged on, and answer the visible cases, unless it has.

        Raises KernelLost.
        """
        key, started = self._key(index), time.monotonic()
        way, place = self._way(key), self._place(index, VISIBLE)
        asks = bool(key.visible) and index not in self._visible
        seconds = float(_SECONDS_TO_HOLD)
        if asks:
            ask(key, key.visible, place, self._exam.place)
            seconds += seconds_for(key, key.visible)
        try:
            hold = "hold_guarded" if index in self._guarded else "hold"
            if way == HELD and not self._call(seconds, hold, place.parent):
                self.log.warning("%s: the notebook's state could not be kept", key.sheet.slug)
            elif way == AT_ONCE and asks:
                self._call(seconds, "answer_question", place)
        finally:
            if asks:
                self._visible[index] = read(key, key.visible, place)
                if self._visible[index].ended:
                    self._guarded.add(index)
            self._seconds[index] = self._seconds.get(index, 0.0) + time.monotonic() - started
        if way != HELD:
            self._ask(index)

    def _finish(self) -> None:
        """Ask the exams. What cells have shown stays as it is now: from here on a kernel knows too much."""
        cells = [cell for cell in self.nb.cells if cell.cell_type == "code"]
        for cell in cells:
            bound(cell, self.max_output, self._too_much)
        shown = [(deepcopy(cell.outputs), cell.execution_count) for cell in cells]
        self._ask_all()
        for cell, (outputs, count) in zip(cells, shown, strict=True):
            cell.outputs, cell.execution_count = outputs, count
        for index in self._exams:
            self._record(index)

    def _ask_all(self) -> None:
        """Ask what has been held, when no cell is left to run."""
        waiting = [index for index in self._exams if index not in self._verdicts]
        for _ in range(_FRESH_KERNELS):
            waiting = self._ask_in_turn(waiting)
            if not waiting:
                return
            self._begin_again(waiting[-1] + 1)
        self._ask_in_turn(waiting)

    def _ask_in_turn(self, exams: list[int]) -> list[int]:
        """Ask these until the kernel ends; returns those that could not be asked."""
        lost = []
        for number, index in enumerate(exams):
            try:
                if not self._ask(index):
                    lost.append(index)
            except KernelLost as error:
                self.log.warning("%s: %s", self._key(index).sheet.slug, error)
                return [*lost, *exams[number + 1 :]]
        return lost

    def _ask(self, index: int) -> bool:
        """Ask the hidden cases of exam `index`, and judge it; whether it could be asked. Raises KernelLost."""
        key, place, started, asked = self._key(index), self._place(index, HIDDEN), time.monotonic(), True
        ask(key, key.hidden, place, self._exam.place)
        calls = {HELD: ("answer", place.parent), AT_ONCE: ("answer_question", place), IN_KERNEL: ("answer_here", place)}
        try:
            asked = self._call(seconds_for(key, key.hidden), *calls[self._way(key)])
        finally:
            if not asked:
                self._guarded.add(index)
            else:
                self._verdicts[index] = mark(key, self._visible.get(index, Replies({})), read(key, key.hidden, place))
                self._seconds[index] = self._seconds.get(index, 0.0) + time.monotonic() - started
            shutil.rmtree(place.parent, ignore_errors=True)
        return asked

    def _record(self, index: int) -> None:
        """The marks as nbgrader reads them (a plain number from 0 to the maximum), and the verdict for people."""
        verdict = self._verdicts.get(index) or mark(self._key(index), self._visible.get(index, Replies({})))
        seconds = self._seconds.get(index, 0.0)
        cell = self.nb.cells[index]
        cell.execution_count = None
        cell.outputs = [
            new_output("display_data", data=as_mimebundle(verdict, self._language)),
            new_output("execute_result", data={"text/plain": repr(float(verdict.score))}, execution_count=None),
        ]
        self.log.info("%s: %g of %g points (%.2f s)", verdict.slug, verdict.score, verdict.points, seconds)
        timing = {name: self._about[name] for name in ("student", "assignment", "notebook")}
        timing |= {"exercise": verdict.slug, "seconds": seconds, "score": verdict.score, "points": verdict.points}
        TIMINGS.info("", extra={"timing": timing})

    # -- a kernel that ended ----------------------------------------------------------------------------------------

    def _begin_again(self, index: int) -> None:
        """A fresh kernel with the state that the cells before `index` leave, without those that ended a kernel."""
        for _ in range(0 if self._is_late else _FRESH_KERNELS):
            self._replace_kernel()
            killer = self._replay(index)
            if killer is None:
                return
            self._left_out.add(killer)
            self.log.warning("Cell %d ends the kernel when it is run again; it is left out", killer)
        self._left_out.update(range(index))
        self._replace_kernel()

    def _replay(self, index: int) -> int | None:
        """Run the cells before `index` again, keeping their outputs, and keep again the states that are still to be
        asked; returns the cell that ended the kernel, if any."""
        for earlier in range(index):
            cell = self.nb.cells[earlier]
            if earlier in self._left_out or earlier in self._verdicts or cell.cell_type != "code":
                continue
            try:
                if earlier in self._exams:
                    self._hold(earlier)
                else:
                    self._execute(new_code_cell(cell.source), earlier)
            except KernelLost:
                return earlier
        return None

    def _say_it_ended(self, index: int, error: KernelLost) -> None:
        self.log.warning("Cell %d: %s; the rest is run in a fresh kernel without it", index, error)
        name, says = "KernelEnded", self._text("kernel_ended")
        self.nb.cells[index].execution_count = None
        self.nb.cells[index].outputs = [new_output("error", ename=name, evalue=says, traceback=[f"{name}: {says}"])]

    def _demonstrations(self) -> set[str]:
        """The sources of the cells that the course's notebook marks as demonstrations."""
        course = getattr(getattr(self.parent, "parent", None), "coursedir", None)
        if course is None:
            return set()
        folder = course.format_path(course.source_directory, ".", self._about["assignment"])
        return demonstrations_in(Path(folder, f"{self._about['notebook']}.ipynb"))
