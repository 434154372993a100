"""Mutants: only inside the blank, all different, all of them compile; and the operators that leave a step out."""

import ast
from textwrap import dedent

import pytest
from cosmic_ray.mutating import mutate_code

from autograder.mutants import mutants_of, solution_lines
from autograder.operators import OPERATORS

SOURCE = dedent('''
    def shifted(x, by=3):
        """x + 1: what stands here is no code."""
        given = by + 4
        ### BEGIN SOLUTION
        total = x - by  # 7 + 8
        if given:
            total = total.sum(dim=1, keepdim=True).exp()
        ### END SOLUTION
        return total * 5
''').lstrip()


def changes(source: str) -> list[tuple[str, str]]:
    return [(mutant.before, mutant.after) for mutant in mutants_of("shifted", source)]


def test_only_the_lines_between_the_marks_are_a_students() -> None:
    assert solution_lines(SOURCE) == {5, 6, 7}
    assert solution_lines("def f():\n    return 1\n") == set()
    two = "### BEGIN SOLUTION\na\n### END SOLUTION\nb\n### BEGIN SOLUTION\nc\n### END SOLUTION\n"
    assert solution_lines(two) == {2, 6}


def test_mutants_change_one_line_of_the_blank_and_leave_the_rest() -> None:
    mutants = mutants_of("shifted", SOURCE)
    old = SOURCE.splitlines()
    assert len(mutants) > 15
    for mutant in mutants:
        assert mutant.answer == "shifted"
        assert mutant.line in solution_lines(SOURCE)
        new = mutant.source.splitlines()
        assert [i + 1 for i in range(len(old)) if old[i] != new[i]] == [mutant.line]
        compile(mutant.source, "mutant", "exec")


def test_mutants_are_told_without_their_comments() -> None:
    assert ("total = x - by", "total = x + by") in changes(SOURCE)
    assert ("if given:", "if not given:") in changes(SOURCE)


def test_mutants_differ_from_the_reference_and_from_each_other() -> None:
    sources = [ast.dump(ast.parse(mutant.source)) for mutant in mutants_of("shifted", SOURCE)]
    assert len(set(sources)) == len(sources)
    assert ast.dump(ast.parse(SOURCE)) not in sources


def test_two_spellings_of_one_change_count_once() -> None:
    source = "def f(x):\n    ### BEGIN SOLUTION\n    return x.sum(-1)\n    ### END SOLUTION\n"
    spelled = [after for _, after in changes(source)]
    assert sum(after in spelled for after in ("return x.sum(- 2)", "return x.sum(~1)")) == 1
    assert sum(after in spelled for after in ("return x.sum(1)", "return x.sum(+1)")) == 1


def test_the_same_mutants_come_out_every_time() -> None:
    assert mutants_of("shifted", SOURCE) == mutants_of("shifted", SOURCE)


def test_what_does_not_compile_is_no_mutant() -> None:
    source = "def f(*x):\n    ### BEGIN SOLUTION\n    return max(*x)\n    ### END SOLUTION\n"
    for mutant in mutants_of("f", source):
        compile(mutant.source, "mutant", "exec")


def test_a_blank_of_nothing_gives_no_mutants() -> None:
    assert mutants_of("f", "def f(x):\n    return x + 1\n") == []


def test_a_step_can_be_left_out() -> None:
    found = changes(SOURCE)
    before = "total = total.sum(dim=1, keepdim=True).exp()"
    for after in (
        "pass",
        "total = total.exp()",
        "total = total.sum(dim=1, keepdim=True)",
        "total = total.sum(keepdim=True).exp()",
        "total = total.sum(dim=1).exp()",
    ):
        assert (before, after) in found


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_do_what_their_examples_say(name: str) -> None:
    operator = OPERATORS[name]
    for example in operator.examples():
        mutated = mutate_code(example.pre_mutation_code, operator, example.occurrence)
        assert mutated == example.post_mutation_code


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_leave_alone_what_is_not_theirs(name: str) -> None:
    assert mutate_code("def f(a, *b, c=1):\n    return [a[0], -c, {**b}]\n", OPERATORS[name], 0) is None


def test_a_single_starred_argument_is_no_keyword() -> None:
    assert mutate_code("f(*x)\n", OPERATORS["autograder/RemoveArgument"], 0) is None
    assert mutate_code("f(**x)\n", OPERATORS["autograder/RemoveArgument"], 0) is None
