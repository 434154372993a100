"""Which cells grading may leave out: those that only show something, if nothing else needs what they define.

An author marks such a cell with the tag `demonstration`. It is told by its source, as it is in the course's notebook,
so that a cell that a student has changed is run.
"""

import ast
import builtins
import symtable
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
    names = {i: _names(source) for i, source in code.items()}
    while True:
        run = code.keys() - left_out
        if any(names[i].anything for i in run):
            return set()
        called = set[str]().union(*(names[i].later for i in run))
        needed = {
            i for i in left_out if names[i].defined & called.union(*(names[reader].now for reader in run if reader > i))
        }
        if not needed:
            return left_out
        left_out -= needed


@dataclass(frozen=True)
class _Names:
    """The names that a cell defines, and those that it reads from elsewhere: when it runs, or in what it defines.

    A function may be called once later cells have run, so what it reads may come from them.
    """

    defined: frozenset[str] = frozenset()
    now: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()
    anything: bool = False  # magics, for instance, may read any name


def _names(source: str) -> _Names:
    """A cell that is no Python defines nothing and reads nothing."""
    try:
        table = symtable.symtable(_reached(source), "<cell>", "exec")
    except SyntaxError:
        return _Names(anything=_has_magics(source))
    except Exception:  # nested too deep, a null byte
        return _Names(anything=True)
    symbols = table.get_symbols()
    builtin = frozenset(dir(builtins))
    return _Names(
        defined=frozenset(each.get_name() for each in symbols if each.is_assigned() or each.is_imported()),
        now=frozenset(each.get_name() for each in symbols if each.is_referenced()) - builtin,
        later=frozenset(name for child in table.get_children() for name in _read(child)) - builtin,
    )


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
    yield from (symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced() and symbol.is_global())
    for child in table.get_children():
        yield from _read(child)
