"""Chapter 5, sections 5.1 and 5.2, and 8-bit weights: the references equal what transformers and SciPy find."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit, minimize_scalar
from toycourse import ROOT
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

from autograder.course.gpt import GPT
from autograder.course.tiny_models import WINDOW, Characters, SecretCode, tiny_gpt, train
from autograder.exercise import Exercise
from autograder.solutions import load_exercise


def exercise_of(slug: str) -> Exercise:
    return load_exercise(ROOT / "solutions" / "ch5" / f"{slug}.py")


def reference(slug: str, answer: str = "") -> Any:
    return exercise_of(slug).answers[answer or slug]


# -- count_parameters, training_flops ------------------------------------------------------------------------------

GPT2_SMALL = {"vocab_size": 50257, "max_len": 1024, "d_model": 768, "num_layers": 12, "d_inner": 3072}


def huggingface(config: dict[str, int], num_heads: int) -> GPT2LMHeadModel:
    sizes = {"vocab_size": config["vocab_size"], "n_positions": config["max_len"], "n_embd": config["d_model"]}
    with torch.device("meta"):
        return GPT2LMHeadModel(
            GPT2Config(**sizes, n_layer=config["num_layers"], n_inner=config["d_inner"], n_head=num_heads)
        )


def test_gpt2_small_has_124_million_parameters() -> None:
    count = reference("count_parameters")
    assert count(GPT2_SMALL) == 124_439_808 == huggingface(GPT2_SMALL, 12).num_parameters()
    assert count(GPT2_SMALL, embeddings=False) == 85_056_000
    gpt3 = {"vocab_size": 50257, "max_len": 2048, "d_model": 12288, "num_layers": 96, "d_inner": 49152}
    assert count(gpt3) == 174_604_259_328, "Brown et al. (2020) round to 175 billion"


@settings(max_examples=15, deadline=None)
@given(
    vocab_size=st.integers(2, 500),
    max_len=st.integers(1, 300),
    head=st.integers(1, 24),
    num_heads=st.integers(1, 5),
    num_layers=st.integers(1, 4),
    d_inner=st.integers(1, 300),
)
def test_the_count_is_that_of_transformers(
    vocab_size: int, max_len: int, head: int, num_heads: int, num_layers: int, d_inner: int
) -> None:
    config = {"vocab_size": vocab_size, "max_len": max_len, "d_model": head * num_heads}
    config |= {"num_layers": num_layers, "d_inner": d_inner}
    model = huggingface(config, num_heads)
    assert reference("count_parameters")(config) == model.num_parameters()
    tables = model.transformer.wte.weight.numel() + model.transformer.wpe.weight.numel()
    assert reference("count_parameters")(config, embeddings=False) == model.num_parameters() - tables


def test_what_the_text_says_of_bert_base() -> None:
    """BERT-base: a table of two segments, a norm behind the embeddings in place of the last one, and the pooler."""
    config = {"vocab_size": 30522, "max_len": 512, "d_model": 768, "num_layers": 12, "d_inner": 3072}
    with torch.device("meta"):
        bert = BertModel(BertConfig())
    assert bert.num_parameters() == 109_482_240
    assert reference("count_parameters")(config) == 108_890_112
    assert bert.num_parameters() - reference("count_parameters")(config) == 2 * 768 + 768 * 768 + 768


def test_the_course_gpt_is_what_the_count_describes() -> None:
    model = tiny_gpt(vocab_size=31, max_len=9, d_model=24, num_layers=3)
    config = {"vocab_size": 31, "max_len": 9, "d_model": 24, "num_layers": 3, "d_inner": 96}
    assert sum(p.numel() for p in model.parameters()) == reference("count_parameters")(config)


def test_flops_of_gpt3() -> None:
    assert reference("count_parameters", "training_flops")(175e9, 300e9) == pytest.approx(3.15e23)


# -- fit_power_law -------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    coefficient=st.floats(0.5, 500.0),
    exponent=st.floats(0.15, 1.3),
    share=st.floats(0.0, 0.9),
    low=st.floats(1.0, 1e6),
    decades=st.floats(1.5, 4.0),
    count=st.integers(5, 12),
)
def test_known_laws_are_recovered(
    coefficient: float, exponent: float, share: float, low: float, decades: float, count: int
) -> None:
    x = np.geomspace(low, low * 10**decades, count)
    floor = share * coefficient * x[-1] ** -exponent / (1 - share)  # this share of the smallest y is irreducible
    found = reference("fit_power_law")(x.tolist(), (coefficient * x**-exponent + floor).tolist())
    assert found[0] == pytest.approx(coefficient, rel=0.02)
    assert found[1] == pytest.approx(exponent, rel=0.01)
    assert found[2] == pytest.approx(floor, rel=0.02, abs=0.01 * coefficient * x[0] ** -exponent)


@pytest.mark.parametrize("seed", range(5))
def test_noisy_points_are_fitted_as_scipy_fits_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.geomspace(100.0, 1e6, 12)
    y = (40 * x**-0.4 + 1.2) * (1 + 0.004 * rng.uniform(-1, 1, 12))
    ours = reference("fit_power_law")(x.tolist(), y.tolist())
    theirs, _ = curve_fit(lambda s, a, b, c: a * s**-b + c, x / 1e4, y, p0=(1.0, 0.5, 1.0))
    assert ours[1] == pytest.approx(theirs[1], abs=2e-3)
    assert ours[2] == pytest.approx(theirs[2], rel=2e-3)


def test_few_or_poor_points_do_not_raise() -> None:
    """The notebook fits what it has measured, whatever it is."""
    fit = reference("fit_power_law")
    assert all(map(math.isfinite, fit([1e3, 1e4, 1e5, 1e6], [3.0, 3.1, 2.9, 3.05])))


# -- compute_optimal -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    log_flops=st.floats(15, 26),
    e=st.floats(0.1, 3.0),
    a=st.floats(10.0, 3000.0),
    b=st.floats(10.0, 3000.0),
    alpha=st.floats(0.15, 0.7),
    beta=st.floats(0.15, 0.7),
)
def test_the_optimum_is_scipys(log_flops: float, e: float, a: float, b: float, alpha: float, beta: float) -> None:
    flops, constants = 10**log_flops, {"E": e, "A": a, "B": b, "alpha": alpha, "beta": beta}

    def loss(log_n: float) -> float:
        return a * math.exp(-alpha * log_n) + b * (flops / 6 / math.exp(log_n)) ** -beta

    best = minimize_scalar(loss, bounds=(-40, 100), method="bounded", options={"xatol": 1e-10})
    parameters, tokens = reference("compute_optimal")(flops, constants)
    assert math.log(parameters) == pytest.approx(best.x, abs=1e-4)
    assert 6 * parameters * tokens == pytest.approx(flops)


def test_what_the_text_says_of_chinchilla() -> None:
    optimal = reference("compute_optimal")
    published = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    refitted = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
    assert optimal(5.76e23, published)[0] == pytest.approx(32e9, rel=0.02)
    assert optimal(5.76e23, refitted) == pytest.approx((72e9, 1.33e12), rel=0.01)
    assert optimal(6e9, {"E": 1.0, "A": 100.0, "B": 400.0, "alpha": 0.5, "beta": 1.0}) == pytest.approx((250_000, 4000))


# -- emergence -----------------------------------------------------------------------------------------------------


def test_exact_match_is_what_drawing_shows() -> None:
    exact = reference("exact_match_from_token_accuracy")
    back = reference("exact_match_from_token_accuracy", "token_accuracy_from_exact_match")
    p = torch.tensor([[0.5], [0.8], [0.95]], dtype=torch.float64)
    length = torch.tensor([1, 4, 10])
    drawn = torch.rand(100_000, 3, 10, generator=torch.Generator().manual_seed(0)) < p
    counted = torch.stack([drawn[..., :n].all(dim=-1).double().mean(dim=0) for n in length.tolist()], dim=1)
    torch.testing.assert_close(exact(p, length), counted, atol=0.01, rtol=0)
    torch.testing.assert_close(back(exact(p, length), length), p.expand(3, 3))


# -- 8 bits --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**31), st.floats(-20, 20))
def test_the_error_is_at_most_half_a_step(rows: int, columns: int, seed: int, exponent: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator, dtype=torch.float64) * 10**exponent
    weight[torch.rand(rows, generator=generator) < 0.2] = 0.0
    quantized, scales = reference("quantize_int8")(weight)
    back = reference("quantize_int8", "dequantize")(quantized, scales)
    assert quantized.dtype == torch.int8
    assert back.dtype == weight.dtype
    assert scales.shape == (rows, 1)
    assert ((back - weight).abs() <= scales / 2 * (1 + 1e-9)).all()
    assert (quantized.abs().amax(dim=1) == torch.where((weight == 0).all(dim=1), 0, 127)).all()


@pytest.mark.filterwarnings("ignore:torch.quantize_per")
def test_pytorch_quantizes_alike() -> None:
    weight = torch.randn(7, 11, generator=torch.Generator().manual_seed(0))
    quantized, scales = reference("quantize_int8")(weight)
    zeros = torch.zeros(7, dtype=torch.int64)
    theirs = torch.quantize_per_channel(weight, scales[:, 0].double(), zeros, axis=0, dtype=torch.qint8)
    assert torch.equal(theirs.int_repr(), quantized)
    torch.testing.assert_close(theirs.dequantize(), reference("quantize_int8", "dequantize")(quantized, scales))


# -- the models of the measurements --------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [90, 1000, 5000, 40_000])
def test_text_is_divided_however_short_it_is(length: int) -> None:
    text = "".join(chr(97 + (n * n) % 23) for n in range(length))
    characters = Characters(text)
    assert len(characters.held_out) >= 1
    assert 2 <= characters.held_out.size(1) <= WINDOW + 1
    model = tiny_gpt(len(characters.vocabulary), WINDOW, 8)
    before = characters.loss(model)
    train(model, characters.batch, 3, 0.01)
    assert math.isfinite(before)
    assert characters.loss(model) != before


def test_nothing_held_out_is_trained_on() -> None:
    characters = Characters("".join(chr(97 + n // 1000) for n in range(20_000)))  # each piece has a letter of its own
    assert set(characters.held_out.unique().tolist()) == {8}
    assert 8 not in characters.training


def test_training_lowers_the_loss_and_repeats() -> None:
    characters = Characters("the cat sat on the mat. " * 500)
    losses = []
    for _ in range(2):
        model = tiny_gpt(len(characters.vocabulary), WINDOW, 16)
        before = characters.loss(model)
        train(model, characters.batch, 40, 0.02)
        losses.append(characters.loss(model))
    assert losses[0] == losses[1] < 0.7 * before


class Knowing(torch.nn.Module):
    """A model that knows the tables of a code, but not the last one."""

    def __init__(self, code: SecretCode) -> None:
        super().__init__()
        self.code = code

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        length = self.code.length
        found = self.code.tables[torch.arange(length), ids[:, :length]]
        found[:, -1] = (found[:, -1] + 1) % self.code.letters
        logits = torch.zeros(*ids.shape, self.code.vocab_size)
        return logits.scatter(2, torch.cat([ids[:, :length], found], dim=1)[..., None], 1.0)


def test_a_secret_code_is_judged_letter_by_letter() -> None:
    code = SecretCode(length=4, letters=7)
    model: Any = Knowing(code)
    right = code.right(model, words=50)
    assert right.tolist() == [[True, True, True, False]] * 50
    assert code.spell(code.batch(torch.Generator().manual_seed(0), 1)[0])[4] == ">"


def test_a_secret_code_can_be_learned() -> None:
    code = SecretCode(length=2, letters=3)
    model: GPT = tiny_gpt(code.vocab_size, code.max_len, 16)
    train(model, code.batch, 120, 0.01, answer=code.length, decay=False)
    assert code.right(model, words=100).double().mean() > 0.95
