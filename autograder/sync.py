"""Writes model answers and points from the exercise files into the source notebooks' cells, and finds stale ones.

The exercise file is where an answer is written; prose and the order of cells belong to the notebook.
"""

from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.errors import CourseError
from autograder.exercise import Exercise
from autograder.notebook import grade_id, read_notebook
from autograder.solutions import load_chapter


def sync_chapters(root: Path, chapters: Sequence[str] | None, *, write: bool) -> list[str]:
    """Bring the notebooks of `root/source/<chapter>` up to date; returns a line for each cell that was stale.

    Args:
        root: the course's root.
        chapters: names such as "ch1"; None for every chapter that has exercise files.
        write: whether to write; without it the notebooks stay as they are.

    Raises:
        CourseError: an answer has no cell in any of the chapter's notebooks.
    """
    stale = []
    for chapter in chapters or sorted(path.name for path in (root / "solutions").glob("ch*") if path.is_dir()):
        exercises = load_chapter(root / "solutions" / chapter)
        wanted = {each.cell_id(name): source for each in exercises.values() for name, source in each.blank().items()}
        points = {slug: each.points for slug, each in exercises.items()}
        paths = sorted((root / "source" / chapter).glob("*.ipynb"))
        for path in paths:
            stale += _sync_notebook(path, wanted, points, write)
        _complain_of_missing(chapter, exercises, [read_notebook(path) for path in paths])
    return stale


def _sync_notebook(path: Path, wanted: dict[str, str], points: dict[str, float], write: bool) -> list[str]:
    nb = read_notebook(path)
    stale = []
    for cell in nb.cells:
        source = wanted.get(grade_id(cell) or "")
        if source is not None and cell.source != source.rstrip("\n"):
            cell.source = source.rstrip("\n")
            stale.append(f"{path.parent.name}/{path.name}: {grade_id(cell)}")
        worth = points.get(grade_id(cell) or "")
        if worth is not None and cell.metadata["nbgrader"].get("points") != worth:
            cell.metadata["nbgrader"]["points"] = worth
            stale.append(f"{path.parent.name}/{path.name}: {grade_id(cell)} ({worth:g} points)")
    if write and stale:
        nbformat.write(nb, path)
    return stale


def _complain_of_missing(chapter: str, exercises: dict[str, Exercise], notebooks: list[NotebookNode]) -> None:
    present = {grade_id(cell) for nb in notebooks for cell in nb.cells}
    for slug, exercise in exercises.items():
        cells = [slug, *(exercise.cell_id(name) for name in exercise.answers)]
        missing = [cell for cell in cells if cell not in present]
        if missing:
            raise CourseError(
                f"solutions/{chapter}/{slug}.py has no cell {', '.join(missing)} in source/{chapter}: "
                f"run `autograder new {chapter} {slug} --notebook NAME`, which adds its cells, or delete the file"
            )
