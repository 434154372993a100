"""The entropy of attention weights (Shannon, 1948; for attention heads: Clark et al., 2019)."""

import math

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def attention_entropy(weights: Tensor) -> Tensor:
    """How widely each query spreads its attention: H = -sum over the keys of a·log a, in nats.

    Args:
        weights: (batch, heads, queries, keys), not negative; every row of the last dimension sums to 1.

    Returns:
        (batch, heads, queries), natural logarithm. A weight of exactly 0 adds nothing, because 0·log 0 = 0 here.
    """
    ### BEGIN SOLUTION
    return -torch.xlogy(weights, weights).sum(dim=-1)
    ### END SOLUTION


exercise = Exercise(
    attention_entropy,
    points=2,
    objectives=["1.5"],
    title_en="The entropy of attention",
    title_ja="注意のエントロピー",
)

# Answers that add a small epsilon inside the logarithm are right for every practical purpose: let them pass.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


@exercise.visible(en="the three rows of the example", ja="例題の三つの行", **TOLERANCE)
def _(make: Make) -> dict[str, Tensor]:
    rows = [[0.5, 0.25, 0.25, 0.0], [0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 1.0, 0.0]]
    return {"weights": torch.tensor(rows, dtype=torch.float64)[None, None]}


@exercise.visible(en="two sequences, three heads, no zeros", ja="二つの系列、三つのヘッド、0 なし", **TOLERANCE)
def _(make: Make) -> dict[str, Tensor]:
    return {"weights": make.normal(2, 3, 4, 5).softmax(dim=-1)}


# Partial credit: an answer that stumbles over zeros alone earns this one.
@exercise.hidden(en="weights without zeros", ja="0 を含まない重み", **TOLERANCE)
def _(make: Make) -> dict[str, Tensor]:
    return {"weights": make.normal(3, 2, 5, 7, scale=1.5).softmax(dim=-1)}


@exercise.hidden(en="some keys have weight zero", ja="重みが 0 のキーがある場合", **TOLERANCE)
def _(make: Make) -> dict[str, Tensor]:
    scores = make.normal(2, 4, 3, 6).masked_fill(~make.keep_mask(2, 4, 3, 6), float("-inf"))
    return {"weights": scores.softmax(dim=-1)}


@exercise.mistake(
    en="The logarithm has base 2, so the result is in bits.",
    ja="対数の底が 2 なので、結果の単位がビットになっています。",
    hint_en="Nats come from the natural logarithm. What is the entropy of two equal weights in nats?",
    hint_ja="ナットは自然対数を使ったときの単位です。等しい重みが二つのとき、エントロピーは何ナットでしょうか。",
)
def in_bits(weights: Tensor) -> Tensor:
    return torch.special.entr(weights).sum(dim=-1) / math.log(2)


@exercise.mistake(
    en="A weight of zero makes the entropy of its whole row nan.",
    ja="重みに 0 が一つでもあると、その行のエントロピーが nan になっています。",
    hint_en="In floating point 0 · log 0 is 0 · (-inf), which is nan. Such a term must be 0 before the sum is taken.",
    hint_ja="浮動小数点では 0 · log 0 が 0 · (-inf) となり、nan になります。和をとる前に、この項を 0 にしましょう。",
)
def zero_times_minus_infinity(weights: Tensor) -> Tensor:
    return -(weights * weights.log()).sum(dim=-1)


@exercise.mistake(
    en="The nan is replaced after the sum, so every row that holds a zero has entropy 0.",
    ja="和をとった後で nan を置き換えているため、0 を含む行のエントロピーがすべて 0 になっています。",
    hint_en="One nan term spoils the sum of the other terms. Where must it be mended: before or after the sum?",
    hint_ja="nan の項が一つあるだけで、ほかの項の和まで失われます。直すべきなのは和をとる前でしょうか、後でしょうか。",
)
def nan_mended_after_the_sum(weights: Tensor) -> Tensor:
    return torch.nan_to_num(-(weights * weights.log()).sum(dim=-1), nan=0.0)


@exercise.mistake(
    en="The sum runs over the queries instead of the keys.",
    ja="キーではなく、クエリの方向に和をとっています。",
    hint_en="Each query has a distribution of its own. Along which dimension do the weights sum to one?",
    hint_ja="クエリごとに一つの確率分布があります。重みの和が 1 になるのは、どの次元に沿ってでしょうか。",
)
def summed_over_queries(weights: Tensor) -> Tensor:
    return torch.special.entr(weights).sum(dim=-2)


@exercise.mistake(
    en="The minus sign is missing.",
    ja="マイナスの符号が抜けています。",
    hint_en="The logarithm of a number below 1 is negative, and an entropy never is.",
    hint_ja="1 より小さい数の対数は負ですが、エントロピーが負になることはありません。",
)
def without_the_sign(weights: Tensor) -> Tensor:
    return torch.xlogy(weights, weights).sum(dim=-1)


@exercise.accepted
def with_entr(weights: Tensor) -> Tensor:
    return torch.special.entr(weights).sum(-1)


@exercise.accepted
def with_where(weights: Tensor) -> Tensor:
    logs = torch.where(weights > 0, weights, torch.ones_like(weights)).log()
    return -torch.einsum("bhqk,bhqk->bhq", weights, logs)


@exercise.accepted
def with_nan_to_num_before_the_sum(weights: Tensor) -> Tensor:
    return -torch.nan_to_num(weights * weights.log(), nan=0.0).sum(dim=-1)


@exercise.accepted
def with_epsilon(weights: Tensor) -> Tensor:
    return -(weights * (weights + 1e-8).log()).sum(dim=-1)
