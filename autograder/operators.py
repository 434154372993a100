"""Mutations that cosmic-ray lacks: a step left out. Its own operators change signs, numbers and keywords, and code that
is built on tensors is mostly calls."""

from collections.abc import Iterator, Sequence
from typing import Any

from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import Keyword

Positions = Iterator[tuple[tuple[int, int], tuple[int, int]]]


class RemoveCall(Operator):
    """Leaves a method call out of a chain."""

    def mutation_positions(self, node: Any) -> Positions:
        children = node.children.copy() if _method_calls(node) else []  # cosmic-ray asks on after it has mutated
        for index in _method_calls(node):
            yield children[index].start_pos, children[index + 1].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        at = _method_calls(node)[index]
        del node.children[at : at + 2]
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return (
            Example("y = x.transpose(1, 2).flatten(2)", "y = x.flatten(2)"),
            Example("y = x.transpose(1, 2).flatten(2)", "y = x.transpose(1, 2)", occurrence=1),
        )


class RemoveArgument(Operator):
    """Leaves a keyword argument out of a call."""

    def mutation_positions(self, node: Any) -> Positions:
        for argument in _keyword_arguments(node):
            yield argument.start_pos, argument.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        argument = _keyword_arguments(node)[index]
        if argument.parent is node:
            node.children.remove(argument)
            return node
        siblings = argument.parent.children
        at = siblings.index(argument)
        if at == 0:  # the comma that goes with it stands after it
            siblings[2].get_first_leaf().prefix = argument.get_first_leaf().prefix
        del siblings[max(at - 1, 0) : max(at - 1, 0) + 2]
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return (
            Example("x.sum(dim=1)", "x.sum()"),
            Example("x.sum(dim=1, keepdim=True)", "x.sum(keepdim=True)"),
            Example("x.sum(1, keepdim=True)", "x.sum(1)"),
        )


class RemoveAssignment(Operator):
    """Leaves an assignment out."""

    def mutation_positions(self, node: Any) -> Positions:
        if node.type == "simple_stmt" and node.children[0].type == "expr_stmt":
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        gone = node.children[0]
        node.children[0] = Keyword("pass", gone.start_pos, gone.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return (Example("x = -x\n", "pass\n"), Example("if y:\n    x += 1\n", "if y:\n    pass\n"))


OPERATORS: dict[str, Operator] = {
    "autograder/RemoveArgument": RemoveArgument(),
    "autograder/RemoveAssignment": RemoveAssignment(),
    "autograder/RemoveCall": RemoveCall(),
}


def _method_calls(node: Any) -> list[int]:
    """Where, among the children of an expression such as `x.sum(1)[0].exp()`, each `.name` that is called stands."""
    if node.type not in ("atom_expr", "power"):
        return []
    shapes = ["" if child.type != "trailer" else child.children[0].value for child in node.children]
    return [i for i in range(1, len(shapes) - 1) if shapes[i] == "." and shapes[i + 1] == "("]


def _keyword_arguments(node: Any) -> list[Any]:
    if node.type != "trailer" or node.children[0].value != "(":
        return []
    inside = node.children[1]
    arguments = inside.children if inside.type == "arglist" else [inside]
    return [
        each
        for each in arguments
        if each.type == "argument" and each.children[1].type == "operator" and each.children[1].value == "="
    ]
