"""What a release holds: the checks of a notebook, made from the exercise files that its exam cells name."""

from pathlib import Path

from nbformat import NotebookNode

from autograder.checksfile import Checks
from autograder.errors import CourseError
from autograder.exercise import Exercise
from autograder.key import make_key
from autograder.notebook import grade_id, read_notebook
from autograder.solutions import load_chapter
from autograder.syllabus import FILE, read_syllabus

EXAM_CALL = "exam("


def exam_slugs(nb: NotebookNode) -> list[str]:
    """The exercises of a notebook, in order: the grade ids of the graded cells that call `exam`."""
    graded = [cell for cell in nb.cells if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade")]
    return [cell.metadata.nbgrader.grade_id for cell in graded if EXAM_CALL in cell.source]


def exercises_of(nb: NotebookNode, name: str, folder: Path) -> dict[str, Exercise]:
    """The exercises that a notebook's exam cells name, from the chapter's folder.

    Raises:
        CourseError: an exam cell has no exercise file, or its points are not the exercise's.
    """
    chapter = load_chapter(folder)
    points = {grade_id(cell): cell.metadata.nbgrader.get("points") for cell in nb.cells if grade_id(cell)}
    found = {}
    for slug in exam_slugs(nb):
        if slug not in chapter:
            raise CourseError(
                f"{name}: the exam cell {slug!r} has no exercise file: add solutions/{folder.name}/{slug}.py, "
                "or mend the cell's grade_id"
            )
        if float(points[slug]) != chapter[slug].points:
            raise CourseError(
                f"{name}: the exam cell {slug!r} gives {points[slug]:g} points, its exercise file "
                f"{chapter[slug].points:g}: make them equal"
            )
        found[slug] = chapter[slug]
    return found


def checks_of(notebook: Path, folder: Path, language: str) -> Checks:
    """The self-checks of a notebook file, made from the exercise files in `folder`."""
    return make_checks(exercises_of(read_notebook(notebook), notebook.name, folder), folder, language)


def make_checks(exercises: dict[str, Exercise], folder: Path, language: str) -> Checks:
    """Keys of the visible cases, which do not depend on the exam's seed, and the objectives that the syllabus names."""
    keys = {slug: make_key(each, seed=0, hidden=False) for slug, each in exercises.items()}
    called = read_syllabus(folder).objectives if (folder / FILE).exists() else {}
    assessed = {number for key in keys.values() for number in key.objectives}
    return Checks(language, keys, {number: text for number, text in called.items() if number in assessed})
