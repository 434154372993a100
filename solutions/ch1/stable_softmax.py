"""A softmax that neither overflows nor underflows (Goodfellow, Bengio and Courville, 2016, section 4.1)."""

import math

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def stable_softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Softmax along one dimension, right for scores of any size.

        softmax(x)_i = exp(x_i) / Σ_j exp(x_j)

    The formula is right, but exp(1000) overflows to inf and exp(-1000) underflows to 0. Adding the same number to all
    scores of a slice leaves their softmax as it is: use that to keep every exponent at 0 or below. Build it from
    elementary operations; torch.softmax is what it should agree with.

    Args:
        x: scores of any shape. Entries may be as large as ±10,000, and -inf where something is masked; every slice
            along `dim` holds at least one finite score.
        dim: the dimension along which the result sums to 1.

    Returns:
        a tensor shaped like x. Where x is -inf it is exactly 0.
    """
    ### BEGIN SOLUTION
    shifted = x - x.amax(dim=dim, keepdim=True)  # every slice by its own maximum: its largest exponent is now 0
    exponentials = torch.exp(shifted)  # between 0 and 1, and exp(-inf) = 0
    probabilities = exponentials / exponentials.sum(dim=dim, keepdim=True)  # the sum is at least 1
    ### END SOLUTION
    return probabilities


exercise = Exercise(
    stable_softmax,
    points=2,
    objectives=["1.3"],
    title_en="A numerically stable softmax",
    title_ja="数値的に安定なソフトマックス",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def near_ten_thousand(make: Make, rows: int, columns: int) -> Tensor:
    """Rows that lie in turn near +10,000 and near -10,000, with some -inf: no single number suits all of them."""
    level = torch.where(torch.arange(rows) % 2 == 0, 1e4, -1e4).to(torch.float64)
    # Fractions of 256 are exact in float32 even here, so that an answer which calculates in it is as right.
    scores = (make.normal(rows, columns) * 256).round() / 256 + level[:, None]
    return scores.masked_fill(~make.keep_mask(rows, columns), -math.inf)


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, Tensor]:
    # exp(-2), exp(-1), exp(0) over their sum 1.503: 0.090, 0.245, 0.665.
    return {"x": torch.tensor([1001.0, 1002.0, 1003.0], dtype=torch.float64)}


@exercise.visible(
    en="rows near 10,000 and -10,000, with some -inf", ja="10,000 付近の行と -10,000 付近の行（一部は -inf）"
)
def _(make: Make) -> dict[str, Tensor]:
    return {"x": near_ten_thousand(make, 2, 5)}


@exercise.visible(en="along the middle dimension", ja="真ん中の次元に沿って")
def _(make: Make) -> dict[str, object]:
    return {"x": make.normal(2, 4, 3), "dim": 1}


@exercise.hidden(en="along another dimension", ja="別の次元に沿って")
def _(make: Make) -> dict[str, object]:
    return {"x": make.normal(3, 5, 4, 2), "dim": -3}


@exercise.hidden(
    en="more rows near 10,000 and -10,000, with some -inf",
    ja="10,000 付近と -10,000 付近の行（一部は -inf、行数を増やして）",
    weight=3,
)
def _(make: Make) -> dict[str, Tensor]:
    return {"x": near_ten_thousand(make, 4, 6)}


@exercise.hidden(en="the gradient", ja="勾配", gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    return {"x": make.normal(4, 3)}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The exponentials overflow or underflow: nothing is subtracted from the scores.",
    ja="スコアから何も引いていないので、指数関数がオーバーフローやアンダーフローを起こしています。",
    hint_en="exp(10000) is inf, and inf / inf is nan. Which number can you subtract from every score of a slice "
    "so that the largest exponent becomes 0?",
    hint_ja="exp(10000) は inf になり、inf / inf は nan になります。スライスのすべてのスコアから何を引けば、"
    "最大の指数が 0 になるでしょうか。",
)
def nothing_subtracted(x: Tensor, dim: int = -1) -> Tensor:
    exponentials = torch.exp(x)
    return exponentials / exponentials.sum(dim=dim, keepdim=True)


@exercise.mistake(
    en="One maximum, that of the whole tensor, is subtracted from all slices.",
    ja="スライスごとの最大値ではなく、テンソル全体の最大値を引いています。",
    hint_en="A slice far below the overall maximum underflows to 0 / 0. Which maximum does each slice need?",
    hint_ja="全体の最大値よりずっと小さいスライスでは、アンダーフローして 0 / 0 になります。"
    "各スライスにはどの最大値が必要でしょうか。",
)
def maximum_of_everything(x: Tensor, dim: int = -1) -> Tensor:
    exponentials = torch.exp(x - x.max())
    return exponentials / exponentials.sum(dim=dim, keepdim=True)


@exercise.mistake(
    en="keepdim=True is missing: the reduced dimension is gone, and the shapes no longer line up.",
    ja="keepdim=True が抜けています。集約した次元が消えてしまい、形状が合わなくなっています。",
    hint_en="Print the shape of the maximum beside the shape of x. Which dimension should still be there, with size 1?",
    hint_ja="最大値の形状と x の形状を並べて表示してみましょう。大きさ 1 で残っているべき次元はどれでしょうか。",
)
def keepdim_forgotten(x: Tensor, dim: int = -1) -> Tensor:
    exponentials = torch.exp(x - x.amax(dim=dim))
    return exponentials / exponentials.sum(dim=dim)


@exercise.mistake(
    en="x.max(dim) returns a pair, the values and their indices, and the pair itself is subtracted.",
    ja="x.max(dim) は値とインデックスの組を返します。その組をそのまま引いています。",
    hint_en="Look at what x.max(dim=dim) prints. Which half do you need? (x.amax returns that half alone.)",
    hint_ja="x.max(dim=dim) を表示してみましょう。必要なのはどちらですか。（x.amax ならその片方だけが返ります。）",
)
def pair_subtracted(x: Tensor, dim: int = -1) -> Tensor:
    exponentials = torch.exp(x - x.max(dim=dim, keepdim=True))  # type: ignore[operator]  # the mistake itself
    return exponentials / exponentials.sum(dim=dim, keepdim=True)


@exercise.mistake(
    en="`dim` is ignored: the softmax always runs along the last dimension.",
    ja="引数 dim を使わず、いつも最後の次元に沿ってソフトマックスをとっています。",
    hint_en="Along which dimension does your result sum to 1 when you call stable_softmax(x, dim=0)?",
    hint_ja="stable_softmax(x, dim=0) を呼ぶと、結果はどの次元に沿って和が 1 になっていますか。",
)
def always_the_last_dimension(x: Tensor, dim: int = -1) -> Tensor:
    exponentials = torch.exp(x - x.amax(dim=-1, keepdim=True))
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_torch_builtin(x: Tensor, dim: int = -1) -> Tensor:
    return torch.softmax(x, dim=dim)


@exercise.accepted
def with_logsumexp(x: Tensor, dim: int = -1) -> Tensor:
    return torch.exp(x - x.logsumexp(dim, keepdim=True))


@exercise.accepted
def in_place(x: Tensor, dim: int = -1) -> Tensor:
    x -= x.max(dim, keepdim=True).values.detach()  # a constant to the gradient, which it does not change
    x = x.exp()
    return x.div(x.sum(dim, keepdim=True))
