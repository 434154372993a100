"""Chapter 4, question answering: the references against outside oracles and tables by hand, and what the text says."""

import json
import math
import re
import string
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import Tensor, nn
from toycourse import ROOT
from toymodels import SPECIAL
from transformers import BertTokenizerFast

from autograder.course import pretrained_tokenizer, sources
from autograder.course.questions import PASSAGES
from autograder.key import make_key
from autograder.selfcheck import judge_here
from autograder.solutions import load_exercise

FOLDER = ROOT / "solutions" / "ch4"
SPAN, SCORES, TOKENS = (
    load_exercise(FOLDER / f"{slug}.py") for slug in ("best_answer_span", "squad_scores", "answer_token_span")
)
best_answer_span = SPAN.answers["best_answer_span"]
squad_scores = SCORES.answers["squad_scores"]
answer_token_span = TOKENS.answers["answer_token_span"]


def verdict_on(exercise: Any, source: str) -> Any:
    """The exam's verdict on an answer that is written as a student would write it."""
    names = {"torch": torch, "nn": nn, "F": F, "math": math, "re": re, "string": string, "Counter": Counter}
    namespace: dict[str, Any] = {**names, "Tensor": Tensor}
    exec(source, namespace)
    return judge_here(make_key(exercise, seed=11), namespace)


# -- best_answer_span ----------------------------------------------------------------------------------------------


def by_numpy(start: Any, end: Any, keep: Any, max_len: int) -> tuple[int, int] | None:
    """The best of all allowed pairs, sorted."""
    pairs = [(i, j) for i in range(len(start)) for j in range(i, len(end)) if keep[i] and keep[j] and j < i + max_len]
    return max(pairs, key=lambda pair: start[pair[0]] + end[pair[1]], default=None)


@pytest.mark.parametrize("seed", range(40))
def test_the_span_is_the_best_of_all_pairs(seed: int) -> None:
    draw = np.random.default_rng(seed)
    time = int(draw.integers(1, 30))
    first, count = sorted(draw.integers(0, time + 1, 2))
    keep = np.arange(time) >= first
    keep &= np.arange(time) < count
    start, end, max_len = draw.normal(size=time), draw.normal(size=time), int(draw.integers(1, 12))
    ours = best_answer_span(torch.tensor(start), torch.tensor(end), torch.tensor(keep), max_len)
    assert ours == by_numpy(start, end, keep, max_len)
    if ours is not None:
        assert [type(place) for place in ours] == [int, int]


def test_the_span_is_the_one_that_the_joint_probability_prefers() -> None:
    """As transformers' question-answering pipeline decoded: outer product of two softmaxes, a band, the best entry."""
    torch.manual_seed(3)
    for _ in range(30):
        start, end = torch.randn(2, 25).double() * 2
        keep = torch.arange(25) >= 6
        chances = [each.masked_fill(~keep, -10_000.0).softmax(dim=0) for each in (start, end)]
        candidates = np.tril(np.triu(np.outer(*(each.numpy() for each in chances))), 7 - 1)
        best = np.unravel_index(candidates.argmax(), candidates.shape)
        assert best_answer_span(start, end, keep, 7) == tuple(int(place) for place in best)


def test_the_spans_in_the_text() -> None:
    start = torch.tensor([6.0, 0.5, 0.0, 1.0, 3.0, 2.0, 4.0])
    end = torch.tensor([6.0, 0.0, 0.5, 2.0, 3.0, 4.5, 1.5])
    keep = torch.tensor([False] * 3 + [True] * 4)
    assert best_answer_span(start, end, keep, 3) == (4, 5)
    assert (start[4] + end[5], start[6] + end[6], start[0] + end[0]) == (7.5, 5.5, 12)
    assert int((start * keep).argmax()) == 6
    assert int((end * keep).argmax()) == 5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_other_precisions_and_logits_that_carry_gradients(dtype: torch.dtype) -> None:
    start, end = torch.zeros(2, 9, dtype=dtype).requires_grad_(), torch.zeros(9, dtype=dtype)
    with torch.no_grad():
        start[0, 4], end[6] = 3, 2
    assert best_answer_span(start[0], end, torch.ones(9, dtype=torch.bool), 5) == (4, 6)


def test_a_span_that_numpy_finds_gets_full_marks() -> None:
    source = """
def best_answer_span(start_logits, end_logits, context_mask, max_len):
    best = None
    for i in range(len(start_logits)):
        for j in range(i, min(len(start_logits), i + max_len)):
            if context_mask[i] and context_mask[j]:
                if best is None or start_logits[i] + end_logits[j] > best[0]:
                    best = [start_logits[i] + end_logits[j], i, j]
    return best and torch.tensor(best[1:])
"""
    assert verdict_on(SPAN, source).status == "right"


# -- squad_scores --------------------------------------------------------------------------------------------------

# prediction, right answers, exact match, F1: worked by hand
TABLE: list[tuple[str, list[str], float, float]] = [
    ("Denver Broncos", ["Denver Broncos"], 1, 1),
    ("the Denver Broncos!", ["Denver   broncos"], 1, 1),
    ("A red bicycle, the old one", ["the old red bicycle", "bicycle"], 0, 6 / 7),
    ("by the sea, by car", ["by car"], 0, 4 / 6),
    ("", [], 1, 1),
    ("something", [], 0, 0),
    ("", ["something"], 0, 0),
    ("the", [], 1, 1),  # an article is nothing
    ("", ["a", "The cat"], 0, 0),  # and an answer of nothing but articles is no answer
    ("", ["an", "..."], 1, 1),
    ("U.S.A.", ["usa"], 1, 1),
    ("twenty-one", ["twentyone"], 1, 1),
    ("twenty one", ["twenty-one"], 0, 0),
    ("don't", ["dont"], 1, 1),
    ("theatre", ["the atre"], 0, 0),
    ("an anthem", ["Anthem"], 1, 1),
    ("New York", ["New York, New York"], 0, 2 * 2 / 6),
    ("New York New York", ["new york"], 0, 2 * 2 / 6),
    ("Haruka Ito", ["Ito Haruka"], 0, 1),
    ("ÉCOLE normale", ["école"], 0, 2 / 3),
    ("Łódź", ["łódź"], 1, 1),
    ("富士 山", ["富士"], 0, 2 / 3),
    ("3 May", ["on 3 May 1987", "3 May 1987", "May"], 0, 4 / 5),
    ("$4.50", ["450"], 1, 1),
    ('{braces}\n and\t"quotes"', ["braces and quotes"], 1, 1),
    ("one\u00a0two", ["one two"], 1, 1),
]


@pytest.mark.parametrize(("prediction", "answers", "exact", "f1"), TABLE)
def test_scores_worked_by_hand(prediction: str, answers: list[str], exact: float, f1: float) -> None:
    assert squad_scores(prediction, answers) == pytest.approx((exact, f1))


def test_f1_of_words_that_stand_once_is_that_of_scikit_learn() -> None:
    draw, words = np.random.default_rng(0), np.array(["sea", "lake", "boat", "mill", "bridge", "night", "day"])
    for _ in range(50):
        one, other = (draw.random(len(words)) < 0.5 for _ in range(2))
        one[0] = other[1] = True  # neither is empty
        ours = squad_scores(" ".join(words[one]), [" ".join(words[other])])[1]
        assert ours == pytest.approx(f1_score(other, one))


def test_scores_do_not_change_when_the_two_sides_are_exchanged() -> None:
    for prediction, answers, _, _ in TABLE:
        if len(answers) == 1:
            assert squad_scores(prediction, answers) == squad_scores(answers[0], [prediction])


def test_every_right_answer_of_the_passages_scores_one() -> None:
    for split in ("train", "validation"):
        for article in json.loads((PASSAGES / f"{split}.json").read_text(encoding="utf-8"))["data"]:
            for asked in article["paragraphs"][0]["qas"]:
                texts = [answer["text"] for answer in asked["answers"]]
                for text in texts or [""]:
                    assert squad_scores(text, texts) == (1, 1)


def test_the_question_about_f1_asks_for_what_the_function_says() -> None:
    exercise = load_exercise(FOLDER / "answer_f1.py")
    said = squad_scores("On the old bridge, by the mill, by night or by day", ["by the bridge (the mill's)"])
    assert exercise.answers["answer_f1"] == pytest.approx(said[1], abs=5e-5)
    values = [exercise.answers["answer_f1"], *(mistake.answers["answer_f1"] for mistake in exercise.mistakes)]
    assert all(abs(a - b) > 0.005 * b for i, a in enumerate(values) for b in values[:i])


@pytest.mark.parametrize("returned", ["int(exact), f1", "[exact > 0, torch.tensor(f1)]"])
def test_scores_of_any_type_get_full_marks(returned: str) -> None:
    source = f"""
def squad_scores(prediction, answers):
    def words(text):
        table = str.maketrans("", "", string.punctuation)
        return [w for w in text.lower().translate(table).split() if w not in ("a", "an", "the")]
    exact, f1 = 0.0, 0.0
    for answer in [a for a in answers if words(a)] or [""]:
        p, g = words(prediction), words(answer)
        same = sum((Counter(p) & Counter(g)).values())
        f = 2 * same / (len(p) + len(g)) if p or g else 1.0
        exact, f1 = max(exact, float(p == g)), max(f1, f)
    return {returned}
"""
    assert verdict_on(SCORES, source).status == "right"


# -- answer_token_span ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(sources.VARIABLE, raising=False)
        yield pretrained_tokenizer()


def questions() -> list[tuple[str, str, str, int]]:
    """Question, context, answer, its place: of all answers of the validation split."""
    articles = json.loads((PASSAGES / "validation.json").read_text(encoding="utf-8"))["data"]
    return [
        (asked["question"], paragraph["context"], answer["text"], answer["answer_start"])
        for article in articles
        for paragraph in article["paragraphs"]
        for asked in paragraph["qas"]
        for answer in asked["answers"]
    ]


def test_the_tokens_are_those_that_the_tokenizer_finds(tokenizer: Any) -> None:
    for question, context, text, start in questions():
        pair = tokenizer(question, context, return_offsets_mapping=True, padding="max_length", max_length=200)
        end = start + len(text)
        expected = tuple(pair.char_to_token(char, sequence_index=1) for char in (start, end - 1))
        assert answer_token_span(pair["offset_mapping"], pair.sequence_ids(), start, end) == expected


@pytest.mark.parametrize("stride", [0, 5, 14])
def test_windows_are_labelled_as_the_tokenizer_finds_both_ends_in_them(tokenizer: Any, stride: int) -> None:
    whole = 0
    for question, context, text, start in questions():
        end = start + len(text)
        windows = tokenizer(
            question,
            context,
            truncation="only_second",
            max_length=44,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        found = []
        for number, offsets in enumerate(windows["offset_mapping"]):
            ends = tuple(windows.char_to_token(number, char, sequence_index=1) for char in (start, end - 1))
            expected = (0, 0) if None in ends else ends
            assert answer_token_span(offsets, windows.sequence_ids(number), start, end) == expected
            found.append(expected != (0, 0))
        whole += any(found)
    assert whole == len(questions()) or stride == 0  # with a long overlap no answer is lost


def test_the_windows_in_the_text(tmp_path: Any) -> None:
    words = [*SPECIAL, "when", "is", "it", "the", "ferry", "leaves", "at", "du", "##sk", "."]
    (tmp_path / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(str(tmp_path / "words.txt"))
    pair = ("When is it", "The ferry leaves at dusk.")
    one = tokenizer(*pair, return_offsets_mapping=True)
    offsets = [(0, 0), (0, 4), (5, 7), (8, 10), (0, 0)]
    offsets += [(0, 3), (4, 9), (10, 16), (17, 19), (20, 22), (22, 24), (24, 25), (0, 0)]
    assert one["offset_mapping"] == offsets
    assert answer_token_span(one["offset_mapping"], one.sequence_ids(), 20, 24) == (9, 10)
    options = {"truncation": "only_second", "return_overflowing_tokens": True, "return_offsets_mapping": True}
    windows = tokenizer(*pair, max_length=10, stride=2, **options)
    assert [" ".join(windows.tokens(n)[5:-1]) for n in range(3)] == [
        "the ferry leaves at",
        "leaves at du ##sk",
        "du ##sk .",
    ]
    labels = [
        answer_token_span(offsets, windows.sequence_ids(n), 20, 24)
        for n, offsets in enumerate(windows["offset_mapping"])
    ]
    assert labels == [(0, 0), (7, 8), (5, 6)]


def test_the_way_of_transformers_example_gets_full_marks() -> None:
    source = """
def answer_token_span(offsets, sequence_ids, start_char, end_char):
    left = 0
    while left < len(sequence_ids) and sequence_ids[left] != 1:
        left += 1
    right = len(sequence_ids) - 1
    while right >= 0 and sequence_ids[right] != 1:
        right -= 1
    if left > right or not (offsets[left][0] <= start_char and offsets[right][1] >= end_char):
        return 0, 0
    while left < len(offsets) and sequence_ids[left] == 1 and offsets[left][0] <= start_char:
        left += 1
    while sequence_ids[right] == 1 and offsets[right][1] >= end_char:
        right -= 1
    return left - 1, right + 1
"""
    assert verdict_on(TOKENS, source).status == "right"


# -- what a word has seen ------------------------------------------------------------------------------------------


def test_only_the_model_that_looks_to_both_sides_tells_the_banks_apart() -> None:
    from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

    torch.manual_seed(0)
    river, city = torch.tensor([[5, 6, 7, 5, 8, 9, 10]]), torch.tensor([[5, 6, 7, 5, 11, 9, 12]])
    bert = BertModel(
        BertConfig(vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    ).eval()
    gpt = GPT2Model(GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2, n_positions=16)).eval()
    with torch.no_grad():
        differ = [
            not torch.allclose(model(river).last_hidden_state[0, 1], model(city).last_hidden_state[0, 1], atol=1e-6)
            for model in (bert, gpt)
        ]
    assert differ == [True, False]
    assert load_exercise(FOLDER / "context_of_a_word.py").answers["context_of_a_word"] == "b"


def test_a_higher_threshold_helps_the_ones_and_harms_the_others() -> None:
    draw = np.random.default_rng(5)
    margins, right, answerable = draw.normal(size=200), draw.random(200) < 0.6, draw.random(200) < 0.5
    open_, hit = (
        [((margins <= t) & ~answerable).sum() for t in (-1.0, 0.0, 1.0)],
        [((margins > t) & right & answerable).sum() for t in (-1.0, 0.0, 1.0)],
    )
    assert open_ == sorted(open_)
    assert hit == sorted(hit, reverse=True)
    assert load_exercise(FOLDER / "no_answer_threshold.py").answers["no_answer_threshold"] == "c"
