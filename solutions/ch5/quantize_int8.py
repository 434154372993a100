"""Weights in 8 bits, with one scale for each row (Dettmers et al., 2022, section 2: absmax quantisation)."""

import numpy as np
import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make, Trial


def quantize_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Write each row of a weight matrix as whole numbers from -127 to 127 and one scale.

    Args:
        weight: (rows, columns), float32 or float64.

    Returns:
        quantized: (rows, columns), int8. Each entry of the weight divided by its row's scale, rounded to the nearest
            whole number. (Halves do not occur in the exam.)
        scales: (rows, 1), in the weight's dtype. The largest absolute value of a row becomes 127 or -127. The scale
            of a row of zeros is 1, and the row stays zero.
    """
    ### BEGIN SOLUTION
    largest = weight.abs().amax(dim=1, keepdim=True)
    scales = torch.where(largest == 0, torch.ones_like(largest), largest / 127)
    return torch.round(weight / scales).to(torch.int8), scales
    ### END SOLUTION


def dequantize(quantized: Tensor, scales: Tensor) -> Tensor:
    """The weight matrix that the whole numbers and the scales stand for.

    Args:
        quantized: (rows, columns), int8.
        scales: (rows, 1).

    Returns:
        (rows, columns), in the dtype of the scales.
    """
    ### BEGIN SOLUTION
    return quantized.to(scales.dtype) * scales
    ### END SOLUTION


exercise = Exercise(
    quantize_int8,
    dequantize,
    points=3,
    objectives=["5.2"],
    title_en="Weights in 8 bits",
    title_ja="8 ビットの重み",
    equivalent={
        "scales = torch.where(largest <= 0, torch.ones_like(largest), largest / 127)": "an absolute value is never < 0",
        "return quantized * scales": "int8 times a floating-point number is in the dtype of the latter",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def rows_of(make: Make, rows: int, columns: int) -> Tensor:
    """Rows of different sizes, in which the largest entry is sometimes a negative one; no halves."""
    weight = make.normal(rows, columns) * make.uniform(rows, 1, low=0.1, high=3.0)
    sign = torch.where(torch.arange(rows) % 2 == 0, -1.0, 1.0).double()
    weight[:, 1] = 1.2 * weight.abs().amax(dim=1) * sign
    steps = weight / weight.abs().amax(dim=1, keepdim=True) * 127
    halves = ((steps - steps.floor()) - 0.5).abs() < 0.01
    return weight.masked_fill(halves, 0.0)


@exercise.visible(en="the two rows of the text", ja="本文の二つの行")
def _(make: Make) -> Trial:
    weight = torch.tensor([[0.506, -2.54, 1.264, 0.033], [0.127, 0.0492, -0.0513, 0.0]], dtype=torch.float64)
    return make.call("quantize_int8", weight=weight)


@exercise.visible(en="rows of different sizes, one of them zero", ja="大きさの違う行（一つはすべて 0）")
def _(make: Make) -> Trial:
    weight = rows_of(make, 4, 6)
    weight[2] = 0.0
    return make.call("quantize_int8", weight=weight)


@exercise.visible(en="back to a matrix", ja="行列に戻す")
def _(make: Make) -> Trial:
    quantized = torch.tensor([[25, -127, 63, 2], [127, 49, -51, 0]], dtype=torch.int8)
    scales = torch.tensor([[0.02], [0.001]], dtype=torch.float64)
    return make.call("dequantize", quantized=quantized, scales=scales)


@exercise.hidden(en="a matrix with more columns than rows", ja="列のほうが多い行列", weight=2)
def _(make: Make) -> Trial:
    return make.call("quantize_int8", weight=rows_of(make, 5, 11))


@exercise.hidden(en="rows of zeros and rows of tiny weights", ja="すべて 0 の行と、ごく小さい重みの行")
def _(make: Make) -> Trial:
    weight = rows_of(make, 7, 3) * 1e-6
    weight[3] = 0.0
    return make.call("quantize_int8", weight=weight)


@exercise.hidden(en="another one back to a matrix", ja="別の行列を元に戻す")
def _(make: Make) -> Trial:
    quantized = make.integers(-127, 128, 6, 4).to(torch.int8)
    return make.call("dequantize", quantized=quantized, scales=make.uniform(6, 1, low=0.01, high=0.2))


# -- mistakes ----------------------------------------------------------------------------------------------------------


def with_scales(weight: Tensor, largest: Tensor, steps: int = 127) -> tuple[Tensor, Tensor]:
    """The right answer with other scales."""
    scales = torch.where(largest == 0, torch.ones_like(largest), largest / steps)
    whole = torch.round(weight / scales).long()
    return ((whole + 128) % 256 - 128).to(torch.int8), scales  # as 8 bits wrap round


@exercise.mistake(
    answer="quantize_int8",
    en="There is one scale for the whole matrix.",
    ja="行列全体に対して、スケールが一つしかありません。",
    hint_en="A row of small weights is left with few of the whole numbers. Over which dimension is the maximum taken?",
    hint_ja="重みの小さい行では、整数がわずかしか使われなくなります。最大値は、どの次元についてとりますか。",
)
def one_scale_for_all(weight: Tensor) -> tuple[Tensor, Tensor]:
    return with_scales(weight, weight.abs().max().expand(weight.size(0), 1).clone())


@exercise.mistake(
    answer="quantize_int8",
    en="The signs are forgotten: the scale comes from the largest entry, not from the largest absolute value.",
    ja="符号を忘れています。スケールが、絶対値の最大値ではなく、値の最大値から決められています。",
    hint_en="What happens to a row whose entry farthest from zero is negative?",
    hint_ja="0 から最も遠い成分が負である行では、何が起こるでしょうか。",
)
def largest_without_abs(weight: Tensor) -> tuple[Tensor, Tensor]:
    return with_scales(weight, weight.amax(dim=1, keepdim=True))


@exercise.mistake(
    answer="quantize_int8",
    en="The scale is the largest absolute value divided by 128: a positive 128 does not fit into 8 bits.",
    ja="絶対値の最大値を 128 で割っています。正の 128 は 8 ビットに収まりません。",
    hint_en="int8 holds the numbers from -128 to 127. Look at what became of the largest positive weight.",
    hint_ja="int8 が表せるのは -128 から 127 までです。正の最大の重みがどうなったか、見てみましょう。",
)
def divided_by_128(weight: Tensor) -> tuple[Tensor, Tensor]:
    return with_scales(weight, weight.abs().amax(dim=1, keepdim=True), steps=128)


@exercise.mistake(
    answer="quantize_int8",
    en="The numbers are cut off towards zero, not rounded.",
    ja="四捨五入ではなく、0 に向かって切り捨てています。",
    hint_en="Converting to int8 drops what stands behind the point. What has to be done before?",
    hint_ja="int8 に変換すると、小数点以下は捨てられます。その前に何をすればよいでしょうか。",
)
def cut_off(weight: Tensor) -> tuple[Tensor, Tensor]:
    _, scales = quantize_int8(weight)
    return (weight / scales * (1 + 1e-12)).to(torch.int8), scales


@exercise.mistake(
    answer="quantize_int8",
    en="A row of zeros is divided by zero.",
    ja="すべて 0 の行で、0 で割っています。",
    hint_en="What is 0 / 0, and what does the docstring say about the scale of such a row?",
    hint_ja="0 / 0 は何になりますか。そのような行のスケールについて、docstring には何と書いてありますか。",
)
def zero_row_divided_by_zero(weight: Tensor) -> tuple[Tensor, Tensor]:
    scales = weight.abs().amax(dim=1, keepdim=True) / 127
    return torch.round(weight / scales).nan_to_num().to(torch.int8), scales


@exercise.mistake(
    answer="dequantize",
    en="The whole numbers are divided by the scales.",
    ja="整数をスケールで割っています。",
    hint_en="A scale is the distance between two neighbouring whole numbers, measured in the weight's own units.",
    hint_ja="スケールとは、隣り合う二つの整数の間隔を、もとの重みの単位で測ったものです。",
)
def divided_by_the_scales(quantized: Tensor, scales: Tensor) -> Tensor:
    return quantized / scales


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted(answer="quantize_int8")
def row_by_row(weight: Tensor) -> tuple[Tensor, Tensor]:
    rows, scales = [], []
    for row in weight:
        scale = float(row.abs().max()) / 127 or 1.0
        rows.append([round(each / scale) for each in row.tolist()])
        scales.append([scale])
    return (
        torch.tensor(rows, dtype=torch.int8, device=weight.device),
        torch.tensor(scales, dtype=weight.dtype, device=weight.device),
    )


@exercise.accepted(answer="quantize_int8")
def with_numpy(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Half a step is added and the rest cut off."""
    array = weight.detach().cpu().numpy()
    scales = np.maximum(array.max(axis=1), -array.min(axis=1))[:, None] / 127
    scales[scales == 0] = 1
    whole = np.floor(array / scales + 0.5).clip(-127, 127).astype(np.int8)
    return torch.from_numpy(whole).to(weight.device), torch.from_numpy(scales).to(weight.device)


@exercise.accepted(answer="quantize_int8")
def inverse_scales(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Multiplication by the inverse, as a kernel would do it."""
    largest = torch.linalg.vector_norm(weight, ord=torch.inf, dim=-1).unsqueeze(-1)
    inverse = (127 / largest).masked_fill(largest == 0, 1.0)
    return (weight * inverse).round().clamp(-127, 127).to(torch.int8), inverse.reciprocal()


@exercise.accepted(answer="dequantize")
def with_einsum(quantized: Tensor, scales: Tensor) -> Tensor:
    return torch.einsum("ij,i->ij", quantized.to(scales), scales[:, 0])
