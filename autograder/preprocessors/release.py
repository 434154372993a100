"""What `nbgrader generate_assignment` does besides: one language, blanks, and the checks file beside the notebook."""

import re
from pathlib import Path
from typing import Any

import torch
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import ClearSolutions, NbGraderPreprocessor
from traitlets import Enum, Unicode
from traitlets.config import Configurable

from autograder.checksfile import SUFFIX, pack
from autograder.errors import CourseError
from autograder.examiner import Exam
from autograder.notebook import read_notebook
from autograder.release import exercises_of, make_checks
from autograder.solutions import load_chapter
from autograder.text import LANGUAGES

_MARK = re.compile(r"^\s*<!--\s*(\w+)\s*-->\s*$", re.MULTILINE)
QUESTION_TAG = "question"


class InCourse(Configurable):
    """Knows where the course's exercise files are. `c.InCourse.solutions` sets it for all that need them."""

    solutions = Unicode(
        "solutions", help="The folder of exercise files, one sub-folder an assignment, relative to the course's root."
    ).tag(config=True)

    def chapter_folder(self, resources: dict[str, Any]) -> Path:
        """The exercise files of the assignment that is being converted. nbgrader works from the course's root."""
        return Path(self.solutions) / resources["nbgrader"]["assignment"]


class SelectLanguage(NbGraderPreprocessor):
    """Keeps one language of every markdown cell: what stands between `<!-- en -->` and `<!-- ja -->`, or after it."""

    language = Enum(LANGUAGES, "en", help="The course's language: en or ja.").tag(config=True)

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        if cell.cell_type == "markdown":
            cell.source = select_language(cell.source, self.language)
        return cell, resources


def select_language(source: str, language: str) -> str:
    """The part of a cell in one language; text before the first mark belongs to both, a cell without marks to both."""
    common, *parts = _MARK.split(source)
    if not parts:
        return source
    texts = dict(zip(parts[::2], parts[1::2], strict=True))
    return f"{common.strip()}\n{texts.get(language, '').strip()}".strip()


class ClearBlanks(ClearSolutions):
    """nbgrader's ClearSolutions, but a concept question's cell keeps only its empty variable, without a stub.

    Such a cell has the tag `question`. A stub that raises would stop a notebook at every unanswered question.
    """

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        cell, resources = super().preprocess_cell(cell, resources, index)
        if QUESTION_TAG in cell.metadata.get("tags", []):
            cell.source = cell.source.replace(self.code_stub[resources["language"]], "").strip()
        return cell, resources


class AttachChecks(InCourse, NbGraderPreprocessor):
    """Puts `<notebook>.checks` beside the release notebook: the visible cases of its exercises."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        folder, name = self.chapter_folder(resources), resources["nbgrader"]["notebook"]
        if folder.is_dir():
            exercises = exercises_of(nb, f"{name}.ipynb", folder)
            checks = make_checks(exercises, folder, SelectLanguage(parent=self).language)
            data = pack(checks.keys.values(), checks.language, checks.objectives)
            resources.setdefault("outputs", {})[f"{name}{SUFFIX}"] = data
        return nb, resources


class CourseExporter(InCourse, NotebookExporter):
    """Reads the course's exercise files before anything is converted, so that a fault in one stops with a sentence.

    nbgrader makes its exporter once a run, before the first notebook, and ends quietly on NbGraderException.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        coursedir = getattr(self.parent, "coursedir", None)
        if coursedir is None:
            return
        folder = Path(coursedir.root) / self.solutions / coursedir.assignment_id
        try:
            if folder.is_dir():
                # References are small: a second thread costs more than it gains, and two commands would differ.
                torch.set_num_threads(1)
                exam = Exam(parent=self)
                for exercise in load_chapter(folder).values():
                    exam.key(exercise)  # a case that cannot be built would stop every submission, one by one
                self.check_notebooks(folder)
        except CourseError as error:
            self.log.error("%s", error)
            raise NbGraderException(str(error)) from None

    def check_notebooks(self, folder: Path) -> None:
        """Raise CourseError when a notebook to be released and the exercise files in `folder` do not agree."""
        for paths in self.parent.assignments.values():
            for path in map(Path, paths):
                exercises_of(read_notebook(path), path.name, folder)
