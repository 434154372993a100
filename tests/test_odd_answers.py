"""Every function that a student writes, answered oddly: another form of the right values keeps its marks, nonsense is
told in a sentence, and nothing stops the judge."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from toycourse import ROOT

from autograder.exercise import ConceptQuestion, Exercise
from autograder.key import Key, make_key
from autograder.selfcheck import judge_here
from autograder.solutions import load_chapter
from autograder.verdict import Verdict

pytestmark = pytest.mark.slow

FUNCTIONS = [
    pytest.param(exercise, id=f"{folder.name}/{slug}")
    for folder in sorted((ROOT / "solutions").glob("ch*"))
    for slug, exercise in load_chapter(folder).items()
    if not isinstance(exercise, ConceptQuestion)
    and not any(isinstance(answer, type) for answer in exercise.answers.values())
]
every_function = pytest.mark.parametrize("exercise", FUNCTIONS)
KEYS: dict[str, Key] = {}


def graded(exercise: Exercise, change: Callable[[Any], Any]) -> Verdict:
    """The verdict on right answers whose results were changed."""

    def around(answer: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **named: change(answer(*args, **named))

    key = KEYS.setdefault(exercise.slug, make_key(exercise, 11))
    return judge_here(key, {name: around(answer) for name, answer in exercise.answers.items()})


def in_tensors(change: Callable[[Tensor], Any]) -> Callable[[Any], Any]:
    """The change of every floating-point tensor in a result."""

    def deep(value: Any) -> Any:
        if isinstance(value, Tensor):
            return change(value) if value.is_floating_point() else value
        if isinstance(value, Mapping):
            return {name: deep(each) for name, each in value.items()}
        return type(value)(map(deep, value)) if type(value) in (list, tuple) else value

    return deep


def has_tensors(exercise: Exercise) -> bool:
    """Whether any case gives a floating-point tensor."""
    seen: list[Tensor] = []
    graded(exercise, in_tensors(lambda tensor: seen.append(tensor) or tensor))
    return bool(seen)


@every_function
def test_nonsense_gets_a_sentence_for_each_case_and_no_marks(exercise: Exercise) -> None:
    for nonsense in ("text", torch.zeros(0), object(), iter([1.0])):
        verdict = graded(exercise, lambda result, nonsense=nonsense: nonsense)
        failed = [case for case in verdict.cases if not case.passed]
        assert verdict.score < exercise.points, nonsense
        assert len(failed) > len(verdict.cases) / 2, nonsense
        assert all(case.says is not None and case.says.is_whole for case in failed)


@every_function
def test_not_a_number_is_never_right(exercise: Exercise) -> None:
    if not has_tensors(exercise):
        pytest.skip("its results hold no floating-point tensor")
    verdict = graded(exercise, in_tensors(lambda tensor: tensor * torch.nan))
    assert verdict.score < exercise.points
    assert all(case.says is not None and case.says.is_whole for case in verdict.cases if not case.passed)


@every_function
def test_values_in_numpy_lose_the_gradient_and_nothing_else(exercise: Exercise) -> None:
    verdict = graded(exercise, in_tensors(lambda tensor: tensor.detach().numpy()))
    with_gradient = {case.name.en for case in exercise.cases if case.gradients}
    assert {case.name.en for case in verdict.cases if not case.passed} <= with_gradient, verdict.summary().en


@every_function
def test_values_that_carry_a_gradient_are_right(exercise: Exercise) -> None:
    verdict = graded(exercise, in_tensors(lambda tensor: tensor + torch.zeros((), requires_grad=True)))
    assert verdict.score == exercise.points, verdict.summary().en


@every_function
def test_half_precision_is_told(exercise: Exercise) -> None:
    if not has_tensors(exercise):
        pytest.skip("its results hold no floating-point tensor")
    verdict = graded(exercise, in_tensors(lambda tensor: tensor.half()))
    assert verdict.score < exercise.points
    assert all(case.says is not None and case.says.is_whole for case in verdict.cases if not case.passed)
