"""What a kernel has put into a cell's outputs, made fit for a notebook: valid, of a bounded size, writable as UTF-8."""

import math
from typing import Any

import nbformat
from nbformat import NotebookNode, ValidationError
from nbformat.v4 import new_output

_DEEPEST = 50
_TYPES = ("stream", "display_data", "execute_result", "error")


def bound(cell: NotebookNode, most: int, says: str) -> None:
    """Drop outputs that are not valid, and those above `most` characters in all, in whose place it `says` so."""
    kept, size = [], 0
    for output in cell.outputs:
        mended = _mended(output)
        size += _size(mended)
        if size > most:
            kept.append(new_output("stream", name="stdout", text=f"\n{says}\n"))
            break
        if _is_valid(mended):
            kept.append(nbformat.from_dict(mended))
    cell.outputs = kept
    if not isinstance(cell.get("execution_count"), int):
        cell.execution_count = None


def _is_valid(output: Any) -> bool:
    if not isinstance(output, dict) or output.get("output_type") not in _TYPES:
        return False
    try:
        nbformat.validate(output, ref=output["output_type"], version=4)
    except (ValidationError, KeyError, TypeError, RecursionError):
        return False
    return True


def _mended(node: Any, depth: int = 0) -> Any:
    """The same data without halves of surrogate pairs, numbers that JSON lacks, and parts that lie too deep."""
    if depth > _DEEPEST:
        return None
    if isinstance(node, str):
        return node.encode("utf-8", "replace").decode("utf-8")
    if isinstance(node, dict):
        return {_mended(str(key)): _mended(value, depth + 1) for key, value in node.items()}
    if isinstance(node, list):
        return [_mended(value, depth + 1) for value in node]
    if isinstance(node, float) and not math.isfinite(node):
        return None
    return node


def _size(node: Any) -> int:
    if isinstance(node, dict):
        return sum(len(key) + _size(value) for key, value in node.items())
    if isinstance(node, list):
        return sum(map(_size, node))
    return len(str(node))
