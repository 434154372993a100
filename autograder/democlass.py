"""Makes what a class hands in, from a release and the exercise files: for `autograder demo` and its test.

Who hands in what is data (`solutions/<chapter>/demo.toml`); this module knows the kinds of things that happen to
homework, and what each of them deserves. It names no exercise.
"""

import ast
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.errors import CourseError
from autograder.exercise import ConceptQuestion, Exercise
from autograder.judge import judge
from autograder.key import Key
from autograder.runners import failure

Chapter = Mapping[str, Exercise]

FILLS = {
    "right": "the model answers",
    "otherwise": "right answers written another way: the `variant`-th of each exercise's accepted alternatives",
    "in_float64": "the model answers, computed in float64 inside",
    "half": "the model answers of the first half of the exercises",
    "blank": "nothing",
}
_SOLUTION_MARK = re.compile(r"^\s*### (BEGIN|END) SOLUTION\s*$")
_TYPE_REMARK = re.compile(r"\s*# type: ignore.*$")


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
            f"{_short(path)} is missing: it says who hands in what in the demo class; start from another chapter's"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CourseError(f"{_short(path)} is not valid TOML: {error}") from None
    students = [_student(entry, f"{_short(path)}, student {n}") for n, entry in enumerate(data.get("student", []), 1)]
    if not students:
        raise CourseError(f"{_short(path)} has no [[student]]: add one")
    seen: set[str] = set()
    for student in students:
        where = f"{_short(path)}, student {student.id!r}"
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


def _short(path: Path) -> str:
    return "/".join(path.parts[-3:])


# -- the source of an answer -----------------------------------------------------------------------------------------


def written(exercise: Exercise, answer: str, other: Any, given: frozenset[str] = frozenset()) -> str:
    """The source of an answer's cell in which `other` (a function, a class or a value) stands for `answer`.

    What `other` uses of the exercise file comes along: helpers, constants, and imports that the notebook has not
    `given`. The function is renamed to the answer's name; where it uses the reference (a class derived from it), that
    comes along under another name.
    """
    if isinstance(exercise, ConceptQuestion):
        return f"{answer} = {other!r}\n"
    text = exercise.path.read_text(encoding="utf-8")
    definitions, imports = _top_level(text)
    name = other.__name__
    if name not in definitions:
        raise CourseError(f"{_short(exercise.path)}: {name} is not defined at the top level of the file")
    others = (set(exercise.answers) - {answer}) | set(exercise.stand_ins)  # these are the student's own
    used, needed = _closure(name, definitions, others)
    names = {} if name == answer else {answer: f"_{answer}", name: answer}
    pieces = [_renamed(_segment(text, node), names) for node in needed]
    wanted = [line for line in _import_lines(imports, used - others - given) if line]
    return "\n\n\n".join((["\n".join(wanted)] if wanted else []) + pieces) + "\n"


def in_float64(source: str, answer: str) -> str:
    """The same function, with a first line that turns its floating-point tensors into float64; a class as it is."""
    node = _definition(source, answer)
    if not isinstance(node, ast.FunctionDef):
        return source
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    listed = ", ".join(names) + ("," if len(names) == 1 else "")
    wide = f"[v.double() if isinstance(v, Tensor) and v.is_floating_point() else v for v in ({listed})]"
    return _with_first_line(source, answer, f"{listed} = {wide}")


def given_names(nb: NotebookNode) -> frozenset[str]:
    """What a notebook's own cells import, so that an answer need not."""
    found: set[str] = set()
    for cell in nb.cells:
        if cell.cell_type == "code" and "nbgrader" not in cell.metadata:
            try:
                found.update(*(map(_bound, _imports_of(ast.parse(cell.source)))))
            except SyntaxError:  # IPython's magic
                continue
    return frozenset(found)


def _imports_of(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def _bound(node: ast.Import | ast.ImportFrom) -> set[str]:
    return {(alias.asname or alias.name).split(".")[0] for alias in node.names}


def _top_level(text: str) -> tuple[dict[str, ast.stmt], list[ast.Import | ast.ImportFrom]]:
    """The definitions of a file by name, and its imports."""
    tree = ast.parse(text)
    definitions: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            definitions.update(dict.fromkeys(names, node))
    return definitions, _imports_of(tree)


def _closure(name: str, definitions: Mapping[str, ast.stmt], leave: set[str]) -> tuple[set[str], list[ast.stmt]]:
    """All names that `name` uses, directly or through the file's own definitions, and these in the file's order."""
    used: set[str] = set()
    waiting, nodes = [name], []
    while waiting:
        node = definitions.get(waiting.pop())
        if node is None or node in nodes:
            continue
        nodes.append(node)
        decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
        dropped = {id(part) for decorator in decorators for part in ast.walk(decorator)}
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and id(part) not in dropped}
        used |= names
        waiting += sorted(names - leave)
    return used, sorted(nodes, key=lambda node: node.lineno)


def _import_lines(imports: Sequence[ast.Import | ast.ImportFrom], names: set[str]) -> list[str]:
    lines = []
    for node in imports:
        kept = [alias for alias in node.names if (alias.asname or alias.name).split(".")[0] in names]
        if kept:
            same = ast.Import(kept) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, kept, node.level)
            lines.append(ast.unparse(same))
    return lines


def _segment(text: str, node: ast.stmt) -> str:
    """A definition's lines without its decorators, marks and remarks to type checkers."""
    lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
    return "\n".join(_TYPE_REMARK.sub("", line) for line in lines if not _SOLUTION_MARK.match(line))


def _renamed(source: str, names: Mapping[str, str]) -> str:
    """Rename variables and the definition itself. Only names are touched: not strings, attributes or keywords."""
    edits = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in names:
            edits.append((node.lineno, node.col_offset, node.id))
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names and node.col_offset == 0:
            edits.append((node.lineno, 4 if isinstance(node, ast.FunctionDef) else 6, node.name))
    lines = [line.encode() for line in source.splitlines()]  # ast counts bytes
    for line, column, old in sorted(edits, reverse=True):
        before, after = lines[line - 1][:column], lines[line - 1][column + len(old.encode()) :]
        lines[line - 1] = before + names[old].encode() + after
    return b"\n".join(lines).decode()


def _definition(source: str, answer: str) -> ast.FunctionDef | ast.ClassDef:
    found = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == answer
    ]
    if not found:
        raise CourseError(f"{answer} is not defined in its cell as a function or a class")
    return found[-1]


def _with_first_line(source: str, answer: str, line: str) -> str:
    """Put a line at the start of the function's body, after its docstring; of a class's last method."""
    node: Any = _definition(source, answer)
    if isinstance(node, ast.ClassDef):
        node = [part for part in node.body if isinstance(part, ast.FunctionDef)][-1]
    body = node.body[1:] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body
    lines = source.splitlines()
    lines.insert(body[0].lineno - 1, " " * body[0].col_offset + line)
    return "\n".join(lines) + "\n"


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
    source = _renamed(source, {answer: f"{answer}_final"})
    return source if source.endswith("\n") else source + "\n"


def _warning(source: str, answer: str) -> str:
    said = 'print("UserWarning: this may be slow", file=sys.stderr)'
    return "import sys\n\n" + _with_first_line(source, answer, said)


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
    "endless_loop": _Kind(_change(lambda s, a: _with_first_line(s, a, "while True: pass")), True, "answer"),
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


def _find(nb: NotebookNode, grade_id: str, name: str) -> int:
    for index, cell in enumerate(nb.cells):
        if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id:
            return index
    raise CourseError(f"{name}.ipynb has no cell {grade_id!r}: run `autograder sync`, then generate the release again")
