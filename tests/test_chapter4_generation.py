"""Chapter 4's language modelling: references against outside oracles, and answers that are odd or bad."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toycourse import ROOT
from toys import SEED, ask, verdict_of

from autograder.ask import answer_question, write_question
from autograder.course import standins_decoding
from autograder.course.toy_lm import ToyLM, ToySteps
from autograder.examiner import mark, read
from autograder.exercise import Exercise
from autograder.judge import judge
from autograder.key import Key, make_key
from autograder.solutions import load_exercise
from autograder.verdict import Verdict

FOLDER = ROOT / "solutions" / "ch4"


def exercise(slug: str) -> Exercise:
    return load_exercise(FOLDER / f"{slug}.py")


def reference(slug: str, name: str = "") -> Any:
    return exercise(slug).answers[name or slug]


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    """The oracles calculate as precisely as the exams do."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(usual)


def tiny_gpt2(vocab_size: int = 13, seed: int = 1) -> Any:
    """transformers' own GPT-2, without dropout, its weights at a visible scale."""
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"vocab_size": vocab_size, "n_positions": 24, "n_embd": 8, "n_layer": 2, "n_head": 2}
    rates = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    torch.manual_seed(seed)
    config = GPT2Config(**sizes, **rates, initializer_range=0.5, bos_token_id=0, eos_token_id=None)
    return GPT2LMHeadModel(config).double().eval()


class AsGPT(nn.Module):
    """transformers' GPT-2 with the interface of the course."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config = model, SimpleNamespace(max_len=model.config.n_positions)

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.model(ids).logits
        return logits


# -- the loss ----------------------------------------------------------------------------------------------------------


def test_the_loss_is_that_of_gpt2() -> None:
    model = tiny_gpt2()
    for shape in ((1, 2), (3, 7), (2, 24)):
        ids = torch.randint(13, shape)
        with torch.no_grad():
            output = model(ids, labels=ids)
        ours = reference("causal_lm_loss")(output.logits, ids)
        assert float(ours) == pytest.approx(float(output.loss), rel=1e-5)  # transformers calculates it in float32
        perplexity = reference("perplexity")(output.logits, ids)
        assert float(perplexity) == pytest.approx(math.exp(float(output.loss)), rel=1e-5)


def test_the_perplexity_of_guessing_is_the_number_of_tokens() -> None:
    assert float(reference("perplexity")(torch.zeros(2, 5, 17), torch.randint(17, (2, 5)))) == (pytest.approx(17.0))


def test_the_loss_by_hand() -> None:
    logits = torch.tensor([[[0.25, 0.25, 0.5], [0.5, 0.25, 0.25], [0.98, 0.01, 0.01]]]).log()
    ids = torch.tensor([[0, 2, 1]])
    assert round(float(reference("causal_lm_loss")(logits, ids)), 3) == 1.040
    assert round(float(reference("perplexity")(logits, ids)), 3) == 2.828
    assert float(reference("causal_lm_loss")(logits[:, :1], ids[:, :1])) == 0.0


# -- filters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["reference", "stand-in"])
def test_filters_are_those_of_transformers(module: str) -> None:
    from transformers import TopKLogitsWarper, TopPLogitsWarper

    names = ("top_k_filter", "top_p_filter")
    top_k, top_p = (reference(name) if module == "reference" else getattr(standins_decoding, name) for name in names)
    for seed in range(200):
        torch.manual_seed(seed)
        logits = torch.randn(3, int(torch.randint(1, 40, ()))) * 3
        for k in (1, 2, 7, 50):
            torch.testing.assert_close(top_k(logits, k), TopKLogitsWarper(k)(None, logits), rtol=0, atol=0)
        for p in (1e-9, 0.1, 0.5, 0.9, 0.999, 1.0):  # transformers itself refuses 0
            torch.testing.assert_close(top_p(logits, p), TopPLogitsWarper(p)(None, logits), rtol=0, atol=0)
        torch.testing.assert_close(top_p(logits, 0.0), top_k(logits, 1), rtol=0, atol=0)


def test_with_p_1_even_the_unlikeliest_token_stays() -> None:
    logits = torch.tensor([[0.0, -80.0, -300.0, 5.0]])
    for kept in (reference("top_p_filter"), standins_decoding.top_p_filter):
        assert torch.equal(kept(logits, 1.0), logits)


def test_the_filters_keep_what_is_minus_infinity_already() -> None:
    logits = torch.tensor([1.0, -torch.inf, 0.5, -torch.inf])
    for name, limits in (("top_k_filter", (2, 3, 9)), ("top_p_filter", (0.9, 1.0))):
        for limit in limits:
            assert torch.equal(reference(name)(logits, limit), logits), (name, limit)


# -- generation --------------------------------------------------------------------------------------------------------


def test_greedy_generation_is_that_of_transformers() -> None:
    for seed in range(4):
        model, prompt = tiny_gpt2(seed=seed), torch.randint(13, (3, 4))
        theirs = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False, pad_token_id=0
        )
        assert torch.equal(reference("generate")(AsGPT(model), prompt, 12, temperature=0.0), theirs)


def test_drawing_is_that_of_transformers() -> None:
    """With the same draws from the global generator, temperature, top-k and top-p in their order."""
    from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    model, prompt = tiny_gpt2(), torch.randint(13, (4, 3))
    warpers = LogitsProcessorList([TemperatureLogitsWarper(1.7), TopKLogitsWarper(6), TopPLogitsWarper(0.7)])
    torch.manual_seed(5)
    theirs = prompt
    for _ in range(9):
        with torch.no_grad():
            scores = warpers(theirs, model(theirs).logits[:, -1])
        theirs = torch.cat([theirs, torch.multinomial(scores.softmax(dim=-1), 1)], dim=1)
    torch.manual_seed(5)
    assert torch.equal(reference("generate")(AsGPT(model), prompt, 9, 1.7, 6, 0.7), theirs)


def test_the_same_seed_gives_the_same_text_and_the_global_generator_is_left_alone() -> None:
    model, prompt = ToyLM(torch.randn(5, 9), 6), torch.randint(9, (2, 3))
    before = torch.get_rng_state()
    texts = [reference("generate")(model, prompt, 30, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(texts[0], texts[1])
    assert not torch.equal(texts[0], texts[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_greedy_text_by_hand() -> None:
    table = torch.tensor([[0.1, 0.3, 0.6], [0.7, 0.1, 0.2], [0.3, 0.5, 0.2]]).log()
    written = reference("generate")(ToyLM(table, 8), torch.tensor([[1, 2], [1, 1]]), 3, 0.0)
    assert written.tolist() == [[1, 2, 1, 1, 2], [1, 1, 2, 2, 1]]


@pytest.mark.slow
def test_right_draws_are_right_under_many_seeds() -> None:
    generate = exercise("generate")
    for seed in range(5):
        assert verdict_of(generate, generate.answers["generate"], seed).score == 4.0


# -- answers that are odd or bad ---------------------------------------------------------------------------------------


@cache
def key_of(slug: str) -> Key:
    return make_key(exercise(slug), SEED)


def graded(slug: str, answer: Callable[..., Any], **others: Any) -> Verdict:
    """The exam's verdict on an answer, the exercise's others being right unless they are given."""
    key = key_of(slug)
    return judge(key.sheet, ask(key, {**exercise(slug).answers, slug: answer, **others}))


def around(slug: str, change: Callable[[Any], Any]) -> Verdict:
    """The verdict on the reference whose result is changed."""
    right = reference(slug)
    return graded(slug, lambda *args, **named: change(right(*args, **named)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[:, :-1], "too few tokens are written."),
        (lambda text: torch.cat([text, text[:, :1]], dim=1), "too many tokens are written."),
        (lambda text: text.flip(1), "the prompt does not stand unchanged at the beginning."),
        (lambda text: torch.cat([text[:, :2], text[:, 2:] * 0 + 99], dim=1), "there are ids that the vocabulary"),
        (lambda text: text.double(), "the result must hold whole numbers"),
        (lambda text: text[:7], "the result must hold whole numbers, one row for each prompt."),
        (lambda text: text[:3].repeat(500, 1), "all rows with the same prompt are continued alike."),
    ],
)
def test_texts_that_cannot_be_right_are_told(change: Callable[[Any], Any], says: str) -> None:
    verdict = around("generate", change)
    said = {case.says.en for case in verdict.cases if not case.visible and case.says}
    assert any(says in each for each in said), said
    assert verdict.score < 4.0


@pytest.mark.parametrize("kind", [lambda text: text.numpy(), lambda text: text.int()])
def test_texts_of_another_kind_are_right(kind: Callable[[Any], Any]) -> None:
    verdict = around("generate", kind)
    assert verdict.score == 4.0, verdict.summary().en


def test_logits_that_become_nan_are_told() -> None:
    """As where a mask is multiplied: -inf times 0."""

    def nan(model: Any, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
        for _ in range(new):
            logits = model(ids[:, -model.config.max_len :])[:, -1] * torch.nan
            ids = torch.cat([ids, torch.multinomial(logits.softmax(dim=-1), 1)], dim=1)
        return ids

    verdict = graded("generate", nan)
    assert verdict.score == 0.0
    failed = [case for case in verdict.cases if not case.passed]
    assert {case.name.en for case in verdict.cases} - {case.name.en for case in failed} == {"no new token"}
    assert all(case.says is not None and "RuntimeError" in case.says.en for case in failed)


def test_a_loop_that_never_ends_costs_its_own_time_and_no_more(tmp_path: Path) -> None:
    def forever(model: nn.Module, ids: Tensor, *how: Any, **more: Any) -> Any:
        while True:
            ids = torch.cat([ids, ids[:, -1:]], dim=1)[:, -50:]

    key = key_of("generate")
    key = replace(key, trials=tuple(replace(t, fields={**t.fields, "seconds": 0.4}) for t in key.trials))
    write_question(tmp_path, list(key.trials), {}, "cpu", made_up=key.device)
    answer_question(str(tmp_path), {"generate": forever})
    verdict = mark(key, read(key, range(len(key.trials)), tmp_path))
    assert verdict.score == 0.0
    assert any("is there a loop that never ends?" in case.says.en for case in verdict.cases if case.says)


def test_a_text_that_is_yielded_token_by_token_is_told() -> None:
    def yields(*args: Any, **named: Any) -> Iterator[Any]:
        yield from reference("generate")(*args, **named).T

    verdict = graded("generate", yields)
    assert verdict.score == 0.0


@pytest.mark.parametrize(
    "slug",
    [
        "generate",
        "top_k_filter",
        "top_p_filter",
        "causal_lm_loss",
        "perplexity",
        "beam_search",
        "pseudo_log_likelihood",
    ],
)
def test_nothing_and_nonsense_get_a_sentence_and_no_marks(slug: str) -> None:
    several = {"pseudo_log_likelihood": "causal_log_likelihood"}
    for nonsense in (None, "text", [None], {"a": 1}, torch.zeros(0), float("nan"), object()):

        def wrong(*args: Any, given: Any = nonsense, **named: Any) -> Any:
            return given

        both = {several[slug]: wrong} if slug in several else {}
        verdict = graded(slug, wrong, **both)
        assert verdict.score == 0.0
        assert all(case.says is not None and case.says.is_whole for case in verdict.cases)


def test_filters_in_numpy_and_with_gradients_are_right() -> None:
    for slug, points in (("top_k_filter", 2.0), ("top_p_filter", 3.0)):
        assert around(slug, lambda logits: logits.numpy()).score == points
        assert around(slug, lambda logits: logits + torch.zeros(1, requires_grad=True)).score == points


def test_a_filter_in_half_precision_is_told() -> None:
    verdict = around("top_k_filter", lambda logits: logits.half())
    assert verdict.score == 0.0
    assert "the dtype is float16 instead of float64." in {case.says.en for case in verdict.cases if case.says}


# -- beam search -------------------------------------------------------------------------------------------------------


def exhaustive(step_fn: Any, bos: int, eos: int, max_len: int, alpha: float, size: int) -> tuple[list[int], float]:
    """The best of all texts that there are."""
    best: tuple[list[int], float] = ([], -math.inf)
    for length in range(1, max_len + 1):
        for text in itertools.product(range(size), repeat=length):
            if eos in text[:-1] or (length < max_len and text[-1] != eos):
                continue
            whole = [bos, *text]
            total = sum(float(step_fn(torch.tensor([whole[:t]]))[0, whole[t]]) for t in range(1, length + 1))
            if total / length**alpha > best[1]:
                best = (list(text), total / length**alpha)
    return best


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.5])
def test_with_enough_beams_the_search_is_exhaustive(alpha: float) -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        step_fn = ToySteps(torch.randn(7, 4), 20)
        text, score = reference("beam_search")(step_fn, 3, 1, 4**4, 4, alpha)
        right, its_score = exhaustive(step_fn, 3, 1, 4, alpha, 4)
        assert (text, pytest.approx(its_score)) == (right, score)


@pytest.mark.parametrize("beams", [1, 3, 5])
def test_without_an_end_the_search_is_that_of_transformers(beams: int) -> None:
    for seed in range(4):
        model = tiny_gpt2(seed=seed)

        def step_fn(texts: Tensor, model: Any = model) -> Tensor:
            logs: Tensor = model(texts).logits[:, -1].log_softmax(dim=-1)
            return logs

        with torch.no_grad():
            text, score = reference("beam_search")(step_fn, 0, -1, beams, 8, 1.0)
        prompt = torch.zeros(1, 1, dtype=torch.long)
        theirs = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=8,
            num_beams=beams,
            do_sample=False,
            pad_token_id=0,
            length_penalty=1.0,
            return_dict_in_generate=True,
            output_scores=True,
        )
        assert text == theirs.sequences[0, 1:].tolist()
        if beams > 1:
            assert score == pytest.approx(float(theirs.sequences_scores[0]), abs=1e-5)


def test_beam_search_by_hand() -> None:
    chances = {"start": [0.1, 0.5, 0.4], "a": [0.25, 0.45, 0.3], "b": [0.8, 0.15, 0.05], "none": [0.3, 0.4, 0.3]}
    table = torch.tensor([chances[row] for row in ("start", "none", "a", "none", "b")]).log()
    search = reference("beam_search")
    assert search(ToySteps(table, 9), 0, 0, 1, 2, 0.0) == ([1, 1], pytest.approx(math.log(0.225)))
    assert search(ToySteps(table, 9), 0, 0, 2, 2, 0.0) == ([2, 0], pytest.approx(math.log(0.32)))


# -- scoring a sentence ------------------------------------------------------------------------------------------------


def test_the_pseudo_log_likelihood_by_brute_force() -> None:
    from transformers import BertConfig, BertForMaskedLM

    sizes = {"vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    more = {"intermediate_size": 16, "max_position_embeddings": 16, "initializer_range": 0.4}
    torch.manual_seed(3)
    model = BertForMaskedLM(BertConfig(**sizes, **more)).double().eval()
    ids = torch.randint(1, 11, (3, 5))
    scores = reference("pseudo_log_likelihood")(lambda ids: model(ids).logits, ids, 11)
    for row, score in zip(ids.tolist(), scores.tolist(), strict=True):
        total = 0.0
        for place, token in enumerate(row):
            hidden = torch.tensor([[11 if other == place else id_ for other, id_ in enumerate(row)]])
            with torch.no_grad():
                total += float(model(hidden).logits[0, place].softmax(dim=0)[token].log())
        assert score == pytest.approx(total)


def test_the_causal_log_likelihood_is_the_loss_of_gpt2_times_the_tokens() -> None:
    model, ids = tiny_gpt2(), torch.randint(13, (3, 6))
    scores = reference("pseudo_log_likelihood", "causal_log_likelihood")(AsGPT(model), ids)
    for row, score in zip(ids, scores.tolist(), strict=True):
        with torch.no_grad():
            assert score == pytest.approx(-5 * float(model(row[None], labels=row[None]).loss))


# -- the models that can be followed by hand ---------------------------------------------------------------------------


def test_the_toy_model_looks_back_and_not_ahead() -> None:
    model, ids = ToyLM(torch.randn(7, 5), 6), torch.randint(5, (2, 6))
    changed = ids.clone()
    changed[:, 3] = (ids[:, 3] + 1) % 5
    first, second = model(ids), model(changed)
    assert torch.equal(first[:, :3], second[:, :3])
    assert not torch.equal(first[:, 3:], second[:, 3:])
    assert torch.equal(model(ids[1:]), first[1:])
    with pytest.raises(ValueError, match="reads 1 to 6 tokens, not 7"):
        model(torch.zeros(1, 7, dtype=torch.long))
