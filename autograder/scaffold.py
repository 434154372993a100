"""`autograder new`: an exercise file that verifies as it stands, and its cells at the end of a notebook."""

import keyword
from pathlib import Path

import nbformat
from jinja2 import Environment, PackageLoader
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder.errors import CourseError
from autograder.exercise import Exercise
from autograder.notebook import grade_id, read_notebook
from autograder.solutions import SLUG, load_exercise


def scaffold(root: Path, chapter: str, slug: str, notebook: str | None) -> list[Path]:
    """Write `solutions/<chapter>/<slug>.py`, unless it exists, and add the cells that a notebook lacks.

    Args:
        root: the course's root.
        chapter: the chapter's folder.
        slug: the exercise's name.
        notebook: the notebook's name, without .ipynb; not needed where the chapter has just one.

    Returns:
        The files that were written.

    Raises:
        CourseError: the slug is no name, or it is not clear which notebook is meant.
    """
    if not SLUG.fullmatch(slug) or keyword.iskeyword(slug):
        raise CourseError(
            f"{slug!r} cannot be an exercise's name: use a-z, 0-9 and _, beginning with a letter,"
            " and no word of Python's own"
        )
    notebooks = {path.stem: path for path in sorted((root / "source" / chapter).glob("*.ipynb"))}
    if notebook is None and len(notebooks) != 1:
        raise CourseError(
            f"say which notebook gets the cells with --notebook: {', '.join(notebooks) or 'none is there'}"
        )
    name = notebook or next(iter(notebooks))
    if name not in notebooks:
        raise CourseError(f"source/{chapter}/{name}.ipynb does not exist; there are: {', '.join(notebooks) or 'none'}")
    for other in notebooks.keys() - {name}:
        if slug in {grade_id(cell) for cell in read_notebook(notebooks[other]).cells}:
            raise CourseError(f"{slug} already has its cells in source/{chapter}/{other}.ipynb: choose another name")
    written = []
    path = root / "solutions" / chapter / f"{slug}.py"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        templates = Environment(loader=PackageLoader("autograder", "templates"), keep_trailing_newline=True)
        number = chapter.removeprefix("ch")
        path.write_text(templates.get_template("exercise.py.j2").render(slug=slug, chapter=number), encoding="utf-8")
        written.append(path)
    nb = read_notebook(notebooks[name])
    added = _missing_cells(nb, load_exercise(path))
    if added:
        # The last cell of a notebook is its progress picture: new cells go before it.
        at = len(nb.cells) - 1 if nb.cells and "progress()" in nb.cells[-1].source else len(nb.cells)
        nb.cells[at:at] = added
        nbformat.write(nb, notebooks[name])
        written.append(notebooks[name])
    return written


def _missing_cells(nb: NotebookNode, exercise: Exercise) -> list[NotebookNode]:
    present = {grade_id(cell) for cell in nb.cells}
    cells = []
    if exercise.slug not in present:
        title = exercise.title
        cells.append(new_markdown_cell(f"<!-- en -->\n## {title.en}\n<!-- ja -->\n## {title.ja}"))
    for name, source in exercise.blank().items():
        if exercise.cell_id(name) not in present:
            cells.append(_marked(source.rstrip("\n"), exercise.cell_id(name), solution=True))
    if exercise.slug not in present:
        source = (
            f"check({', '.join(exercise.answers)})\n### BEGIN HIDDEN TESTS\nfrom autograder import exam\n"
            f'exam("{exercise.slug}")\n### END HIDDEN TESTS'
        )
        cells.append(_marked(source, exercise.slug, grade=True, locked=True, points=exercise.points))
    return cells


def _marked(source: str, grade_id: str, **mark: object) -> NotebookNode:
    """A code cell with nbgrader's metadata."""
    plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    return new_code_cell(source, metadata={"nbgrader": {**plain, "grade_id": grade_id, **mark}})
