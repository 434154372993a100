"""Softmax over what a mask keeps, zeros where it keeps nothing (Vaswani et al., 2017, section 3.2.3, on masks)."""

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def masked_softmax(scores: Tensor, keep_mask: Tensor) -> Tensor:
    """Softmax over the last dimension, among the kept entries only.

    Args:
        scores: (..., keys), any leading dimensions, finite.
        keep_mask: bool, True = keep, broadcasts to the shape of `scores`.

    Returns:
        Weights in the shape of `scores`: exactly 0 where the mask forbids, and each row sums to 1. A row in which
        nothing is kept is all zeros. No nan appears, neither in the weights nor in the gradient of the scores.
    """
    ### BEGIN SOLUTION
    lowest = torch.finfo(scores.dtype).min  # finite: a row of -inf alone would be nan
    weights = scores.masked_fill(~keep_mask, lowest).softmax(dim=-1)
    return weights * keep_mask  # an empty row came out uniform
    ### END SOLUTION


exercise = Exercise(
    masked_softmax,
    points=3,
    objectives=["1.3"],
    title_en="A softmax that survives empty rows",
    title_ja="空の行があっても壊れないソフトマックス",
)


def _mask_with_empty_rows(make: Make, *shape: int) -> Tensor:
    """A random mask of (batch, queries, keys) in which two rows keep nothing."""
    mask = make.keep_mask(*shape)
    mask[0, 1] = False
    mask[-1, 0] = False
    return mask


@exercise.visible(en="the example, and a row with nothing kept", ja="例題と、何も残らない行")
def _(make: Make) -> dict[str, Tensor]:
    scores = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], dtype=torch.float64).log()
    return {"scores": scores, "keep_mask": torch.tensor([[True, False, True], [False, False, False]])}


@exercise.visible(en="one padding mask for all heads and queries", ja="ヘッドとクエリに共通のパディングマスク")
def _(make: Make) -> dict[str, Tensor]:
    lengths = torch.tensor([5, 2, 4])
    keep_mask = torch.arange(5)[None, None, None, :] < lengths[:, None, None, None]
    return {"scores": make.normal(3, 2, 4, 5), "keep_mask": keep_mask}


@exercise.visible(en="the gradient of a row with nothing kept", ja="何も残らない行の勾配", gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    return {"scores": make.normal(2, 3, 4), "keep_mask": _mask_with_empty_rows(make, 2, 3, 4)}


# Partial credit: an answer that errs only in empty rows earns the first, one that errs only in the gradient two.
@exercise.hidden(en="every row keeps something", ja="どの行にも残るものがある場合")
def _(make: Make) -> dict[str, Tensor]:
    return {"scores": make.normal(2, 3, 4, 6), "keep_mask": make.keep_mask(2, 1, 4, 6)}


@exercise.hidden(en="some rows keep nothing", ja="何も残らない行がある場合")
def _(make: Make) -> dict[str, Tensor]:
    return {"scores": make.normal(3, 4, 5), "keep_mask": _mask_with_empty_rows(make, 3, 4, 5)}


@exercise.hidden(en="the gradient where some rows keep nothing", ja="何も残らない行があるときの勾配", gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    return {"scores": make.normal(2, 5, 7), "keep_mask": _mask_with_empty_rows(make, 2, 5, 7)}


@exercise.mistake(
    en="The mask is applied after the softmax, so the kept weights no longer sum to 1.",
    ja="ソフトマックスの後でマスクを掛けているため、残った重みの和が 1 になりません。",
    hint_en="Forbidden scores still took their share of the denominator. When must they leave?",
    hint_ja="見てはいけないスコアが、分母に加わったままです。どの段階で除くべきでしょうか。",
)
def masked_after_the_softmax(scores: Tensor, keep_mask: Tensor) -> Tensor:
    return scores.softmax(dim=-1) * keep_mask


@exercise.mistake(
    en="A row in which nothing is kept comes out uniform instead of zero.",
    ja="何も残らない行が、0 ではなく一様な重みになっています。",
    hint_en="If every score is the same large negative number, their differences are 0. What is the softmax of that?",
    hint_ja="すべてのスコアが同じ大きな負の数だと、差はどれも 0 です。ソフトマックスの結果はどうなるでしょうか。",
)
def empty_rows_uniform(scores: Tensor, keep_mask: Tensor) -> Tensor:
    return scores.masked_fill(~keep_mask, -1e9).softmax(dim=-1)


@exercise.mistake(
    en="A row in which nothing is kept comes out nan.",
    ja="何も残らない行が nan になっています。",
    hint_en="The softmax of nothing but -inf is 0/0. See the three attempts in section 2.",
    hint_ja="-inf だけの行のソフトマックスは 0/0 です。第 2 節の三つの方法を見直してみましょう。",
)
def empty_rows_nan(scores: Tensor, keep_mask: Tensor) -> Tensor:
    return scores.masked_fill(~keep_mask, float("-inf")).softmax(dim=-1)


@exercise.mistake(
    en="The weights are right, but the gradient of a row with nothing kept is nan.",
    ja="重みは正しいのですが、何も残らない行の勾配が nan になっています。",
    hint_en="A nan that is replaced afterwards still comes back in the backward pass, as 0 · nan. Do not let it arise.",
    hint_ja="後から置き換えた nan も、逆伝播では 0 · nan として戻ってきます。そもそも生じさせない方法を考えましょう。",
)
def gradient_nan(scores: Tensor, keep_mask: Tensor) -> Tensor:
    bias = torch.zeros_like(scores).masked_fill(~keep_mask, float("-inf"))
    return torch.nan_to_num((scores + bias).softmax(dim=-1), nan=0.0)


@exercise.mistake(
    en="The mask is read the wrong way round: what should be kept is hidden.",
    ja="マスクの意味が逆です。残すべきところを隠しています。",
    hint_en="In this course True means keep. `masked_fill` fills where its mask is True.",
    hint_ja="この教材では True が「残す」です。`masked_fill` はマスクが True の位置を埋めます。",
)
def mask_inverted(scores: Tensor, keep_mask: Tensor) -> Tensor:
    return scores.masked_fill(keep_mask, torch.finfo(scores.dtype).min).softmax(dim=-1) * ~keep_mask


@exercise.accepted
def with_exponentials(scores: Tensor, keep_mask: Tensor) -> Tensor:
    largest = scores.detach().amax(dim=-1, keepdim=True)
    kept = torch.exp(scores - largest) * keep_mask
    total = kept.sum(dim=-1, keepdim=True)
    return kept / torch.where(total > 0, total, torch.ones_like(total))


@exercise.accepted
def with_infinity_filled_twice(scores: Tensor, keep_mask: Tensor) -> Tensor:
    """The fill that hides the scores also stops the nan on its way back: this is a right answer."""
    weights = torch.softmax(scores.masked_fill(~keep_mask, float("-inf")), dim=-1)
    return weights.masked_fill(~keep_mask, 0.0)


@exercise.accepted
def with_where_and_nan_to_num(scores: Tensor, keep_mask: Tensor) -> Tensor:
    return torch.where(keep_mask, scores, float("-inf")).softmax(-1).nan_to_num(0.0)


@exercise.accepted
def renormalised(scores: Tensor, keep_mask: Tensor) -> Tensor:
    weights = scores.softmax(dim=-1) * keep_mask
    return weights / weights.sum(dim=-1, keepdim=True).clamp_min(1e-30)
