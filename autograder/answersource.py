"""The source of an answer, cut out of an exercise file so that it stands alone in a notebook's cell.

Decorators go, the function takes the answer's name, and what it uses of the file comes along.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nbformat import NotebookNode

from autograder.errors import CourseError
from autograder.exercise import ConceptQuestion, Exercise
from autograder.solutions import short_path

_SOLUTION_MARK = re.compile(r"^\s*### (BEGIN|END) SOLUTION\s*$")
_TYPE_REMARK = re.compile(r"\s*# type: ignore.*$")


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
        raise CourseError(f"{short_path(exercise.path)}: {name} is not defined at the top level of the file")
    others = (set(exercise.answers) - {answer}) | set(exercise.stand_ins)  # these are the student's own
    used, needed = _closure(name, definitions, others)
    names = {} if name == answer else {answer: f"_{answer}", name: answer}
    pieces = [renamed(_segment(text, node), names) for node in needed]
    wanted = [line for line in _import_lines(imports, used - others - given) if line]
    return "\n\n\n".join((["\n".join(wanted)] if wanted else []) + pieces) + "\n"


def in_float64(source: str, answer: str) -> str:
    """The same function, with a first line that turns its floating-point tensors into float64; a class as it is."""
    node = definition(source, answer)
    if not isinstance(node, ast.FunctionDef):
        return source
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    listed = ", ".join(names) + ("," if len(names) == 1 else "")
    wide = f"[v.double() if isinstance(v, Tensor) and v.is_floating_point() else v for v in ({listed})]"
    return with_first_line(source, answer, f"{listed} = {wide}")


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


def renamed(source: str, names: Mapping[str, str]) -> str:
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


def definition(source: str, answer: str) -> ast.FunctionDef | ast.ClassDef:
    found = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == answer
    ]
    if not found:
        raise CourseError(f"{answer} is not defined in its cell as a function or a class")
    return found[-1]


def with_first_line(source: str, answer: str, line: str) -> str:
    """Put a line at the start of the function's body, after its docstring; of a class's last method."""
    node: Any = definition(source, answer)
    if isinstance(node, ast.ClassDef):
        node = [part for part in node.body if isinstance(part, ast.FunctionDef)][-1]
    body = node.body[1:] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body
    lines = source.splitlines()
    lines.insert(body[0].lineno - 1, " " * body[0].col_offset + line)
    return "\n".join(lines) + "\n"
