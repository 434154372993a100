"""Which cells grading may leave out: those that only show something, if nothing else needs what they define.

An author marks such a cell with the tag `demonstration`. It is told by its source, as it is in the course's notebook,
so that a cell that a student has changed is run.
"""

import ast
import builtins
import symtable
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from autograder.errors import CourseError
from autograder.notebook import read_notebook

TAG = "demonstration"


def demonstrations_in(notebook: Path) -> set[str]:
    """The sources of the cells with the tag in one of the course's notebooks; none where it cannot be read."""
    try:
        cells = read_notebook(notebook).cells if notebook.exists() else []
    except CourseError:
        return set()
    return {cell.source.strip() for cell in cells if cell.cell_type == "code" and TAG in cell.metadata.get("tags", [])}


def not_needed(cells: Sequence[NotebookNode], demonstrations: set[str]) -> set[int]:
    """The indices of demonstrations that define no name which a cell that is run may use."""
    code = {i: cell.source for i, cell in enumerate(cells) if cell.cell_type == "code"}
    left_out = {i for i, source in code.items() if source.strip() in demonstrations}
    if not left_out:
        return set()
    defined = {i: _names(code[i])[0] for i in left_out}
    used = {i: _names(source)[1] for i, source in code.items()}
    while True:
        wanted = set[str]().union(*(used[i] or () for i in code.keys() - left_out))
        if any(used[i] is None for i in code.keys() - left_out):
            return set()  # a cell that may read anything
        needed = {i for i in left_out if defined[i] & wanted}
        if not needed:
            return left_out
        left_out -= needed


def _names(source: str) -> tuple[set[str], set[str] | None]:
    """The names that a cell defines, and those that it reads from elsewhere; None where magics may read any.

    A cell that is no Python defines nothing and reads nothing.
    """
    try:
        table = symtable.symtable(_reached(source), "<cell>", "exec")
    except SyntaxError:
        return set(), None if _has_magics(source) else set()
    except Exception:  # nested too deep, a null byte
        return set(), None
    defined = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    return defined, set(_read(table)) - set(dir(builtins))


def _reached(source: str) -> str:
    """The source without what follows a `raise`: an answer that was not begun reads names there and defines none."""
    if "raise" not in source:
        return source
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list):
                end = next((i for i, each in enumerate(block) if isinstance(each, ast.Raise)), len(block))
                del block[end + 1 :]
    return ast.unparse(tree)


def _has_magics(source: str) -> bool:
    manager: Any = TransformerManager()  # type: ignore[no-untyped-call]
    try:
        ast.parse(manager.transform_cell(source))
    except Exception:
        return False
    return True


def _read(table: symtable.SymbolTable) -> Iterable[str]:
    """The global names that this scope and those in it read."""
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _read(child)
