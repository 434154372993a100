"""Makes what a class hands in, from a release and the exercise files: for `autograder demo` and its test.

Who hands in what is data (`solutions/<chapter>/demo.toml`); this module knows the kinds of things that happen to
homework, and what each of them deserves. It names no exercise.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.answersource import given_names, in_float64, renamed, with_first_line, written
from autograder.errors import CourseError
from autograder.exercise import ConceptQuestion, Exercise
from autograder.judge import judge
from autograder.key import Key
from autograder.notebook import grade_id
from autograder.runners import failure
from autograder.solutions import short_path

Chapter = Mapping[str, Exercise]

FILLS = {
    "right": "the model answers",
    "otherwise": "right answers written another way: the `variant`-th of each exercise's accepted alternatives",
    "in_float64": "the model answers, computed in float64 inside",
    "half": "the model answers of the first half of the exercises",
    "blank": "nothing",
}


# -- who hands in what -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Damage:
    """Something that happens to a submission: to the cell of `answer`, or to the whole of `notebook`."""

    kind: str
    answer: str = ""
    notebook: str = ""


@dataclass(frozen=True)
class Student:
    """One student of the demo class, and what is handed in."""

    id: str
    first_name: str
    last_name: str
    about: str
    fill: str
    variant: int = 1
    mistakes: Mapping[str, str] | None = None  # exercise -> the name of one of its mistakes
    damage: tuple[Damage, ...] = ()
    notebooks: tuple[str, ...] | None = None  # None: all of the chapter

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"

    def hands_in(self, notebook: str) -> bool:
        return self.notebooks is None or notebook in self.notebooks


@dataclass(frozen=True)
class Deserved:
    """What one exercise of one submission deserves: marks, and the known mistake that should be named."""

    score: float
    points: float
    mistake: str | None = None
    judged: bool = True  # False where the notebook was not handed in


def read_class(path: Path, chapter: Chapter, notebooks: Sequence[str]) -> list[Student]:
    """The students of a class file, in its order.

    Raises:
        CourseError: the file is missing, or says something that the chapter does not have; the sentence names it.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CourseError(
            f"{short_path(path)} is missing: it says who hands in what in the demo class; start from another chapter's"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CourseError(f"{short_path(path)} is not valid TOML: {error}") from None
    students = [
        _student(entry, f"{short_path(path)}, student {n}") for n, entry in enumerate(data.get("student", []), 1)
    ]
    if not students:
        raise CourseError(f"{short_path(path)} has no [[student]]: add one")
    seen: set[str] = set()
    for student in students:
        where = f"{short_path(path)}, student {student.id!r}"
        if student.id in seen:
            raise CourseError(f"{where}: the id is used twice")
        seen.add(student.id)
        for problem in _problems(student, chapter, notebooks):
            raise CourseError(f"{where}: {problem}")
    return students


def _student(entry: Any, where: str) -> Student:
    try:
        fields = dict(entry)
        damage = tuple(Damage(**item) for item in fields.pop("damage", ()))
        kept = fields.pop("notebooks", None)
        student = Student(**fields, damage=damage, notebooks=None if kept is None else tuple(kept))
    except (TypeError, ValueError) as error:
        raise CourseError(f"{where}: {str(error).replace('Student.__init__() ', '')}") from None
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", student.id) or "+" in student.id:
        raise CourseError(f"{where}: id={student.id!r}: use letters, digits, '_', '.' and '-': it names a folder")
    return student


def _problems(student: Student, chapter: Chapter, notebooks: Sequence[str]) -> list[str]:
    found = []
    if student.fill not in FILLS:
        found.append(f"fill={student.fill!r}: choose one of {', '.join(FILLS)}")
    for slug, name in (student.mistakes or {}).items():
        if slug not in chapter:
            found.append(f"mistakes names {slug!r}, which is not an exercise")
        elif name not in (known := [mistake.name for mistake in chapter[slug].mistakes]):
            found.append(f"{name!r} is not a mistake of {slug}; its mistakes are {', '.join(known)}")
    answers = {answer: exercise for exercise in chapter.values() for answer in exercise.answers}
    for damage in student.damage:
        if damage.kind not in DAMAGES:
            found.append(f"damage of kind {damage.kind!r}: choose one of {', '.join(DAMAGES)}")
        elif DAMAGES[damage.kind].to_a_cell and damage.answer not in answers:
            found.append(f"damage {damage.kind}: answer={damage.answer!r} is not an answer of the chapter")
        elif not DAMAGES[damage.kind].to_a_cell and damage.notebook not in notebooks:
            found.append(f"damage {damage.kind}: notebook={damage.notebook!r} is not a notebook of the chapter")
        elif damage.kind in _NEEDS_CODE and isinstance(answers[damage.answer], ConceptQuestion):
            found.append(f"damage {damage.kind}: {damage.answer} is a variable, not a function")
    found += [
        f"notebooks names {name!r}, which is not a notebook of the chapter"
        for name in student.notebooks or ()
        if name not in notebooks
    ]
    return found


# -- what happens to homework ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kind:
    """A kind of damage: how it is done, to what, and what is lost by it."""

    do: Callable[..., Any]
    to_a_cell: bool
    loses: str = "nothing"  # or "answer", or "notebook"


def _change(change: Callable[[str, str], str]) -> Callable[[NotebookNode, int, str], None]:
    """Damage that changes an answer cell's source: `change(source, answer)`."""

    def do(nb: NotebookNode, index: int, answer: str) -> None:
        nb.cells[index].source = change(nb.cells[index].source.rstrip("\n") + "\n", answer).rstrip("\n")

    return do


def _new_name(source: str, answer: str) -> str:
    source = renamed(source, {answer: f"{answer}_final"})
    return source if source.endswith("\n") else source + "\n"


def _warning(source: str, answer: str) -> str:
    said = 'print("UserWarning: this may be slow", file=sys.stderr)'
    return "import sys\n\n" + with_first_line(source, answer, said)


def _delete(nb: NotebookNode, index: int, answer: str) -> None:
    del nb.cells[index]


def _duplicate(nb: NotebookNode, index: int, answer: str) -> None:
    copy = nbformat.from_dict(nb.cells[index])
    copy.id = f"{nb.cells[index].get('id', 'cell')[:58]}-2"
    nb.cells.insert(index + 1, copy)


def _delete_exam(nb: NotebookNode, index: int, answer: str) -> None:
    del nb.cells[_exam_after(nb, index)]


def _duplicate_exam(nb: NotebookNode, index: int, answer: str) -> None:
    _duplicate(nb, _exam_after(nb, index), answer)


def _exam_after(nb: NotebookNode, index: int) -> int:
    after = range(index + 1, len(nb.cells))
    return next(at for at in after if nb.cells[at].metadata.get("nbgrader", {}).get("grade"))


def _strip_metadata(nb: NotebookNode) -> NotebookNode:
    """What a notebook loses on the way through an editor that does not know nbgrader."""
    for cell in nb.cells:
        cell.metadata = nbformat.from_dict({})
    return nb


def _other_kernel(nb: NotebookNode) -> NotebookNode:
    """A notebook that was last run by another kernel, with its outputs."""
    nb.metadata = nbformat.from_dict(
        {"kernelspec": {"name": "julia-1.11", "display_name": "Julia 1.11", "language": "julia"}}
    )
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    for cell in code:
        cell.execution_count = 7
        cell.outputs = [
            nbformat.v4.new_output("error", ename="UndefVarError", evalue="`torch` not defined", traceback=[]),
            nbformat.v4.new_output("execute_result", data={"text/plain": "100.0"}, execution_count=7),
        ]
    return nb


def _cut_short(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def _later_format(data: bytes) -> bytes:
    return re.sub(rb'"nbformat": 4', b'"nbformat": 9', data)


DAMAGES: dict[str, _Kind] = {
    # to the cell of an answer
    "syntax_error": _Kind(_change(lambda s, a: f"{s}print({a}"), True, "answer"),
    "import_error": _Kind(_change(lambda s, a: f"import torch_attention_tools\n\n{s}"), True, "answer"),
    "renamed": _Kind(_change(_new_name), True, "answer"),
    "warns": _Kind(_change(_warning), True),
    "prints_much": _Kind(_change(lambda s, a: f'{s}print("attention " * 5_000_000)'), True),
    "endless_loop": _Kind(_change(lambda s, a: with_first_line(s, a, "while True: pass")), True, "answer"),
    "ends_the_kernel": _Kind(_change(lambda s, a: f"{s}import os\n\nos._exit(0)"), True, "answer"),
    "cell_deleted": _Kind(_delete, True, "answer"),
    "cell_duplicated": _Kind(_duplicate, True),
    "exam_deleted": _Kind(_delete_exam, True),
    "exam_duplicated": _Kind(_duplicate_exam, True),
    # to a notebook, and to its file
    "metadata_stripped": _Kind(_strip_metadata, False),
    "other_kernel": _Kind(_other_kernel, False),
    "cut_short": _Kind(_cut_short, False, "notebook"),
    "later_format": _Kind(_later_format, False, "notebook"),
}
_NEEDS_CODE = ("renamed", "warns", "endless_loop")
_TO_BYTES = ("cut_short", "later_format")


# -- the submission --------------------------------------------------------------------------------------------------


def exercises_in(nb: NotebookNode, chapter: Chapter) -> list[str]:
    """The exercises of a notebook in their order; a release's exam cells are known by their grade ids alone."""
    marks = [cell.metadata.get("nbgrader", {}) for cell in nb.cells if cell.cell_type == "code"]
    return [mark["grade_id"] for mark in marks if mark.get("grade") and mark.get("grade_id") in chapter]


def hand_in(student: Student, release: Mapping[str, NotebookNode], chapter: Chapter) -> dict[str, bytes]:
    """The notebooks that a student hands in, by file name: the release's, filled in and damaged as described."""
    files = {}
    slugs = {name: exercises_in(nb, chapter) for name, nb in release.items()}
    done = _attempted(student, slugs)
    for name, original in release.items():
        if not student.hands_in(name):
            continue
        nb = nbformat.from_dict(original)
        given = given_names(nb)
        for exercise in (chapter[slug] for slug in slugs[name] if slug in done):
            for answer in exercise.answers:
                index = _find(nb, exercise.cell_id(answer), name)
                nb.cells[index].source = _answer(student, exercise, answer, given).rstrip("\n")
        for damage in _cells_first(student.damage):
            kind = DAMAGES[damage.kind]
            if kind.to_a_cell:
                owner = next(each for each in chapter.values() if damage.answer in each.answers)
                if owner.slug in slugs[name]:
                    kind.do(nb, _find(nb, owner.cell_id(damage.answer), name), damage.answer)
            elif damage.notebook == name and damage.kind not in _TO_BYTES:
                nb = kind.do(nb)
        data = nbformat.writes(nb).encode()
        for damage in student.damage:
            if damage.kind in _TO_BYTES and damage.notebook == name:
                data = DAMAGES[damage.kind].do(data)
        files[f"{name}.ipynb"] = data
    return files


def deserves(student: Student, notebooks: Mapping[str, Sequence[str]], keys: Mapping[str, Key]) -> dict[str, Deserved]:
    """What every exercise of a submission deserves, worked out from its description and the answer keys alone.

    Args:
        student: the description.
        notebooks: the exercises of each notebook.
        keys: the answer keys of all of them.
    """
    done = _attempted(student, notebooks)
    cut = {damage.notebook for damage in student.damage if DAMAGES[damage.kind].loses == "notebook"}
    lost = {damage.answer for damage in student.damage if DAMAGES[damage.kind].loses == "answer"}
    found = {}
    for name, slugs in notebooks.items():
        for slug in slugs:
            key = keys[slug]
            if slug in done and student.hands_in(name) and name not in cut:
                found[slug] = _deserves(key, (student.mistakes or {}).get(slug), lost & set(key.answers))
            else:
                found[slug] = Deserved(0.0, key.sheet.points, judged=student.hands_in(name))
    return found


def _deserves(key: Key, mistake: str | None, lost: set[str]) -> Deserved:
    number = [named.name for named in key.sheet.mistakes].index(mistake) if mistake is not None else None
    outcomes = [
        failure("missing", answer=trial.answer)
        if trial.answer in lost
        else (case.outcome if number is None else case.mistakes[number])
        for case, trial in zip(key.sheet.cases, key.trials, strict=True)
    ]
    named = mistake if lost != set(key.answers) else None
    return Deserved(judge(key.sheet, outcomes).score, key.sheet.points, named)


def _attempted(student: Student, notebooks: Mapping[str, Sequence[str]]) -> set[str]:
    """The exercises that a student fills in."""
    slugs = [slug for name, each in notebooks.items() if student.hands_in(name) for slug in each]
    if student.fill == "blank":
        return set()
    return set(slugs[: len(slugs) // 2] if student.fill == "half" else slugs)


def _answer(student: Student, exercise: Exercise, answer: str, given: frozenset[str]) -> str:
    reference = exercise.answers[answer]
    chosen = reference
    if student.fill == "otherwise":
        others = [a.answers[answer] for a in exercise.alternatives if a.answers[answer] is not reference]
        chosen = others[(student.variant - 1) % len(others)] if others else reference
    wrong = (student.mistakes or {}).get(exercise.slug)
    if wrong is not None:
        chosen = next(mistake for mistake in exercise.mistakes if mistake.name == wrong).answers[answer]
    source = written(exercise, answer, chosen, given)
    wide = student.fill == "in_float64" and wrong is None and not isinstance(exercise, ConceptQuestion)
    return in_float64(source, answer) if wide else source


def _cells_first(damage: Sequence[Damage]) -> list[Damage]:
    return sorted(damage, key=lambda each: not DAMAGES[each.kind].to_a_cell)


def _find(nb: NotebookNode, wanted: str, name: str) -> int:
    for index, cell in enumerate(nb.cells):
        if grade_id(cell) == wanted:
            return index
    raise CourseError(f"{name}.ipynb has no cell {wanted!r}: run `autograder sync`, then make the release again")
