"""docs/syllabus.md: which exercise and which question meets which objective, as a table made from the exercise files.

The text around the table is written by hand; what stands between the two marks is `autograder sync`'s.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from nbformat import NotebookNode

from autograder.exercise import ConceptQuestion, Exercise
from autograder.notebook import read_notebook
from autograder.release import exam_slugs
from autograder.solutions import load_chapter
from autograder.syllabus import FILE, Syllabus, read_syllabus
from autograder.text import Text

DOCUMENT = Path("docs", "syllabus.md")
BEGIN, END = "<!-- made by `autograder sync`: begin -->", "<!-- made by `autograder sync`: end -->"


def sync_curriculum(root: Path, *, write: bool) -> list[str]:
    """Bring the table of the course at `root` up to date; returns a line if it was stale.

    A course without docs/syllabus.md, or whose file has no marks, keeps no table.

    Args:
        root: the course's root.
        write: whether to write; without it the file stays as it is.

    Raises:
        CourseError: an exercise file, a syllabus or a notebook cannot be read.
    """
    path = root / DOCUMENT
    document = path.read_text(encoding="utf-8") if path.is_file() else ""
    before, begun, rest = document.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        return []
    wanted = f"{before}{BEGIN}\n\n{curriculum(root)}\n{END}{after}"
    if wanted == document:
        return []
    if write:
        path.write_text(wanted, encoding="utf-8")
    return [str(DOCUMENT)]


def curriculum(root: Path) -> str:
    """The objectives of all chapters that have a syllabus, and what meets each, in Markdown."""
    folders = sorted(path.parent for path in (root / "solutions").glob(f"*/{FILE}"))
    return "\n".join(_chapter(folder, root / "source" / folder.name) for folder in folders)


def _chapter(folder: Path, source: Path) -> str:
    syllabus, exercises = read_syllabus(folder), load_chapter(folder)
    notebooks = {name: read_notebook(source / f"{name}.ipynb") for name in syllabus.minutes}
    places = {slug: name for name, nb in notebooks.items() for slug in exam_slugs(nb) if slug in exercises}
    return "\n".join(
        [
            f"## {folder.name}: {_in_both(syllabus.title)}",
            "",
            *_table("notebook", "minutes", "exercises", "short questions", "written questions", "points"),
            *(_notebook(name, nb, syllabus, exercises) for name, nb in notebooks.items()),
            "",
            *_table("objective", "exercises", "short questions", "notebooks"),
            *(_objective(number, syllabus, exercises, places) for number in syllabus.objectives),
            "",
        ]
    )


def _notebook(name: str, nb: NotebookNode, syllabus: Syllabus, exercises: Mapping[str, Exercise]) -> str:
    held = [exercises[slug] for slug in exam_slugs(nb) if slug in exercises]
    written = [cell.metadata.nbgrader for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("task")]
    points = sum(each.points for each in held) + sum(task.points for task in written)
    counts = (len(_names(held, _is_exercise)), len(_names(held, _is_question)), len(written))
    return _row(f"`{name}`", syllabus.minutes[name], *counts, f"{points:g}")


def _objective(number: str, syllabus: Syllabus, exercises: Mapping[str, Exercise], places: Mapping[str, str]) -> str:
    met_by = [exercises[slug] for slug in places if number in exercises[slug].objectives]  # as they are met
    where = list(dict.fromkeys(places[each.slug] for each in met_by))
    columns = (_names(met_by, _is_exercise), _names(met_by, _is_question), where)
    title = _in_both(syllabus.objectives[number])
    return _row(f"**{number}** {title}", *(", ".join(f"`{name}`" for name in each) for each in columns))


def _in_both(text: Text) -> str:
    return " · ".join(dict.fromkeys((text.en, text.ja)))


def _is_question(exercise: Exercise) -> bool:
    return isinstance(exercise, ConceptQuestion)


def _is_exercise(exercise: Exercise) -> bool:
    return not _is_question(exercise)


def _names(exercises: list[Exercise], kind: Callable[[Exercise], bool]) -> list[str]:
    return [each.slug for each in exercises if kind(each)]


def _table(*columns: str) -> list[str]:
    return [_row(*columns), _row(*("---" for _ in columns))]


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"
