"""Chapter 2's second notebook: its references equal what PyTorch and transformers do, and its texts say what is so."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toycourse import ROOT
from transformers import BartConfig, BartForConditionalGeneration
from transformers.models.gptj import modeling_gptj
from transformers.models.llama import modeling_llama
from transformers.optimization import get_inverse_sqrt_schedule

from autograder.course.translator import ToyTranslator
from autograder.exercise import Exercise
from autograder.solutions import load_exercise


def exercise_of(slug: str) -> Exercise:
    return load_exercise(ROOT / "solutions" / "ch2" / f"{slug}.py")


def reference(slug: str) -> Any:
    return exercise_of(slug).answers[slug]


# -- greedy_decode -------------------------------------------------------------------------------------------------


class HuggingFace(nn.Module):
    """A transformers model under the two methods that the exercise speaks of."""

    def __init__(self, model: BartForConditionalGeneration) -> None:
        super().__init__()
        self.model = model

    def encode(self, source: Tensor) -> Any:
        return self.model.get_encoder()(source)

    def decode(self, target: Tensor, memory: Any) -> Tensor:
        logits: Tensor = self.model(encoder_outputs=memory, decoder_input_ids=target, use_cache=False).logits
        return logits


@pytest.mark.parametrize("seed", [0, 7, 21, 38])  # of 40, six end some rows and not all at once
def test_greedy_decoding_writes_what_transformers_generates(seed: int) -> None:
    torch.manual_seed(seed)
    ids = {"pad_token_id": 3, "bos_token_id": 5, "eos_token_id": 3, "decoder_start_token_id": 5}
    size = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 32}
    config = BartConfig(vocab_size=9, init_std=1.0, forced_eos_token_id=None, **ids, **size, **heads)
    model = BartForConditionalGeneration(config).eval()
    source = torch.randint(6, 9, (12, 5))
    theirs = model.generate(
        source, attention_mask=torch.ones_like(source), max_new_tokens=14, do_sample=False, num_beams=1
    )
    ours = reference("greedy_decode")(HuggingFace(model), source, max_len=14, bos=5, eos=3)
    torch.testing.assert_close(ours, theirs[:, 1:])
    ended = (ours == 3).any(dim=1)
    assert ended.sum() > 0, "a model that never ends a row tests nothing"


def test_the_toy_translator_writes_backwards_and_starts_again() -> None:
    model = ToyTranslator(7, pad=0, bos=1, eos=2)
    source = torch.tensor([[4, 5, 6, 0], [3, 0, 0, 0], [0, 0, 0, 0]])
    chosen = model(source, torch.ones(3, 6, dtype=torch.long)).argmax(dim=-1)
    assert chosen.tolist() == [[6, 5, 4, 2, 6, 5], [3, 2, 3, 2, 3, 2], [2] * 6]


def test_the_toy_translator_looks_at_what_is_written_and_never_ahead() -> None:
    model = ToyTranslator(9, pad=0, bos=1, eos=2, chained=True)
    source, target = torch.tensor([[3, 4, 5, 6, 7]]), torch.tensor([[1, 4, 5, 7, 3]])
    for place in range(5):
        other = target.clone()
        other[0, place] += 1
        moved = (model(source, other) != model(source, target)).any(dim=-1)[0]
        assert moved.tolist() == [now >= place for now in range(5)]


def test_the_toy_translator_counts_the_rows_that_it_reads() -> None:
    model = ToyTranslator(9, pad=0, bos=1, eos=2)
    for _ in range(2):
        model.encode(torch.tensor([[3, 4], [5, 0], [6, 7]]))
    assert model.rows_encoded == 6


# -- noam_learning_rate --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("d_model", "warmup"), [(16, 4), (20, 7)])
def test_the_schedule_is_the_inverse_root_schedule_of_transformers(d_model: int, warmup: int) -> None:
    rate = reference("noam_learning_rate")
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate(warmup, d_model, warmup))
    schedule = get_inverse_sqrt_schedule(optimizer, warmup)
    for step in range(1, 40):
        optimizer.step()
        schedule.step()
        assert schedule.get_last_lr()[0] == pytest.approx(rate(step, d_model, warmup))


def test_the_schedule_serves_a_lambda_lr_as_the_text_says() -> None:
    rate = reference("noam_learning_rate")
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: rate(s + 1, 512, 4000))
    seen = []
    for _ in range(3):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert seen == pytest.approx([1.75e-7, 3.49e-7, 5.24e-7], rel=2e-3)
    assert [rate(s, 16, 4) for s in (1, 2, 3, 4, 16)] == pytest.approx([0.03125, 0.0625, 0.09375, 0.125, 0.0625])


def test_the_highest_rate_is_what_the_question_takes_for_it() -> None:
    rate = reference("noam_learning_rate")
    assert max(rate(s, 256, 10_000) for s in range(1, 30_000)) == pytest.approx(reference("noam_peak"))


# -- label_smoothing_loss ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.6])
def test_the_loss_and_its_gradient_are_those_of_pytorch(epsilon: float) -> None:
    torch.manual_seed(1)
    logits = torch.randn(3, 5, 7, dtype=torch.float64, requires_grad=True)
    target = torch.randint(7, (3, 5))
    target[0, 3:] = target[2, 1:] = 4
    ours = reference("label_smoothing_loss")(logits, target, epsilon, pad_id=4)
    theirs = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=4, label_smoothing=epsilon)
    torch.testing.assert_close(ours, theirs)
    for one, other in zip(*(torch.autograd.grad(loss, [logits]) for loss in (ours, theirs)), strict=True):
        torch.testing.assert_close(one, other)


def test_the_loss_of_nothing_is_zero_and_so_is_its_gradient() -> None:
    logits = torch.randn(2, 3, 5, requires_grad=True)
    loss = reference("label_smoothing_loss")(logits, torch.full((2, 3), 1), 0.1, pad_id=1)
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_example_in_the_text() -> None:
    logits = torch.tensor([[[0.5, 0.25, 0.125, 0.125]]]).log()
    loss = reference("label_smoothing_loss")(logits, torch.tensor([[0]]), 0.2, pad_id=3)
    assert loss.item() == pytest.approx(1.25 * math.log(2))
    assert loss.item() == pytest.approx(0.8664, abs=5e-5)


def test_no_smoothed_loss_is_below_the_floor() -> None:
    loss, floor = reference("label_smoothing_loss"), reference("smoothing_floor")
    best = torch.full((1, 1, 10), 0.01, dtype=torch.float64)
    best[..., 3] = 0.91
    target = torch.tensor([[3]])
    assert loss(best.log(), target, 0.1, pad_id=0).item() == pytest.approx(floor, abs=1e-4)
    torch.manual_seed(0)
    for _ in range(50):
        near = best.log() + 0.5 * torch.randn(1, 1, 10, dtype=torch.float64)
        assert loss(near, target, 0.1, pad_id=0) > floor - 1e-4


# -- rotary_embedding ----------------------------------------------------------------------------------------------


def test_the_rotation_is_that_of_gpt_j() -> None:
    torch.manual_seed(2)
    x, positions = torch.randn(2, 3, 5, 8), torch.tensor([[3, 4, 5, 6, 7], [0, 1, 2, 9, 11]])
    sin, cos = modeling_gptj.create_sinusoidal_positions(12, 8)[positions].chunk(2, dim=-1)
    theirs = modeling_gptj.apply_rotary_pos_emb(x.transpose(1, 2), sin, cos).transpose(1, 2)
    torch.testing.assert_close(reference("rotary_embedding")(x, positions[:, None]), theirs)


def test_llama_s_order_differs_by_the_places_of_the_features_alone() -> None:
    torch.manual_seed(3)
    x, positions = torch.randn(2, 3, 5, 8), torch.arange(4, 9)
    config = modeling_llama.LlamaConfig(hidden_size=24, num_attention_heads=3, head_dim=8)
    cos, sin = modeling_llama.LlamaRotaryEmbedding(config)(x, positions[None])
    places = torch.arange(8).view(4, 2).T.flatten()  # the first ones of all pairs, then the second ones
    theirs, _ = modeling_llama.apply_rotary_pos_emb(x[..., places], x[..., places], cos, sin)
    ours = reference("rotary_embedding")(x, positions)
    torch.testing.assert_close(ours[..., places], theirs)
    assert not torch.allclose(ours, modeling_llama.apply_rotary_pos_emb(x, x, cos, sin)[0], atol=0.1)


def test_only_moving_both_leaves_the_score_as_it_was() -> None:
    """The right choice of the question, and that the others are wrong."""
    rotate, exercise = reference("rotary_embedding"), exercise_of("rotary_relative")
    torch.manual_seed(4)
    q, k = torch.randn(2, 1, 1, 1, 32, dtype=torch.float64)

    def score(m: int, n: int) -> float:
        return float((rotate(q, torch.tensor([m])) * rotate(k, torch.tensor([n]))).sum())

    moved = {"a": score(3, 20), "b": score(7, 10), "c": score(110, 107), "d": score(720, 7)}
    same = [letter for letter, value in moved.items() if abs(value - score(10, 7)) < 1e-8]
    assert same == [exercise.answers["rotary_relative"]]


def test_the_rotated_vectors_in_the_text() -> None:
    x = torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(1, 1, 3, 4)
    turned = reference("rotary_embedding")(x, torch.arange(3), 100)[0, 0]
    expected = torch.tensor([[1, 0, 1, 0], [0.540, 0.841, 0.995, 0.100], [-0.416, 0.909, 0.980, 0.199]])
    torch.testing.assert_close(turned, expected, rtol=0, atol=6e-4)
    assert (turned[1] @ turned[2]).item() == pytest.approx((turned[0] @ turned[1]).item())
    assert (turned[0] @ turned[1]).item() == pytest.approx(1.535, abs=5e-4)
    assert 2 * math.pi * 10000 ** (62 / 64) == pytest.approx(47_000, rel=5e-3)
