"""Scaled dot-product attention (Vaswani et al., 2017, section 3.2.1, equation 1), with the mask of section 3.2.3."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention.

        weights = softmax(query keyᵀ / √d_k),    output = weights value

    The leading dimensions (...) may be any: none, a batch, a batch and heads. Count dimensions from the end.

    Args:
        query: (..., queries, d_k).
        key: (..., keys, d_k).
        value: (..., keys, d_v).
        keep_mask: None, or bool that broadcasts to (..., queries, keys). True = keep: the query may look at the key.
            Where it is False the weight is exactly 0, and the weights that are kept still sum to 1. Every query may
            look at one key at least.

    Returns:
        output (..., queries, d_v) and weights (..., queries, keys).
    """
    ### BEGIN SOLUTION
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))  # (..., queries, keys)
    if keep_mask is not None:
        scores = scores.masked_fill(~keep_mask, -math.inf)  # before the softmax, so that the rest sums to 1
    weights = torch.softmax(scores, dim=-1)
    output = weights @ value  # (..., queries, d_v)
    ### END SOLUTION
    return output, weights


exercise = Exercise(
    scaled_dot_product_attention,
    points=4,
    objectives=["1.3"],
    title_en="Scaled dot-product attention",
    title_ja="スケールド・ドット積注意",
    stand_ins={"stable_softmax": "autograder.course.standins:softmax"},
)


# -- cases -------------------------------------------------------------------------------------------------------------


def sequences(make: Make, *leading: int, queries: int, keys: int, d_k: int, d_v: int) -> dict[str, Tensor]:
    """Query, key and value of unit variance, drawn separately."""
    return {
        "query": make.normal(*leading, queries, d_k),
        "key": make.normal(*leading, keys, d_k),
        "value": make.normal(*leading, keys, d_v),
    }


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, Tensor]:
    # Scores 4, 0, 2, divided by √4: 2, 0, 1. Weights 0.665, 0.090, 0.245, output (7.88, 2.12).
    return {
        "query": torch.tensor([[2.0, 1.0, 0.0, 1.0]], dtype=torch.float64),
        "key": torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]], dtype=torch.float64),
        "value": torch.tensor([[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]], dtype=torch.float64),
    }


@exercise.visible(en="a batch of sequences", ja="系列のバッチ")
def _(make: Make) -> dict[str, Tensor]:
    return sequences(make, 2, queries=4, keys=6, d_k=8, d_v=3)


@exercise.visible(en="several heads and a padding mask", ja="複数のヘッドとパディングマスク")
def _(make: Make) -> dict[str, Tensor]:
    inputs = sequences(make, 2, 3, queries=5, keys=4, d_k=7, d_v=6)
    return {**inputs, "keep_mask": make.keep_mask(2, 1, 1, 4)}


@exercise.hidden(en="several heads, without a mask", ja="複数のヘッド（マスクなし）", weight=3)
def _(make: Make) -> dict[str, Tensor]:
    return sequences(make, 2, 3, queries=4, keys=5, d_k=8, d_v=6)


@exercise.hidden(
    en="a mask for each sequence, the same for all of its queries",
    ja="系列ごとに異なり、すべてのクエリに共通のマスク",
    weight=2,
)
def _(make: Make) -> dict[str, Tensor]:
    # d_k = 1 makes every scaling alike: this case asks about the mask alone, the one before about the scaling.
    return {**sequences(make, 3, queries=5, keys=7, d_k=1, d_v=4), "keep_mask": make.keep_mask(3, 1, 7)}


@exercise.hidden(
    en="a single sequence with scores in the thousands, and the gradients",
    ja="スコアが数千にもなる一つの系列と、その勾配",
    gradients=True,
)
def _(make: Make) -> dict[str, Tensor]:
    # All scores are above 5000, so exp() overflows in each of them.
    return {
        "query": make.uniform(3, 5, low=50.0, high=150.0),
        "key": make.uniform(6, 5, low=50.0, high=150.0),
        "value": make.normal(6, 4),
    }


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The scores are not divided by √d_k.",
    ja="スコアを √d_k で割っていません。",
    hint_en="How does the variance of q·k change with the width? See section 1.3.",
    hint_ja="q·k の分散は、ベクトルの次元とともにどう変わるでしょうか。1.3 節を見直してみましょう。",
)
def scaling_forgotten(
    query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    scores = query @ key.transpose(-2, -1)
    if keep_mask is not None:
        scores = scores.masked_fill(~keep_mask, -math.inf)
    weights = torch.softmax(scores, dim=-1)
    return weights @ value, weights


@exercise.mistake(
    en="The scores are divided by d_k instead of by √d_k.",
    ja="スコアを √d_k ではなく d_k で割っています。",
    hint_en="The variance of q·k is d_k. What is its standard deviation, the typical size of a score?",
    hint_ja="q·k の分散は d_k です。では標準偏差、つまりスコアの典型的な大きさはいくつでしょうか。",
)
def divided_by_the_width(
    query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    scores = query @ key.transpose(-2, -1) / query.size(-1)
    if keep_mask is not None:
        scores = scores.masked_fill(~keep_mask, -math.inf)
    weights = torch.softmax(scores, dim=-1)
    return weights @ value, weights


@exercise.mistake(
    en="The scores are divided by the square root of the number of queries.",
    ja="スコアを、クエリの数の平方根で割っています。",
    hint_en="Over which dimension of the query does the inner product add up?",
    hint_ja="内積では、クエリのどの次元に沿って足し合わせていますか。",
)
def divided_by_the_root_of_the_queries(
    query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-2))
    if keep_mask is not None:
        scores = scores.masked_fill(~keep_mask, -math.inf)
    weights = torch.softmax(scores, dim=-1)
    return weights @ value, weights


@exercise.mistake(
    en="The softmax runs over the queries instead of over the keys.",
    ja="ソフトマックスをキーの方向ではなく、クエリの方向にとっています。",
    hint_en="Each query shares out a total weight of 1 among the keys. Which dimension of the scores lists the keys?",
    hint_ja="各クエリは、合計 1 の重みをキーに配分します。スコアのどの次元にキーが並んでいますか。",
)
def softmax_over_the_queries(
    query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))
    if keep_mask is not None:
        scores = scores.masked_fill(~keep_mask, -math.inf)
    weights = torch.softmax(scores, dim=-2)
    return weights @ value, weights


@exercise.mistake(
    en="The mask is read the wrong way round: the keys to keep are forbidden, and the others are kept.",
    ja="マスクの意味が逆です。見てよいキーを隠し、見てはいけないキーを残しています。",
    hint_en="In this course True means keep (nn.MultiheadAttention means the opposite). "
    "At which positions should the score become -inf?",
    hint_ja="この教材では True が「見てよい」です（nn.MultiheadAttention では逆の意味になります）。"
    "スコアを -inf にすべきなのはどの位置でしょうか。",
)
def mask_inverted(query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))
    if keep_mask is not None:
        scores = scores.masked_fill(keep_mask, -math.inf)
    weights = torch.softmax(scores, dim=-1)
    return weights @ value, weights


@exercise.mistake(
    en="The mask has no effect: every key is looked at.",
    ja="マスクが効いていません。すべてのキーを見ています。",
    hint_en="Where does your code use keep_mask? Note that masked_fill changes nothing in place: "
    "it returns a new tensor.",
    hint_ja="keep_mask をどこで使っていますか。masked_fill は元のテンソルを書き換えず、"
    "新しいテンソルを返すことにも注意しましょう。",
)
def mask_without_effect(
    query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    weights = torch.softmax(query @ key.transpose(-2, -1) / math.sqrt(query.size(-1)), dim=-1)
    return weights @ value, weights


@exercise.mistake(
    en="The mask is applied after the softmax: the weights that are left no longer sum to 1.",
    ja="ソフトマックスの後でマスクをかけているので、残った重みの和が 1 になっていません。",
    hint_en="The softmax should not see the forbidden keys at all. Which score gets the weight 0?",
    hint_ja="見てはいけないキーを、ソフトマックスの計算に加えてはいけません。"
    "重みがちょうど 0 になるのは、スコアがどんな値のときでしょうか。",
)
def mask_after_the_softmax(
    query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))
    weights = torch.softmax(scores, dim=-1)
    if keep_mask is not None:
        weights = weights.masked_fill(~keep_mask, 0.0)
    return weights @ value, weights


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_torch_builtin(
    query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    identity = torch.eye(key.size(-2), dtype=key.dtype, device=key.device)
    output = F.scaled_dot_product_attention(query, key, value, attn_mask=keep_mask)
    return output, F.scaled_dot_product_attention(query, key, identity.expand(*key.shape[:-1], -1), attn_mask=keep_mask)


@exercise.accepted
def with_einsum_and_a_large_negative_number(
    query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    scores = torch.einsum("...qd,...kd->...qk", query / query.shape[-1] ** 0.5, key)
    if keep_mask is not None:
        scores = scores - 1e9 * (~keep_mask).to(scores.dtype)
    weights = scores.softmax(-1)
    return torch.einsum("...qk,...kv->...qv", weights, value), weights


@exercise.accepted
def with_a_softmax_by_hand(
    query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    scores = torch.matmul(query, key.mT) * key.size(-1) ** -0.5
    if keep_mask is not None:
        scores = torch.where(keep_mask, scores, float("-inf"))
    weights = torch.exp(scores - scores.max(dim=-1, keepdim=True).values)
    weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights.matmul(value), weights
