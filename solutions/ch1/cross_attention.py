"""Cross-attention, called encoder-decoder attention by Vaswani et al. (2017), section 3.2.3 and equation 1."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def cross_attention(
    x: Tensor, memory: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """One head of attention from one sequence to another, scaled by the square root of d_k.

    Args:
        x: (batch, time, d_x), the sequence that asks.
        memory: (batch, memory_time, d_memory), the sequence that is looked up.
        w_query: (d_x, d_k); w_key: (d_memory, d_k); w_value: (d_memory, d_v).
        keep_mask: bool, True = keep, broadcasts to (batch, time, memory_time); each query keeps at least one key.

    Returns:
        output (batch, time, d_v) and weights (batch, time, memory_time).
    """
    ### BEGIN SOLUTION
    query, key, value = x @ w_query, memory @ w_key, memory @ w_value
    scores = query @ key.transpose(-2, -1) / math.sqrt(key.size(-1))
    if keep_mask is not None:
        scores = scores.masked_fill(~keep_mask, float("-inf"))
    weights = scores.softmax(dim=-1)
    return weights @ value, weights
    ### END SOLUTION


exercise = Exercise(
    cross_attention,
    points=3,
    objectives=["1.4"],
    title_en="Cross-attention",
    title_ja="クロスアテンション",
)


def _weights(make: Make, d_x: int, d_memory: int, d_k: int, d_v: int) -> dict[str, Tensor]:
    """Projections that keep the variance, so that the softmax stays away from saturation."""
    return {
        "w_query": make.normal(d_x, d_k, scale=d_x**-0.5),
        "w_key": make.normal(d_memory, d_k, scale=d_memory**-0.5),
        "w_value": make.normal(d_memory, d_v, scale=d_memory**-0.5),
    }


@exercise.visible(en="the example: one token asks two", ja="例題：一つのトークンが二つに問いかける")
def _(make: Make) -> dict[str, Tensor]:
    return {
        "x": torch.tensor([[[1.0, 2.0]]], dtype=torch.float64),
        "memory": torch.tensor([[[1.0], [3.0]]], dtype=torch.float64),
        "w_query": torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]], dtype=torch.float64),
        "w_key": torch.tensor([[1.0, 0.0, 1.0, 0.0]], dtype=torch.float64),
        "w_value": torch.tensor([[10.0, 0.0, -1.0]], dtype=torch.float64),
    }


@exercise.visible(en="a memory as long and as wide as x", ja="x と同じ長さ、同じ幅のメモリ")
def _(make: Make) -> dict[str, Tensor]:
    return {"x": make.normal(2, 3, 6), "memory": make.normal(2, 3, 6), **_weights(make, 6, 6, 4, 5)}


@exercise.visible(en="other lengths and widths, with a padding mask", ja="長さも幅も異なり、パディングマスクがある場合")
def _(make: Make) -> dict[str, Tensor]:
    inputs = {"x": make.normal(2, 3, 7), "memory": make.normal(2, 5, 6), **_weights(make, 7, 6, 4, 8)}
    return {**inputs, "keep_mask": make.keep_mask(2, 1, 5)}


# Partial credit: an answer that errs only in the mask earns this one and the gradients.
@exercise.hidden(en="other lengths and widths", ja="長さも幅も異なる場合")
def _(make: Make) -> dict[str, Tensor]:
    return {"x": make.normal(3, 5, 8), "memory": make.normal(3, 7, 9), **_weights(make, 8, 9, 4, 6)}


@exercise.hidden(en="a mask of its own for each query", ja="クエリごとに異なるマスク")
def _(make: Make) -> dict[str, Tensor]:
    inputs = {"x": make.normal(2, 4, 6), "memory": make.normal(2, 7, 9), **_weights(make, 6, 9, 3, 8)}
    return {**inputs, "keep_mask": make.keep_mask(2, 4, 7)}


# Equal shapes here, so that looking in the wrong sequence gives values, which can be told apart, and not an exception.
@exercise.hidden(en="gradients, the memory in the shape of x", ja="勾配、メモリが x と同じ形状の場合", gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    return {"x": make.normal(2, 5, 7), "memory": make.normal(2, 5, 7), **_weights(make, 7, 7, 3, 4)}


def _attend(query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None, width: int) -> tuple[Tensor, Tensor]:
    """The part that the mistakes below share, with the width whose root divides the scores."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(width)
    if keep_mask is not None:
        scores = scores.masked_fill(~keep_mask, float("-inf"))
    weights = scores.softmax(dim=-1)
    return weights @ value, weights


@exercise.mistake(
    en="The keys are made from x instead of the memory.",
    ja="キーをメモリではなく x から作っています。",
    hint_en="x asks, the memory answers. Which of the two does a key belong to?",
    hint_ja="問いかけるのは x、応えるのはメモリです。キーはどちらに属するでしょうか。",
)
def keys_from_x(
    x: Tensor, memory: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    query, key, value = x @ w_query, x @ w_key, memory @ w_value
    return _attend(query, key, value, keep_mask, key.size(-1))


@exercise.mistake(
    en="The values are made from x instead of the memory.",
    ja="バリューをメモリではなく x から作っています。",
    hint_en="The weights say how much of each memory position is taken. So what must be mixed with them?",
    hint_ja="重みは、メモリの各位置からどれだけ取り出すかを表します。では、その重みで混ぜるべきものは何でしょうか。",
)
def values_from_x(
    x: Tensor, memory: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    query, key, value = x @ w_query, memory @ w_key, x @ w_value
    return _attend(query, key, value, keep_mask, key.size(-1))


@exercise.mistake(
    en="The scores are divided by the root of the width of the values.",
    ja="スコアをバリューの次元 d_v の平方根で割っています。",
    hint_en="A score is an inner product of a query and a key. How many terms does that sum have?",
    hint_ja="スコアはクエリとキーの内積です。その和には項がいくつあるでしょうか。",
)
def scaled_by_the_value_width(
    x: Tensor, memory: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    return _attend(x @ w_query, memory @ w_key, memory @ w_value, keep_mask, w_value.size(-1))


@exercise.mistake(
    en="The scores are divided by the root of the width of x.",
    ja="スコアを x の次元 d_x の平方根で割っています。",
    hint_en="What counts is the width in which the inner product is taken: the width after the projection.",
    hint_ja="関係するのは内積をとる空間の次元、つまり射影した後の次元です。",
)
def scaled_by_the_model_width(
    x: Tensor, memory: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    return _attend(x @ w_query, memory @ w_key, memory @ w_value, keep_mask, x.size(-1))


@exercise.mistake(
    en="The mask is read the wrong way round: what should be kept is hidden.",
    ja="マスクの意味が逆です。見てよいキーを隠しています。",
    hint_en="In this course True means keep. `masked_fill` fills where its mask is True.",
    hint_ja="この教材では True が「見てよい」です。`masked_fill` はマスクが True の位置を埋めます。",
)
def mask_inverted(
    x: Tensor, memory: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    hidden = None if keep_mask is None else ~keep_mask
    return _attend(x @ w_query, memory @ w_key, memory @ w_value, hidden, w_key.size(-1))


@exercise.accepted
def with_einsum(
    x: Tensor, memory: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    query = torch.einsum("btx,xk->btk", x, w_query)
    key = torch.einsum("bmd,dk->bmk", memory, w_key)
    scores = torch.einsum("btk,bmk->btm", query, key) * w_key.shape[1] ** -0.5
    if keep_mask is not None:
        scores = torch.where(keep_mask, scores, -1e9)
    weights = F.softmax(scores, dim=2)
    return torch.einsum("btm,bmd,dv->btv", weights, memory, w_value), weights


@exercise.accepted
def with_torch_builtin(
    x: Tensor, memory: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The fused kernel keeps its weights to itself: they are what it makes of the identity."""
    query, key, value = x @ w_query, memory @ w_key, memory @ w_value
    identity = torch.eye(memory.size(1), dtype=x.dtype, device=x.device).expand(memory.size(0), -1, -1)
    output = F.scaled_dot_product_attention(query, key, value, attn_mask=keep_mask)
    return output, F.scaled_dot_product_attention(query, key, identity, attn_mask=keep_mask)
