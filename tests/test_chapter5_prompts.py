"""Chapter 5 on prompts and learning in context: its references equal what libraries and counting say."""

import itertools
import math
import statistics
from collections import Counter
from fractions import Fraction
from typing import Any

import jinja2
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from torch import Tensor
from toycourse import ROOT
from transformers import GPT2Config, GPT2LMHeadModel

from autograder.course.in_context import PrefixLogits, RegressionTransformer, small_gpt, train
from autograder.exercise import Exercise
from autograder.solutions import load_exercise


def exercise_of(slug: str) -> Exercise:
    return load_exercise(ROOT / "solutions" / "ch5" / f"{slug}.py")


def reference(slug: str, name: str | None = None) -> Any:
    return exercise_of(slug).answers[name or slug]


# -- few_shot_prompt -----------------------------------------------------------------------------------------------

RENDERED = jinja2.Environment(autoescape=False, keep_trailing_newline=True, newline_sequence="\n").from_string(
    "{{ instruction }}\n\n"
    "{% for given, wanted in shots %}Input: {{ given }}\nOutput: {{ wanted }}\n\n{% endfor %}"
    "Input: {{ query }}\nOutput:"
)
texts = st.text(max_size=30) | st.sampled_from(["{", "{}", "{0}", "{query}", "'\"", "\n\n", " ", "\\n", "日本語", "%s"])


@given(instruction=texts, shots=st.lists(st.tuples(texts, texts), max_size=4), query=texts)
@example(instruction="{instruction}", shots=[("Input: {query}\nOutput:", "{{")], query="{% if %}")
@example(instruction="翻訳してください。", shots=[], query="「はい」\n")
def test_the_prompt_is_the_template_whatever_the_texts_hold(
    instruction: str, shots: list[tuple[str, str]], query: str
) -> None:
    prompt = reference("few_shot_prompt")(instruction, shots, query)
    assert prompt == RENDERED.render(instruction=instruction, shots=shots, query=query)


word = st.text(alphabet="ab{}'\"\\ あ漢", max_size=12)


@given(instruction=word, shots=st.lists(st.tuples(word, word), max_size=4), query=word)
def test_every_text_of_one_line_can_be_read_off_the_prompt(
    instruction: str, shots: list[tuple[str, str]], query: str
) -> None:
    first, *blocks = reference("few_shot_prompt")(instruction, shots, query).split("\n\n")
    pairs = [tuple(line.split(":", 1)[1] for line in block.split("\n")) for block in blocks]
    assert first == instruction
    assert pairs[:-1] == [(f" {given}", f" {wanted}") for given, wanted in shots]
    assert pairs[-1] == (f" {query}", "")


# -- extract_answer and majority_vote ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 26.", 26),
        ("14 + 12 = 26. The answer is 26", 26),
        ("the answer is: 1,250, more than 1,000.", 1250),
        ("THE ANSWER IS 1,234,567.", 1234567),
        ("The answer is -3.5 degrees", -3.5),
        ("The answer is +7", 7),
        ("The answer is 0.", 0),
        ("The answer is\n\n 12 apples, not 13", 12),
        ("The answer is 3. No: the answer is 4. I am sure that the answer is right.", 4),
        ("The answer is 5, 6 is wrong.", 5),
        ("答えは the answer is 8 です。", 8),
        ("The answer isn't 5.", None),
        ("The answer is unknown. 12", None),
        ("The answer is .5", None),
        ("12", None),
        ("", None),
    ],
)
def test_the_answer_is_read_by_the_grammar(text: str, answer: float | None) -> None:
    assert reference("extract_answer")(text) == answer


@given(st.integers(-(10**12), 10**12), st.integers(0, 999), st.text(alphabet="abc 12.,\n", max_size=20))
def test_a_number_with_separators_comes_back(whole: int, thousandths: int, before: str) -> None:
    text = f"{before}\nThe answer is {whole:,}.{thousandths:03d}. Yes."
    expected = float(f"{whole}.{thousandths:03d}")
    assert reference("extract_answer")(text) == expected


votes = st.lists(st.sampled_from([None, 1.0, 2.0, 3.0, -4.5]), max_size=12)


@given(votes)
def test_the_vote_is_the_mode_of_what_is_no_none(answers: list[float | None]) -> None:
    counted = [answer for answer in answers if answer is not None]
    expected = statistics.mode(counted) if counted else None  # mode, too, takes the first of several
    assert reference("extract_answer", "majority_vote")(answers) == expected
    if counted:
        assert Counter(counted)[expected] == max(Counter(counted).values())


def test_the_question_about_a_vote_is_counted_out() -> None:
    right = Fraction(0)
    for outcome in itertools.product((0, 1), repeat=5):
        if sum(outcome) >= 3:
            right += math.prod(Fraction(7, 10) if vote else Fraction(3, 10) for vote in outcome)
    assert reference("vote_accuracy") == pytest.approx(float(right))


# -- score_choices -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=23, n_positions=16, n_embd=16, n_layer=2, n_head=2, initializer_range=0.4)
    return GPT2LMHeadModel(config).double().eval()


def test_choices_are_scored_as_one_generates_them(gpt2: GPT2LMHeadModel) -> None:
    context = torch.randint(23, (5,))
    choices = [torch.randint(23, (length,)) for length in (3, 1, 6)]
    with torch.no_grad():
        sums, means = reference("score_choices")(lambda ids: gpt2(ids).logits, context, choices)
        for index, choice in enumerate(choices):
            total = 0.0
            for place, token in enumerate(choice):
                read = torch.cat([context, choice[:place]])
                total += float(gpt2(read[None]).logits[0, -1].softmax(dim=-1)[token].log())
            assert sums[index].item() == pytest.approx(total)
            assert means[index].item() == pytest.approx(total / len(choice))


def test_all_choices_of_one_length_share_the_whole_probability(gpt2: GPT2LMHeadModel) -> None:
    choices = [torch.tensor(pair) for pair in itertools.product(range(23), repeat=2)]
    with torch.no_grad():
        sums, _ = reference("score_choices")(lambda ids: gpt2(ids).logits, torch.tensor([3, 1]), choices)
    assert sums.exp().sum().item() == pytest.approx(1.0)


def test_the_score_is_what_transformers_calls_the_loss(gpt2: GPT2LMHeadModel) -> None:
    context, choice = torch.randint(23, (4,)), torch.randint(23, (5,))
    ids = torch.cat([context, choice])[None]
    labels = ids.clone()
    labels[:, :4] = -100
    with torch.no_grad():
        loss = gpt2(ids, labels=labels).loss
        _, means = reference("score_choices")(lambda ids: gpt2(ids).logits, context, [choice])
    assert means[0].item() == pytest.approx(-loss.item(), rel=1e-5)


def test_the_words_scored_by_hand_in_the_text() -> None:
    probabilities = torch.tensor([[0.1, 0.6, 0.2, 0.1], [0.1, 0.1, 0.3, 0.5], [0.2, 0.2, 0.2, 0.4], [0.25] * 4])
    model = PrefixLogits(probabilities.double().log() + torch.tensor([[1.0], [-2.0], [0.5], [3.0]]))
    choices = [torch.tensor([1, 3]), torch.tensor([2]), torch.tensor([3, 0])]
    sums, means = reference("score_choices")(model, torch.tensor([2, 0]), choices)
    torch.testing.assert_close(sums.float(), torch.tensor([0.3, 0.2, 0.025]).log())
    torch.testing.assert_close(means.float(), torch.tensor([-0.602, -1.609, -1.844]), rtol=0, atol=6e-4)


def test_the_question_about_sum_and_mean() -> None:
    """The right choice: the sum prefers the short one, the mean the long one."""
    short, long = math.log(0.3), math.log(0.4 * 0.6 * 0.9)
    assert short > long
    assert short < long / 3
    assert (round(short, 2), round(long, 2), round(long / 3, 2)) == (-1.20, -1.53, -0.51)
    assert reference("length_normalisation") == "d"


# -- in_context_regression -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(9, 3), (4, 4), (2, 5), (1, 3)])
def test_predictions_are_those_of_numpy_and_scikit_learn(n: int, d: int) -> None:
    torch.manual_seed(n)
    xs, ys, query = torch.randn(6, n, d).double(), torch.randn(6, n).double(), torch.randn(6, d).double()
    ours = reference("in_context_regression")(xs, ys, query)
    for row, (x, y, asked) in enumerate(zip(xs.numpy(), ys.numpy(), query.numpy(), strict=True)):
        solution = np.linalg.lstsq(x, y, rcond=None)[0]
        assert ours[row].item() == pytest.approx(asked @ solution)
        fitted = LinearRegression(fit_intercept=False).fit(x, y)
        assert ours[row].item() == pytest.approx(fitted.predict(asked[None])[0])


def test_what_the_examples_do_not_say_gets_no_weight() -> None:
    torch.manual_seed(0)
    xs = torch.randn(3, 6, 4).double()
    xs[..., 1] = 0.0
    query = torch.tensor([[0.0, 5.0, 0.0, 0.0]]).double().expand(3, -1)
    assert reference("in_context_regression")(xs, torch.randn(3, 6).double(), query).abs().max() < 1e-12


def test_the_regressions_worked_by_hand() -> None:
    predict = reference("in_context_regression")
    two = predict(torch.tensor([[[1.0, 0.0], [1.0, 1.0]]]), torch.tensor([[2.0, 5.0]]), torch.tensor([[2.0, 1.0]]))
    one = predict(torch.tensor([[[1.0, 1.0]]]), torch.tensor([[4.0]]), torch.tensor([[1.0, 3.0]]))
    assert (two.item(), one.item()) == (pytest.approx(7, abs=1e-5), pytest.approx(8, abs=1e-5))


# -- pass_at_k -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 4, 7])
def test_pass_at_k_is_the_share_of_sets_that_hold_a_right_sample(n: int) -> None:
    for c, k in itertools.product(range(n + 1), range(1, n + 1)):
        sets = list(itertools.combinations(range(n), k))  # the first c samples are right
        share = sum(min(chosen) < c for chosen in sets) / len(sets)
        assert reference("pass_at_k")(n, c, k) == pytest.approx(share)


@pytest.mark.parametrize(
    ("n", "c", "k", "value"), [(5, 2, 2, 0.7), (5, 2, 1, 0.4), (5, 2, 4, 1.0), (10, 1, 5, 0.5), (3, 0, 3, 0.0)]
)
def test_pass_at_k_by_hand(n: int, c: int, k: int, value: float) -> None:
    assert reference("pass_at_k")(n, c, k) == pytest.approx(value)


def test_pass_at_k_of_thousands_and_without_bias() -> None:
    estimate = reference("pass_at_k")
    exact = 1 - Fraction(math.comb(9993, 4000), math.comb(10000, 4000))
    assert estimate(10_000, 7, 4000) == pytest.approx(float(exact))
    p, n, k = 0.2, 8, 3  # the mean over all counts is 1 - (1 - p)^k itself; that of the other formula is below it
    weights = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    mean = sum(weight * estimate(n, c, k) for c, weight in enumerate(weights))
    naive = sum(weight * (1 - (1 - c / n) ** k) for c, weight in enumerate(weights))
    assert mean == pytest.approx(1 - (1 - p) ** k)
    assert naive < mean - 0.03


# -- what the notebook is given ------------------------------------------------------------------------------------


def test_logits_depend_on_the_prefix_and_on_nothing_later() -> None:
    torch.manual_seed(0)
    model, ids = PrefixLogits(torch.randn(7, 7), torch.randn(7, 7)), torch.randint(7, (2, 5))
    for place in range(5):
        other = ids.clone()
        other[0, place] = (other[0, place] + 1) % 7
        moved = (model(other) != model(ids)).any(dim=-1)
        assert moved.tolist() == [[now >= place for now in range(5)], [False] * 5]
    torch.testing.assert_close(model(ids[0]), model(ids)[0])


def test_a_prediction_sees_the_examples_before_it_and_not_its_own_value() -> None:
    torch.manual_seed(0)
    model, xs, ys = RegressionTransformer(3, 4, width=16, layers=2), torch.randn(1, 4, 3), torch.randn(1, 4)
    ys_after = ys.clone()
    ys_after[0, 2] += 1.0
    with torch.no_grad():
        moved: Tensor = model(xs, ys_after) != model(xs, ys)
    assert moved.tolist() == [[False, False, False, True]]


def test_training_stops_by_steps_and_by_time() -> None:
    torch.manual_seed(0)
    model = small_gpt(5, 6, width=8, layers=1, heads=2)
    ids = torch.tensor([[1, 2, 3, 4, 1, 2]])

    def loss() -> Tensor:
        logits: Tensor = model(ids).logits[0, :-1]
        return torch.nn.functional.cross_entropy(logits, ids[0, 1:])

    losses = train(model, loss, steps=40, seconds=60.0, rate=2e-2)
    assert len(losses) == 40
    assert losses[-1] < 0.5 * losses[0]
    assert not model.training
    assert len(train(model, loss, steps=10**6, seconds=0.2)) < 10**4
