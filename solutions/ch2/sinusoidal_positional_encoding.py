"""Sinusoidal positional encoding (Vaswani et al., 2017, section 3.5)."""

import math

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def sinusoidal_positional_encoding(max_len: int, d_model: int) -> Tensor:
    """A table of fixed vectors, one a position, to be added to the word vectors.

        table[pos, 2i]     = sin(pos / 10000^(2i / d_model))
        table[pos, 2i + 1] = cos(pos / 10000^(2i / d_model))        i = 0, 1, ..., d_model / 2 - 1

    Positions count from 0. Sine and cosine of one frequency stand side by side: columns 0 and 1 are the first pair,
    columns 2 and 3 the second. (Some libraries put all sines first and all cosines behind them; not here.)

    Args:
        max_len: how many positions the table has.
        d_model: width of the word vectors, an even number.

    Returns:
        (max_len, d_model), floating point.
    """
    ### BEGIN SOLUTION
    position = torch.arange(max_len).unsqueeze(1)  # (max_len, 1): one row a position
    frequency = 10000 ** (-torch.arange(0, d_model, 2) / d_model)  # (d_model / 2,): one a pair, 2i being 0, 2, 4, ...
    angle = position * frequency  # (max_len, d_model / 2)
    table = torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)  # every sine followed by its cosine
    ### END SOLUTION
    return table


exercise = Exercise(
    sinusoidal_positional_encoding,
    points=3,
    objectives=["2.2"],
    title_en="Sinusoidal positional encoding",
    title_ja="正弦波による位置エンコーディング",
)


# -- cases -------------------------------------------------------------------------------------------------------------


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, int]:
    # Frequencies 1 and 0.01: the second row is sin 1, cos 1, sin 0.01, cos 0.01.
    return {"max_len": 3, "d_model": 4}


@exercise.visible(en="five positions, six features", ja="位置が 5、特徴が 6 の場合")
def _(make: Make) -> dict[str, int]:
    return {"max_len": 5, "d_model": 6}


# With one pair the frequency is 1 whatever the exponent: who has only that wrong keeps these marks.
@exercise.hidden(en="a single pair of features", ja="特徴の対が一つだけの場合")
def _(make: Make) -> dict[str, int]:
    return {"max_len": 9, "d_model": 2}


# Long enough for a constant that is slightly off to show, short enough for single precision.
@exercise.hidden(en="a longer table", ja="もっと長い表", weight=2)
def _(make: Make) -> dict[str, int]:
    return {"max_len": 60, "d_model": 14}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="All sines stand in the first half of a row and all cosines in the second; they should alternate.",
    ja="行の前半に sin、後半に cos をまとめて並べています。両者は交互に並ぶはずです。",
    hint_en="Print one row. In which columns do the formulas put the sine and the cosine of pair i?",
    hint_ja="一行だけ表示してみましょう。i 番目の対の sin と cos は、式では何列目に入りますか。",
)
def sines_then_cosines(max_len: int, d_model: int) -> Tensor:
    angle = torch.arange(max_len)[:, None] * 10000 ** (-torch.arange(0, d_model, 2) / d_model)
    return torch.cat((angle.sin(), angle.cos()), dim=1)


@exercise.mistake(
    en="Every column has a frequency of its own: the cosine of a pair is slower than its sine.",
    ja="列ごとに周波数を変えています。そのため、対になる sin と cos の周波数が食い違っています。",
    hint_en="Compare the exponents in the two lines of the formula. What do columns 0 and 1 have in common?",
    hint_ja="二つの式の指数を見比べてみましょう。0 列目と 1 列目に共通しているものは何ですか。",
)
def a_frequency_for_every_column(max_len: int, d_model: int) -> Tensor:
    column = torch.arange(d_model)
    angle = torch.arange(max_len)[:, None] * 10000 ** (-column / d_model)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())


@exercise.mistake(
    en="The exponent is i / d_model for pair i: the frequencies fall half as fast as they should.",
    ja="i 番目の対の指数が i / d_model になっています。周波数の下がり方が、あるべき速さの半分です。",
    hint_en="For d_model = 4 the frequencies should be 1 and 0.01. Which are yours? Look again at what stands above "
    "d_model in the formula.",
    hint_ja="d_model = 4 なら周波数は 1 と 0.01 のはずです。いまはいくつですか。式の指数の分子を見直してください。",
)
def pair_not_doubled(max_len: int, d_model: int) -> Tensor:
    angle = torch.arange(max_len)[:, None] * 10000 ** (-torch.arange(d_model // 2) / d_model)
    return torch.stack((angle.sin(), angle.cos()), dim=2).flatten(1)


@exercise.mistake(
    en="The positions are multiplied by the powers of 10000 instead of divided by them.",
    ja="位置を 10000 の累乗で割らずに、掛けています。",
    hint_en="Should the last columns of the table change faster or more slowly than the first ones? A minus sign may "
    "be missing.",
    hint_ja="表の右のほうの列は、左の列より速く変化すべきでしょうか、ゆっくり変化すべきでしょうか。"
    "マイナスの符号が抜けているかもしれません。",
)
def multiplied_not_divided(max_len: int, d_model: int) -> Tensor:
    angle = torch.arange(max_len)[:, None] * 10000 ** (torch.arange(0, d_model, 2) / d_model)
    return torch.stack((angle.sin(), angle.cos()), dim=2).flatten(1)


@exercise.mistake(
    en="The positions count from 1.",
    ja="位置を 1 から数えています。",
    hint_en="What should the first row hold, sin 0 and cos 0 or sin 1 and cos 1?",
    hint_ja="最初の行に入るのは、sin 0 と cos 0 でしょうか、sin 1 と cos 1 でしょうか。",
)
def positions_from_one(max_len: int, d_model: int) -> Tensor:
    angle = torch.arange(1, max_len + 1)[:, None] * 10000 ** (-torch.arange(0, d_model, 2) / d_model)
    return torch.stack((angle.sin(), angle.cos()), dim=2).flatten(1)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_slices(max_len: int, d_model: int) -> Tensor:
    """Even and odd columns of an empty table, the powers by way of logarithms."""
    rate = torch.exp(torch.arange(d_model // 2) * (-2 * math.log(10000.0) / d_model))
    angle = torch.outer(torch.arange(max_len).float(), rate)
    table = torch.empty(max_len, d_model)
    table[:, 0::2] = torch.sin(angle)
    table[:, 1::2] = torch.cos(angle)
    return table


@exercise.accepted
def with_loops(max_len: int, d_model: int) -> Tensor:
    """The formula as it stands, number by number, in double precision."""
    rows = []
    for pos in range(max_len):
        row = []
        for i in range(d_model // 2):
            angle = pos / 10000 ** (2 * i / d_model)
            row += [math.sin(angle), math.cos(angle)]
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


@exercise.accepted
def as_shifted_sines(max_len: int, d_model: int) -> Tensor:
    """One sine for all columns: a cosine is a sine that is a quarter turn ahead."""
    column = torch.arange(d_model)
    angle = torch.einsum("p,c->pc", torch.arange(max_len).double(), 1e4 ** -((column - column % 2) / d_model).double())
    return torch.sin(angle + column % 2 * (math.pi / 2))
