"""What every side needs of a notebook file: reading it, or a sentence why not, and the nbgrader id of a cell."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.errors import CourseError


def read_notebook(path: Path) -> NotebookNode:
    """A notebook of the course's own, in format 4. Raises CourseError with a sentence that names the file."""
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises a dozen kinds
        what = f"{'/'.join(path.parts[-3:])} cannot be read as a notebook"
        why = f"{type(error).__name__}: {str(error)[:200]}"
        raise CourseError(f"{what} ({why}): write it anew with JupyterLab") from None


def grade_id(cell: NotebookNode) -> str | None:
    """The nbgrader id of a cell, if it has one."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")
