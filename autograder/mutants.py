"""Machine-made mutants of a reference: one small change each, inside the blank, by cosmic-ray's operators and ours.

A case that no mutant can pass unnoticed is a case that examines the blank. The author's side only.
"""

import difflib
import io
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from autograder.operators import OPERATORS

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"  # nbgrader's own marks
_NO_MUTATION = "core/NoOp"


@dataclass(frozen=True)
class Mutant:
    """One changed answer: the number of the line in the answer's source, and what stands there before and after.

    Both are stripped and without comments; lines are joined by a newline where several change.
    """

    answer: str
    operator: str
    source: str
    line: int
    before: str
    after: str


def solution_lines(source: str) -> set[int]:
    """The numbers, from 1, of the lines that a student fills in: those between the marks."""
    found, inside = set(), False
    for number, line in enumerate(source.splitlines(), start=1):
        if END in line:
            inside = False
        if inside:
            found.add(number)
        inside = inside or BEGIN in line
    return found


def mutants_of(answer: str, source: str) -> list[Mutant]:
    """All mutants of an answer's source that compile and differ from it and from each other, in the order of lines."""
    blank = solution_lines(source)
    known = {_meaning(source)}
    found = []
    for name, operator, occurrence in _mutations(source, blank):
        mutated = mutate_code(source, operator, occurrence)
        meaning = _meaning(mutated) if mutated is not None else None
        if mutated is None or meaning is None or meaning in known:
            continue
        known.add(meaning)
        found.append(Mutant(answer, name, mutated, *_change(source, mutated)))
    return sorted(found, key=lambda mutant: mutant.line)


def _mutations(source: str, blank: set[int]) -> Iterator[tuple[str, Any, int]]:
    """Every (operator's name, operator, occurrence) whose change lies within the blank."""
    nodes = list(ast_nodes(get_ast(source)))
    for name, operator in _operators():
        positions = (position for node in nodes for position in operator.mutation_positions(node))
        for occurrence, ((first, _), (last, _)) in enumerate(positions):
            if first in blank and last in blank:
                yield name, operator, occurrence


@cache
def _operators() -> tuple[tuple[str, Any], ...]:
    """The operators that need no arguments; those that do put random numbers in, which no second run would find."""
    classes = [(name, get_operator(name)) for name in sorted(operator_names()) if name != _NO_MUTATION]
    theirs = ((name, operator()) for name, operator in classes if not operator.arguments())
    return (*theirs, *OPERATORS.items())


def _meaning(source: str) -> tuple[Any, ...] | None:
    """The same for sources that mean the same to Python (`~1`, `- 2`); None when it does not compile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _instructions(compile(source, "<mutant>", "exec"))
    except (SyntaxError, ValueError, RecursionError):
        return None


def _instructions(code: CodeType) -> tuple[Any, ...]:
    """What a code object does, without where it stands."""
    constants = [_instructions(each) if isinstance(each, CodeType) else (type(each), each) for each in code.co_consts]
    return code.co_code, tuple(map(repr, constants)), code.co_names, code.co_varnames, code.co_freevars


def _change(source: str, mutated: str) -> tuple[int, str, str]:
    """The number of the first changed line, and the changed lines before and after."""
    old, new = _without_comments(source), _without_comments(mutated)
    changes = [c for c in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if c[0] != "equal"]
    before = [line.strip() for _, start, stop, _, _ in changes for line in old[start:stop]]
    after = [line.strip() for _, _, _, start, stop in changes for line in new[start:stop]]
    return changes[0][1] + 1, "\n".join(before), "\n".join(after)


def _without_comments(source: str) -> list[str]:
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    return lines
