"""What may differ costs nothing, what is wrong is found, and nothing that a student's process sends upsets it."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toys import SEED, ask, exercise_of, mean_exercise, namespace_of, question, verdict_of, weighted_mean

from autograder.judge import Expected, Sheet, Tolerance, compare, differences, judge
from autograder.key import Key, as_sent, make_key
from autograder.messages import FINDINGS
from autograder.render import as_html, as_text
from autograder.runners import as_data, as_outcome, run_out
from autograder.serialize import Opaque, decode, encode
from autograder.text import Text, same
from autograder.verdict import CaseVerdict, Finding, Named, Verdict, better

TOLERANCE = Tolerance()
EXERCISE = mean_exercise()
KEY = make_key(EXERCISE, SEED)
BEST = {"values": 4.0, "weights": 4.0}


def kind_of(expected: Any, actual: Any, tolerance: Tolerance = TOLERANCE) -> str | None:
    """The finding's kind when both are compared in the form in which they arrive; None when nothing is found."""
    found = compare(as_sent(expected), as_sent(actual), tolerance)
    for finding in found:
        for hidden in (False, True):
            assert finding.text(hidden).is_whole
    return found[0].kind if found else None


def judged(change: Callable[[Any], Any]) -> Verdict:
    """The verdict on the reference whose results are changed."""

    def answer(values: Tensor, weights: Tensor) -> Any:
        return change(weighted_mean(values, weights))

    return judge(KEY.sheet, ask(KEY, namespace_of(EXERCISE, answer)))


# -- what costs nothing --------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(0, 2**40))
def test_the_reference_is_right_under_every_seed(seed: int) -> None:
    assert verdict_of(EXERCISE, seed=seed).score == 4.0


@pytest.mark.parametrize(
    "change",
    [
        lambda found: list(found),
        lambda found: [part.clone() for part in found],
        lambda found: tuple(part.float() for part in found),
        lambda found: tuple(part.float().double() for part in found),
        lambda found: tuple(part + 1e-12 for part in found),
        lambda found: tuple(torch.nn.Parameter(part) if not part.requires_grad else part for part in found),
    ],
)
def test_another_form_costs_nothing(change: Callable[[Any], Any]) -> None:
    assert judged(change).score == 4.0


def test_an_answer_that_calculates_in_single_precision_keeps_the_marks_of_the_gradient() -> None:
    result, gradient = torch.tensor([0.25, 3.0], dtype=torch.float64), torch.tensor([1.0, 7.0], dtype=torch.float64)
    expected = {"result": [result], "gradients": {"x": gradient}}

    def found(part: Tensor, factor: float) -> bool:
        return bool(differences(expected, {"result": [part], "gradients": {"x": gradient * factor}}, TOLERANCE))

    assert not found(result.float(), 1 + 1e-5)
    assert found(result, 1 + 1e-5)
    assert found(result.float(), 1 + 1e-3)


def test_numpy_costs_nothing_but_the_gradient() -> None:
    verdict = judged(lambda found: tuple(part.detach().numpy() for part in found))
    assert [case.passed for case in verdict.cases] == [True, True, True, False]
    assert verdict.cases[3].findings[0].kind == "detached"


def test_in_place_costs_nothing_and_is_remarked() -> None:
    def answer(values: Tensor, weights: Tensor) -> Any:
        weights.div_(weights.sum(dim=-1, keepdim=True))
        return (weights * values).sum(dim=-1), weights

    verdict = verdict_of(EXERCISE, answer)
    assert verdict.score == 4.0
    assert [remark.kind for remark in verdict.remarks] == ["changed"]


small = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6).map(lambda v: torch.tensor(v, dtype=torch.float64))


@given(small)
def test_precision_and_container_cost_nothing(values: Tensor) -> None:
    for other in (values.float(), values.float().double(), values.numpy(), values.numpy().astype(np.float32)):
        assert kind_of(values, other) is None
    assert kind_of(values.tolist(), values) is None
    assert kind_of(values.tolist(), values.float()) is None
    assert kind_of(values.tolist(), tuple(values.unbind())) is None
    assert kind_of(values.unbind(), values.numpy()) is None
    assert kind_of(float(values[0]), values[0].float()) is None


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_a_mask_of_zeros_and_ones_costs_nothing(mask: list[bool]) -> None:
    expected = torch.tensor(mask)
    for dtype in (torch.bool, torch.int64, torch.uint8, torch.uint32, torch.float32, torch.float64):
        assert kind_of(expected, expected.to(dtype)) is None
        assert kind_of(expected, (~expected).to(dtype)) == "values"
    assert kind_of(expected, expected.numpy()) is None
    assert kind_of(mask, expected.int()) is None
    assert kind_of(mask[0], int(mask[0])) is None
    assert kind_of(expected, expected.to(torch.int64) * 2) in (("dtype",) if any(mask) else (None,))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.uint8, torch.uint16, torch.uint64])
def test_any_whole_dtype_is_a_whole_number(dtype: torch.dtype) -> None:
    assert kind_of(torch.tensor([1, 2]), torch.tensor([1, 2]).to(dtype)) is None
    assert kind_of(torch.tensor([1, 2]), torch.tensor([1, 3]).to(dtype)) == "values"
    assert kind_of(torch.tensor([1.0, 2.0]), torch.tensor([1, 2]).to(dtype)) is None


def test_half_precision_is_told_where_more_was_asked() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        assert kind_of(torch.ones(2), torch.ones(2, dtype=dtype)) == "dtype"
        assert kind_of(torch.ones(2, dtype=dtype), torch.ones(2, dtype=dtype)) is None


# -- what is found -------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["result", "again", "gradients"]),
    st.integers(0, 10**6),
    st.sampled_from([1e-2, -1e-2, 1.0, 1e6, float("nan"), float("inf")]),
)
def test_a_perturbed_entry_is_always_found(part: str, place: int, step: float) -> None:
    outcomes = ask(KEY, namespace_of(EXERCISE))
    outcome = decode(encode(outcomes[3]))
    values = outcome[part]["values"] if part == "gradients" else outcome[part][place % 2]
    values.flatten()[place % values.numel()] += step
    verdict = judge(KEY.sheet, [*outcomes[:3], outcome])
    assert [case.passed for case in verdict.cases] == [True, True, True, False]
    assert verdict.score == 3.0


@given(small, st.integers(0, 10**6), st.floats(1e-2, 1e6))
def test_a_perturbed_value_is_found_where_it_is(values: Tensor, place: int, step: float) -> None:
    changed = values.clone()
    changed[place % len(values)] += step
    (finding,) = compare(values, changed, TOLERANCE)
    assert finding.kind == "values"
    assert finding.fields["index"] == [place % len(values)]
    assert (finding.fields["differ"], finding.fields["total"]) == (1, len(values))


@given(st.integers(-(2**62), 2**62), st.sampled_from([1, -1, 1000]))
def test_whole_numbers_are_equal_or_not(number: int, step: int) -> None:
    assert kind_of(number, number) is None
    assert kind_of(number, torch.tensor(number)) is None
    assert kind_of(number, number + step) == "plain"
    assert kind_of(torch.tensor([number]), torch.tensor([number + step])) == "values"


@pytest.mark.parametrize(
    ("expected", "actual", "kind"),
    [
        (torch.ones(2), None, "none"),
        (torch.ones(2), "text", "type"),
        (torch.ones(2), [1.0, 1.0], "type"),
        (torch.ones(2), object(), "type"),
        (torch.ones(2), torch.ones(3), "shape"),
        (torch.ones(2), torch.ones(2, 1), "shape"),
        (torch.ones(2), 1.0, "shape"),
        (torch.ones(()), 1, None),
        (torch.ones(2), torch.ones(2, dtype=torch.complex64), "dtype"),
        (torch.tensor([1, 2]), torch.tensor([1.0, 2.0]), "dtype"),
        (torch.tensor([1, 0]), torch.tensor([True, False]), "dtype"),
        (torch.zeros(0, 3), torch.zeros(0, 3), None),
        (torch.zeros(0, 3), torch.zeros(3, 0), "shape"),
        (torch.tensor([float("nan"), 1]), torch.tensor([float("nan"), 1]), None),
        (torch.tensor([float("nan"), 1]), torch.tensor([0.0, 1]), "values"),
        (torch.tensor([float("inf"), 1]), torch.tensor([float("inf"), 1]), None),
        (torch.tensor([float("inf"), 1]), torch.tensor([-float("inf"), 1]), "values"),
        (torch.tensor([1 + 1j]), torch.tensor([1 + 1j], dtype=torch.complex64), None),
        (torch.tensor([1 + 1j]), torch.tensor([1 - 1j]), "values"),
        (1 + 1j, complex(1, 1.1), "plain"),
        (1 + 1j, complex(1, 1 + 1e-5), "plain"),
        (1 + 1j, complex("nan"), "plain"),
        (1 + 1j, True, "dtype"),
        (0.5, 0.6, "plain"),
        (0.5, complex(1e300, 0), "dtype"),
        (0.5, 10**400, "plain"),
        (0.5, "0.5", "type"),
        (3, 3.0, "dtype"),
        (None, None, None),
        (None, 3, "type"),
        ("word", "word", None),
        ("word", np.str_("word"), None),
        ("word", "Word", "plain"),
        ("word", 3, "type"),
        ([1, 2], [1, 2, 3], "length"),
        ([1, 2], (1, 2), None),
        ([1, 2], 3, "type"),
        ([1, 2], {"a": 1}, "type"),
        ([1, 2], torch.tensor(1), "type"),
        ([[1.0], [2.0]], torch.tensor([[1.0], [2.0]]), None),
        ([[1.0], [2.0]], torch.tensor([[1.0], [2.1]]), "plain"),
        (["a", "b"], np.array(["a", "b"]), "type"),
        ([], [], None),
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, None),
        ({"a": 1}, {"b": 1}, "keys"),
        ({"a": 1}, {1: 1}, "keys"),
        ({"a": 1}, [1], "type"),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "plain"),
    ],
)
def test_every_difference_has_its_finding(expected: Any, actual: Any, kind: str | None) -> None:
    assert kind_of(as_data(expected), as_data(actual)) == kind


def test_a_finding_says_where_it_is() -> None:
    (finding,) = compare({"a": [1.0, torch.ones(2, 2)]}, {"a": [1.0, torch.eye(2)]}, TOLERANCE)
    assert finding.text().en == ("'a': result 1: 2 of 4 entries differ, the largest by 1 at [0, 1] (expected 1, got 0)")
    assert finding.text(hidden=True).en == "the values are wrong."
    (finding,) = compare(0.5, 0.75, TOLERANCE)
    assert finding.text().en == "expected 0.5, got 0.75."


def test_an_infinite_or_undefined_distance_is_the_worst() -> None:
    expected = torch.zeros(4)
    for worst in (float("nan"), float("inf"), -float("inf")):
        (finding,) = compare(expected, torch.tensor([0.0, 1e9, worst, 5.0]), TOLERANCE)
        assert finding.fields["index"] == [2]
        assert finding.fields["worst"] == float("inf")


def test_what_is_no_list_is_named_as_what_it_is() -> None:
    expected = [1, 2]
    for actual, name in ((run_out(x for x in expected), "generator"), (torch.nn.Linear(1, 1), "Module")):
        (finding,) = compare(expected, as_sent(as_data(actual)), TOLERANCE)
        assert finding.text().en == f"the type is {name} instead of list."
    assert kind_of(as_data(run_out(iter(expected))), as_data(run_out(x for x in expected))) is None
    assert kind_of(as_data(run_out(iter(expected))), expected) == "type"


# -- tolerances ----------------------------------------------------------------------------------------------------


def test_tolerance_follows_the_less_precise_side() -> None:
    double, single = torch.float64, torch.float32
    assert TOLERANCE.of(double, double) == (1e-6, 1e-8)
    assert TOLERANCE.of(double, torch.int64) == (1e-6, 1e-8)
    assert TOLERANCE.of(double, single) == TOLERANCE.of(single, double) == (1e-4, 1e-5)
    assert TOLERANCE.of(torch.complex128, torch.complex64) == (1e-4, 1e-5)
    assert TOLERANCE.of(torch.int64, torch.bool) == (0.0, 0.0)
    assert Tolerance(device="cuda").of(double, double) == pytest.approx((1e-5, 1e-7))
    assert Tolerance(rtol=0.1).of(double, double) == (0.1, 1e-8)
    assert kind_of(100, 101, Tolerance(rtol=0.1, atol=0.0)) is None


# -- diagnosis -----------------------------------------------------------------------------------------------------


def test_each_mistake_is_named_as_itself() -> None:
    for mistake in EXERCISE.mistakes:
        verdict = judge(KEY.sheet, ask(KEY, mistake.answers))
        assert verdict.mistake is not None
        assert verdict.mistake.name == mistake.name
        assert verdict.score < 4.0


def test_a_mistake_written_in_another_form_is_named_too() -> None:
    def other(values: Tensor, weights: Tensor) -> Any:
        return [torch.einsum("...i,...i->...", weights.float(), values.float()), weights.float()]

    verdict = verdict_of(EXERCISE, other)
    assert verdict.mistake is not None
    assert verdict.mistake.name == "not_divided"


def test_no_mistake_is_named_where_none_fits_or_nothing_is_wrong() -> None:
    assert verdict_of(EXERCISE).mistake is None
    assert verdict_of(EXERCISE, lambda values, weights: (values, weights)).mistake is None
    assert verdict_of(EXERCISE, 3).mistake is None


def hung(*mistakes: Any, cases: int = 2) -> Key:
    """An exercise that doubles, with these mistakes."""

    def double(x: Tensor) -> Tensor:
        return 2 * x

    exercise = exercise_of(double)
    for number in range(cases):
        exercise.hidden(en=f"case {number}", ja=f"例 {number}")(lambda make: {"x": make.normal(3)})
    for name, wrong in mistakes:
        wrong.__name__ = name
        exercise.mistake(en=name, ja=name, hint_en="h", hint_ja="h")(wrong)
    return make_key(exercise, SEED)


def test_the_mistake_that_explains_most_is_named_then_the_one_that_contradicts_least_then_the_first() -> None:
    def sometimes(x: Tensor) -> Tensor:
        return x if x.sum() > 0 else 3 * x

    key = hung(("sometimes", sometimes), ("never", lambda x: x), ("twin", lambda x: x + 0), cases=8)
    verdict = judge(key.sheet, ask(key, {"double": lambda x: x}))
    assert verdict.mistake is not None
    assert verdict.mistake.name == "never"

    def half_right(x: Tensor) -> Tensor:
        return 2 * x if x.sum() > 0 else x

    key = hung(("never", lambda x: x), ("half", half_right), cases=8)
    verdict = judge(key.sheet, ask(key, {"double": half_right}))
    assert 0 < verdict.passed < 8
    assert verdict.mistake is not None
    assert verdict.mistake.name == "half"


def test_an_exception_is_a_known_mistake_only_with_the_same_type_and_message() -> None:
    def raises(text: str) -> Any:
        def wrong(x: Tensor) -> Tensor:
            raise ValueError(text)

        return wrong

    key = hung(("odd", raises("odd shape")))
    for text, name in (("odd shape", "odd"), ("other", None)):
        verdict = judge(key.sheet, ask(key, {"double": raises(text)}))
        assert (verdict.mistake.name if verdict.mistake else None) == name
        assert verdict.score == 0.0
    assert judge(key.sheet, ask(key, {})).mistake is None
    assert judge(key.sheet, ask(key, {"double": 3})).mistake is None


# -- a case's own judge --------------------------------------------------------------------------------------------


def about_half(inputs: Any, expected: Any, actual: Any) -> Text | None:
    share = float(actual.double().mean())
    return None if abs(share - 0.5) < 0.2 else same("too many" if share > 0.5 else "too few")


def drawing() -> Key:
    def draw(size: int, generator: torch.Generator) -> Tensor:
        return torch.rand(size, generator=generator) < 0.5

    exercise = exercise_of(draw)
    exercise.hidden(en="many", ja="多数", judge=about_half)(
        lambda make: {"size": 999, "generator": make.recipe("autograder.recipes:generator", 3)}
    )
    for name, wrong in (
        ("ones", lambda size, generator: torch.rand(size, generator=generator) < 0.9),
        ("none", lambda size, generator: torch.zeros(size)),
    ):
        wrong.__name__ = name
        exercise.mistake(en=name, ja=name, hint_en="h", hint_ja="h")(wrong)
    return make_key(exercise, SEED)


def test_a_random_procedure_is_judged_by_what_its_draws_have_in_common() -> None:
    key = drawing()

    def verdict(answer: Any) -> Verdict:
        return judge(key.sheet, ask(key, {"draw": answer}))

    assert verdict(lambda size, generator: torch.rand(size, generator=generator) > 0.5).score == 2.0
    assert verdict(lambda size, generator: torch.randint(2, (size,), generator=generator)).score == 2.0
    wrong = verdict(lambda size, generator: torch.rand(size, generator=generator) > 0.05)
    assert wrong.score == 0.0
    assert wrong.mistake is not None
    assert wrong.mistake.name == "ones"
    assert wrong.cases[0].says == same("too many")
    none = verdict(lambda size, generator: torch.rand(size, generator=generator) < 0.01)
    assert none.mistake is not None
    assert none.mistake.name == "none"


@pytest.mark.parametrize("actual", [None, "text", {"a": 1}, [], object(), torch.zeros(0), {1, 2}])
def test_a_judge_that_stumbles_over_a_result_calls_it_wrong(actual: Any) -> None:
    key = drawing()
    verdict = judge(key.sheet, ask(key, {"draw": lambda size, generator: actual}))
    assert verdict.score == 0.0
    assert verdict.cases[0].says is not None


# -- junk ----------------------------------------------------------------------------------------------------------

MARK = "JUNK<script>alert(1)</script>&\"'"
FIELDS = ["failure", "result", "again", "gradients", "after", "changed", "elsewhere", "device", "what", "yields"]
DETAILS = ["kind", "type", "message", "source", "line", "answer", "seconds", "choices", "text"]


def marked_tensor(shape: list[int], dtype: torch.dtype) -> Tensor:
    return torch.full(shape, 77).to(dtype)


junk_tensors = st.builds(
    marked_tensor,
    st.lists(st.integers(0, 4), max_size=4),
    st.sampled_from([torch.float64, torch.float16, torch.int64, torch.uint64, torch.bool, torch.complex64, torch.int8]),
)
texts = st.text(max_size=4).map(lambda text: MARK + text)
scalars = st.integers(77, 2**70) | st.floats(min_value=77) | st.just(complex(77, 1)) | st.booleans() | st.none()
junk = st.recursive(
    scalars | texts | junk_tensors | st.builds(Opaque, texts),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(texts | st.integers(), inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FIELDS, *BEST]), inner, max_size=3)
    ),
    max_leaves=10,
)
failures = st.dictionaries(
    st.sampled_from(DETAILS), junk | st.sampled_from([*FINDINGS, "ValueError", 3]), max_size=6
).map(lambda details: {"failure": details})
outcomes = junk | failures | st.dictionaries(st.sampled_from(FIELDS), junk, max_size=6)


def shown(verdict: Verdict) -> str:
    """All that a verdict shows to anybody."""
    parts = [json.dumps(verdict.as_data(), ensure_ascii=False, allow_nan=False)]
    for language in ("en", "ja"):
        parts += [as_text(verdict, language), as_html(verdict, language), verdict.summary().pick(language)]
    text = "\n".join(parts)
    text.encode("utf-8")
    return text


HIDDEN = [number for number, case in enumerate(KEY.sheet.cases) if not case.visible]
ALONE = Sheet("weighted_mean", KEY.sheet.title, 4.0, KEY.sheet.mistakes, [KEY.sheet.cases[n] for n in HIDDEN])


@given(st.lists(outcomes, min_size=3, max_size=3))
def test_junk_never_raises_never_scores_and_never_shows_in_a_hidden_case(sent: list[Any]) -> None:
    replies = [as_outcome(decode(encode(data)), KEY.trials[n]) for n, data in zip(HIDDEN, sent, strict=True)]
    verdict = judge(ALONE, replies)
    assert verdict.score == 0.0
    text = shown(verdict)
    assert "JUNK" not in text
    assert "77" not in text


@given(outcomes)
def test_junk_in_a_visible_case_is_shown_escaped(sent: Any) -> None:
    replies = ask(KEY, namespace_of(EXERCISE))
    replies[0] = as_outcome(decode(encode(sent)), KEY.trials[0])
    verdict = judge(KEY.sheet, replies)
    assert verdict.score == 4.0
    assert not verdict.cases[0].passed
    assert shown(verdict)
    for language in ("en", "ja"):
        assert "<script" not in as_html(verdict, language)


@given(st.lists(outcomes, min_size=1, max_size=1), st.sampled_from(["b", 0.881]))
def test_junk_for_a_question(sent: list[Any], answer: Any) -> None:
    key = make_key(question(answer=answer), SEED)
    verdict = judge(key.sheet, [as_outcome(decode(encode(data)), key.trials[0]) for data in sent])
    assert verdict.score == 0.0
    assert "JUNK" not in shown(verdict)


# -- marks ---------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1e6), st.booleans()), min_size=1, max_size=8),
    st.floats(0.25, 1e4),
)
def test_a_score_is_a_plain_float_within_its_bounds(cases: list[tuple[bool, float, bool]], points: float) -> None:
    wrong = (Finding("values"),)
    made = tuple(
        CaseVerdict(same("c"), visible, 0.0 if visible else weight, () if right else wrong)
        for right, weight, visible in cases
    )
    verdict = Verdict("slug", same("title"), points, made)
    assert type(verdict.score) is float
    assert 0.0 <= verdict.score <= points
    assert math.isfinite(verdict.score)
    if all(case.passed for case in made):
        assert verdict.score == points


def test_only_hidden_cases_carry_marks_and_weights_count() -> None:
    def verdict(*wrong: int) -> Verdict:
        replies = ask(KEY, namespace_of(EXERCISE))
        for number in wrong:
            replies[number] = {"result": None}
        return judge(KEY.sheet, replies)

    assert [verdict(number).score for number in range(4)] == [4.0, 3.0, 2.0, 3.0]
    assert verdict(1, 2, 3).score == 0.0
    assert verdict(0).status == "partly"
    assert verdict(0, 1, 2, 3).status == "wrong"


def test_the_better_of_two_verdicts() -> None:
    right, wrong = verdict_of(EXERCISE), verdict_of(EXERCISE, lambda values, weights: None)
    assert better(right, wrong) is better(wrong, right) is right
    assert better(wrong, wrong) is wrong
    other = verdict_of(EXERCISE)
    assert better(right, other) is right


# -- pictures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "actual", "has"),
    [
        (torch.ones(2, 3), torch.zeros(2, 3), True),
        (torch.ones(4, 2, 3), torch.zeros(4, 2, 3), True),
        ([torch.ones(2), torch.ones(2, 2)], [torch.ones(2), torch.zeros(2, 2)], True),
        (torch.ones(3), torch.zeros(3), False),
        (torch.ones(2, 3), torch.zeros(3, 2), False),
        (torch.ones(2, 17), torch.zeros(2, 17), False),
        (torch.ones(2, 2) * 1j, torch.zeros(2, 2), False),
        ([torch.ones(0, 2, 2), torch.ones(2)], [torch.ones(0, 2, 2), torch.zeros(2)], False),
        ([torch.ones(2, 0), torch.ones(2)], [torch.ones(2, 0), torch.zeros(2)], False),
        ({"a": torch.ones(2, 2)}, {"a": torch.zeros(2, 2)}, False),
        (torch.ones(2, 2), None, False),
    ],
)
def test_a_small_table_is_a_picture(expected: Any, actual: Any, has: bool) -> None:
    for visible in (True, False):
        case = Expected(same("c"), visible, 1.0, {"result": expected}, [])
        (found,) = judge(Sheet("s", same("t"), 1.0, [], [case]), [{"result": actual}]).cases
        assert not found.passed
        assert (found.picture is not None) == (has and visible)


def test_a_single_tensor_in_place_of_several_values_is_told_as_such() -> None:
    pair = [torch.ones(2, 3), torch.zeros(2, 2)]
    (found,) = compare(pair, torch.ones(2, 3), Tolerance())
    assert found.kind == "single"
    assert found.text().en == "a single tensor was returned instead of 2 values."
    assert compare([torch.ones(3), torch.zeros(3)], torch.tensor([[1.0] * 3, [0.0] * 3]), Tolerance()) == []


def test_a_mistake_that_explains_few_of_the_wrong_cases_is_not_named() -> None:
    def expected(number: float, known: float) -> Expected:
        return Expected(same(str(number)), False, 1.0, {"result": number}, [{"result": known}])

    named = Named("known", same("says"), same("hint"))
    sheet = Sheet("slug", same("title"), 3.0, [named], [expected(1.0, 9.0), expected(2.0, 9.0), expected(3.0, 9.0)])
    assert judge(sheet, [{"result": 9.0}, {"result": 8.0}, {"result": 7.0}]).mistake is None
    assert judge(sheet, [{"result": 9.0}, {"result": 9.0}, {"result": 7.0}]).mistake == named
    assert judge(sheet, [{"result": 9.0}, {"result": 2.0}, {"result": 3.0}]).mistake == named
