"""What an exercise file says, and what is told to an author who has left something out."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from toys import SEED, ask, exercise_of, mean_exercise, question, verdict_of, weighted_mean

from autograder.errors import CourseError
from autograder.exercise import Exercise
from autograder.judge import judge
from autograder.key import make_key
from autograder.make import Make
from autograder.messages import FINDINGS


def double(x: Tensor) -> Tensor:
    return x * 2


def triple(x: Tensor) -> Tensor:
    return x * 3


def draw(make: Make) -> dict[str, Any]:
    return {"x": make.normal(3)}


def whole() -> Exercise:
    exercise = exercise_of(double)
    exercise.visible(en="a row", ja="行")(draw)
    exercise.hidden(en="another", ja="別の行")(draw)
    return exercise


def test_a_whole_exercise_has_no_problems() -> None:
    assert whole().problems() == []
    assert mean_exercise().problems() == []
    assert question().problems() == []


def test_names_and_blanks() -> None:
    exercise = exercise_of(double, triple, slug="both")
    assert list(exercise.answers) == ["double", "triple"]
    assert exercise.cell_id("triple") == "both-triple"
    assert exercise.blank()["double"] == "def double(x: Tensor) -> Tensor:\n    return x * 2\n"
    assert "### BEGIN SOLUTION" in mean_exercise().blank()["weighted_mean"]


def case(**options: Any) -> Callable[[Exercise], Any]:
    return lambda e: e.hidden(**{"en": "extra", "ja": "追加", **options})(draw)


def problem(exercise: Exercise, **fields: Any) -> Exercise:
    for name, value in fields.items():
        setattr(exercise, name, value)
    return exercise


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda e: problem(e, references=(), cases=e.cases), "no reference"),
        (lambda e: problem(e, points=0.0), "points"),
        (lambda e: problem(e, points=float("nan")), "points"),
        (lambda e: problem(e, objectives=()), "objectives"),
        (lambda e: problem(e, cases=[c for c in e.cases if not c.visible]), "no visible case"),
        (lambda e: problem(e, cases=[c for c in e.cases if c.visible]), "no hidden case"),
        (case(weight=-1.0), "weight below 0"),
        (case(weight=float("nan")), "weight below 0"),
        (case(en="a row"), "two cases are called 'a row'"),
        (case(ja=" "), "lacks one of the two languages"),
        (lambda e: e.visible(en="own", ja="独自", judge=lambda *a: None)(draw), "cannot have its own judge"),
        (lambda e: e.mistake(en="m", ja="m", hint_en="", hint_ja="h")(triple), "lacks one of the two languages"),
    ],
)
def test_what_is_left_out_is_told(spoil: Callable[[Exercise], Any], says: str) -> None:
    exercise = whole()
    spoil(exercise)
    assert any(says in found for found in exercise.problems()), exercise.problems()


def test_an_exercise_with_several_answers_asks_which_is_replaced() -> None:
    exercise = exercise_of(double, triple, slug="both")
    with pytest.raises(CourseError, match=r"say which one this replaces with answer="):
        exercise.accepted(lambda x: x + x)
    with pytest.raises(CourseError, match="'quadruple' is not an answer"):
        exercise.mistake(en="m", ja="m", hint_en="h", hint_ja="h", answer="quadruple")(double)
    exercise.accepted(answer="triple")(double)
    assert exercise.alternatives[0].answers == {"double": double, "triple": double}


def test_a_case_for_an_answer_that_is_not_there() -> None:
    exercise = whole()
    exercise.hidden(en="other", ja="他")(lambda make: make.call("triple", x=make.normal(2)))
    with pytest.raises(CourseError, match="asks for 'triple', which is not an answer here"):
        exercise.trial(exercise.cases[-1], 0)


@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_visible_cases_never_change_and_hidden_ones_follow_the_seed(first: int, second: int) -> None:
    exercise = whole()
    visible, hidden = exercise.cases

    def x(case: Any, seed: int) -> Tensor:
        value: Tensor = exercise.trial(case, seed).fields["inputs"]["x"]
        return value

    assert torch.equal(x(visible, first), x(visible, second))
    assert torch.equal(x(hidden, first), x(hidden, first))
    assert torch.equal(x(hidden, first), x(hidden, second)) == (first == second)
    assert not torch.equal(x(visible, first), x(hidden, first))


def test_two_cases_of_one_exercise_are_drawn_apart() -> None:
    exercise = mean_exercise()
    exercise.hidden(en="a row again", ja="再び")(exercise.cases[1].build)
    rows = [exercise.trial(case, SEED).fields["inputs"]["values"] for case in (exercise.cases[1], exercise.cases[-1])]
    assert not torch.equal(*rows)


# -- the reference has to give something that can be compared ------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (lambda x: {1, 2}, "of type set"),
        (lambda x: [x, iter(())], "of type tuple_iterator"),
        (lambda x: {"a": {"b": object()}}, "of type object"),
        (lambda x: {(1, 2): x}, "of type dict"),
        (lambda x: x.expand(10**8, 3), "more than can be sent"),
        (lambda x: 1 / 0, "the reference fails"),
    ],
)
def test_a_reference_that_cannot_be_compared_is_refused(reference: Any, says: str) -> None:
    exercise = Exercise(reference, points=1, objectives=["0"], title_en="t", title_ja="t")
    exercise.slug = "odd"
    exercise.hidden(en="a row", ja="行")(draw)
    with pytest.raises(CourseError, match=says) as caught:
        make_key(exercise, 0)
    assert "odd: " in str(caught.value)
    assert "'a row'" in str(caught.value)


# -- concept questions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["b", "B", " b\n"])
def test_a_choice_does_not_depend_on_its_case_or_spaces(answer: str) -> None:
    assert verdict_of(question(), answer).score == 1.0


@pytest.mark.parametrize(
    ("answer", "finding"),
    [
        ("c", "plain"),
        ("", "not_attempted"),
        ("  ", "not_attempted"),
        (None, "not_attempted"),
        (..., "not_attempted"),
        ("bb", "not_a_choice"),
        ("d", "not_a_choice"),
        (2, "not_a_choice"),
        (["b"], "not_a_choice"),
    ],
)
def test_any_other_choice_is_told_apart(answer: Any, finding: str) -> None:
    exercise = question()
    key = make_key(exercise, SEED)
    verdict = judge(key.sheet, ask(key, {"best": answer}))
    assert verdict.score == 0.0
    assert verdict.cases[0].findings[0].kind == finding
    assert finding in FINDINGS


@pytest.mark.parametrize(
    ("answer", "score", "mistake"),
    [
        (0.881, 1.0, None),
        ("0.881", 1.0, None),
        (torch.tensor(0.8809), 1.0, None),
        (0.89, 0.0, None),
        (2.5, 0.0, "answered 2.5"),
        (float("nan"), 0.0, None),
        ("many", 0.0, None),
        (10**400, 0.0, None),
        (1j, 0.0, None),
    ],
)
def test_a_number_within_its_tolerance(answer: Any, score: float, mistake: str | None) -> None:
    verdict = verdict_of(question(answer=0.881), answer)
    assert verdict.score == score
    assert (verdict.mistake.name if verdict.mistake else None) == mistake


def test_a_misconception_is_named_and_the_blank_gives_nothing_away() -> None:
    verdict = verdict_of(question(), "a")
    assert verdict.mistake is not None
    assert verdict.mistake.says.en == "That is the first."
    blank = question().blank()["best"]
    given_part = blank.split("### BEGIN SOLUTION")[0]
    assert given_part == 'best = ""  # one of a, b, c\n'
    assert question(answer=0.881).blank()["best"].startswith("best = None  # a number\n")


def test_a_question_has_no_self_check_that_could_tell_the_answer() -> None:
    key = make_key(question(), SEED, hidden=False)
    assert key.trials == ()
    assert key.form is not None
    assert "b" not in key.form.fields.values()
    assert weighted_mean.__name__ not in key.answers
