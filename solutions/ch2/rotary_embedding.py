"""Rotary position embedding (Su et al., 2021, section 3.2)."""

from typing import Any

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def rotary_embedding(x: Tensor, positions: Tensor, theta: float = 10000) -> Tensor:
    """Rotate each pair of neighbouring features by an angle that grows with the position.

    Pair i, for i = 0, 1, ..., dim / 2 - 1, consists of the features 2i and 2i + 1. At position m it is turned by the
    angle a = m · theta^(-2i / dim):

        y_2i     = x_2i · cos(a) - x_2i+1 · sin(a)
        y_2i+1   = x_2i · sin(a) + x_2i+1 · cos(a)

    Args:
        x: (batch, heads, time, dim), queries or keys; dim is even.
        positions: whole numbers that broadcast to (batch, heads, time): (time,) when all sentences begin at the same
            position, (batch, 1, time) when each has its own.
        theta: what sets the speeds; pair 0 turns by 1 radian a position, the last pair by little more than 1 / theta.

    Returns:
        a tensor shaped like x. The features stay where they are: a pair's two results are neighbours again.
    """
    ### BEGIN SOLUTION
    even = torch.arange(0, x.size(-1), 2).to(x)  # 2i
    angles = positions.unsqueeze(-1) * theta ** (-even / x.size(-1))  # (..., time, dim / 2)
    cos, sin = angles.cos(), angles.sin()
    first, second = x[..., 0::2], x[..., 1::2]
    turned = (first * cos - second * sin, first * sin + second * cos)
    return torch.stack(turned, dim=-1).flatten(-2)
    ### END SOLUTION


exercise = Exercise(
    rotary_embedding,
    points=4,
    objectives=["2.2"],
    title_en="Rotary position embedding",
    title_ja="回転位置埋め込み",
    equivalent={
        "even = torch.arange(0, x.size(-1), 2)": "angles in single precision are right, and nothing is moved",
    },
)

# Angles are often computed in single precision, which is right: 1e-7 of an angle of some tens.
SINGLE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


# -- cases -------------------------------------------------------------------------------------------------------------


@exercise.visible(en="the vector worked by hand in the text", ja="本文で手計算したベクトル", **SINGLE)
def _(make: Make) -> dict[str, object]:
    x = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64).expand(1, 1, 3, 4)
    return {"x": x.clone(), "positions": torch.arange(3), "theta": 100.0}


@exercise.visible(en="two sentences that begin at position 7", ja="位置 7 から始まる二つの文", **SINGLE)
def _(make: Make) -> dict[str, object]:
    return {"x": make.normal(2, 3, 5, 6), "positions": torch.arange(7, 12)}


@exercise.visible(en="a position of its own for each sentence", ja="文ごとに異なる位置", **SINGLE)
def _(make: Make) -> dict[str, object]:
    return {"x": make.normal(3, 2, 4, 8), "positions": make.integers(0, 30, 3, 1, 4), "theta": 50.0}


@exercise.hidden(
    en="other positions for each sentence, and another theta", ja="文ごとに異なる位置と、別の theta", weight=2, **SINGLE
)
def _(make: Make) -> dict[str, object]:
    return {"x": make.normal(2, 4, 5, 6), "positions": make.integers(1, 40, 2, 1, 5), "theta": 300.0}


@exercise.hidden(
    en="positions that begin later, and the gradient",
    ja="途中から始まる位置と、勾配",
    weight=2,
    gradients=True,
    **SINGLE,
)
def _(make: Make) -> dict[str, object]:
    return {"x": make.normal(3, 2, 4, 10), "positions": torch.arange(4) + make.integers(5, 30)}


# -- mistakes ----------------------------------------------------------------------------------------------------------


def _turned(
    x: Tensor, positions: Tensor, exponents: Tensor, theta: float, *, halves: bool = False, back: bool = False
) -> tuple[Tensor, Tensor]:
    """The two results of every pair, for the wrong answers to put together."""
    angles = positions.unsqueeze(-1) * theta**-exponents
    first, second = x.chunk(2, dim=-1) if halves else (x[..., 0::2], x[..., 1::2])
    cos, sin = angles.cos(), -angles.sin() if back else angles.sin()
    return first * cos - second * sin, first * sin + second * cos


def _exponents(x: Tensor) -> Tensor:
    return torch.arange(0, x.size(-1), 2).to(x) / x.size(-1)


@exercise.mistake(
    en="Feature i is paired with feature i + dim/2, not with its neighbour.",
    ja="特徴 i を、隣の特徴ではなく特徴 i + dim/2 と組にしています。",
    hint_en="Llama's code does it like this, the paper and this course do not. Which two features make up pair 0"
    " in the docstring?",
    hint_ja="Llama の実装はこの方式ですが、元の論文とこの教材は違います。docstring では、対 0 はどの二つの特徴ですか。",
)
def halves_paired(x: Tensor, positions: Tensor, theta: float = 10000) -> Tensor:
    return torch.cat(_turned(x, positions, _exponents(x), theta, halves=True), dim=-1)


@exercise.mistake(
    en="The pairs are right, but their results are not neighbours: all first ones stand before all second ones.",
    ja="対の取り方は正しいのですが、結果が隣どうしに並んでいません。"
    "一つ目の結果がすべて並んだ後に、二つ目の結果が続いています。",
    hint_en="At position 0 nothing turns, so that x should come back as it was. Does it?",
    hint_ja="位置 0 では何も回転しないので、x がそのまま返るはずです。そうなっていますか。",
)
def not_interleaved(x: Tensor, positions: Tensor, theta: float = 10000) -> Tensor:
    return torch.cat(_turned(x, positions, _exponents(x), theta), dim=-1)


@exercise.mistake(
    en="The pairs turn the wrong way round, clockwise.",
    ja="対が逆向き（時計回り）に回転しています。",
    hint_en="Turn (1, 0) by a small angle as the formula says. Is the second number positive or negative?",
    hint_ja="(1, 0) を、式のとおりに小さな角度だけ回してみましょう。二つ目の数は正ですか、負ですか。",
)
def clockwise(x: Tensor, positions: Tensor, theta: float = 10000) -> Tensor:
    return torch.stack(_turned(x, positions, _exponents(x), theta, back=True), dim=-1).flatten(-2)


@exercise.mistake(
    en="The exponent is i / dim, not 2i / dim: all pairs but the first turn too fast.",
    ja="指数が 2i / dim ではなく i / dim になっていて、最初の対を除くすべての対が速く回りすぎています。",
    hint_en="How slowly does your last pair turn? By the docstring it should be close to 1 / theta a position.",
    hint_ja="最後の対は、一つの位置あたりどれだけ回りますか。docstring によれば 1 / theta に近いはずです。",
)
def half_the_exponent(x: Tensor, positions: Tensor, theta: float = 10000) -> Tensor:
    return torch.stack(_turned(x, positions, _exponents(x) / 2, theta), dim=-1).flatten(-2)


@exercise.mistake(
    en="The positions are counted anew from 0: the argument is not used.",
    ja="引数 positions を使わず、位置を 0 から数え直しています。",
    hint_en="A sentence need not begin at position 0, for instance when it is continued. Who tells you where it does?",
    hint_ja="続きを書くときのように、文が位置 0 から始まるとはかぎりません。始まりの位置はどの引数からわかりますか。",
)
def positions_from_zero(x: Tensor, positions: Tensor, theta: float = 10000) -> Tensor:
    counted = torch.arange(x.size(-2), device=x.device)
    return torch.stack(_turned(x, counted, _exponents(x), theta), dim=-1).flatten(-2)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def as_complex_numbers(x: Tensor, positions: Tensor, theta: float = 10000) -> Tensor:
    """A pair is a complex number, and a rotation is a product."""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    angles = positions[..., None] * theta ** -_exponents(x)
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


@exercise.accepted
def with_rotated_neighbours(x: Tensor, positions: Tensor, theta: float = 10000) -> Tensor:
    """x · cos + (x with each pair turned by 90 degrees) · sin, the angles in single precision."""
    speeds = 1.0 / theta ** (torch.arange(0, x.shape[-1], 2, device=x.device).float() / x.shape[-1])
    angles = torch.repeat_interleave(positions[..., None].float() * speeds, 2, dim=-1)
    quarter = torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).reshape(x.shape)
    return x * angles.cos() + quarter * angles.sin()


@exercise.accepted
def pair_by_pair(x: Tensor, positions: Tensor, theta: float = 10000) -> Tensor:
    """A loop over the pairs, each with a two by two matrix."""
    parts = []
    for i in range(x.size(-1) // 2):
        angle = positions.to(x) / theta ** (2 * i / x.size(-1))
        rows = [torch.stack([angle.cos(), -angle.sin()], -1), torch.stack([angle.sin(), angle.cos()], -1)]
        rotation = torch.stack(rows, -2)
        parts.append((rotation @ x[..., 2 * i : 2 * i + 2, None]).squeeze(-1))
    return torch.cat(parts, dim=-1)
