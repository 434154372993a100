"""The learning rate of the first Transformer (Vaswani et al., 2017, section 5.3, equation 3)."""

import torch

from autograder.exercise import Exercise
from autograder.make import Make


def noam_learning_rate(step: int, d_model: int, warmup: int) -> float:
    """The learning rate at one step: it rises linearly, then falls with the root of the step.

        rate(step) = d_model^(-1/2) · min(step^(-1/2), step · warmup^(-3/2))

    Args:
        step: the number of the step, counted from 1.
        d_model: the width of the model.
        warmup: the number of steps for which the rate rises.

    Returns:
        the rate. For d_model = 16 and warmup = 4 the first three are 0.03125, 0.0625 and 0.09375.
    """
    ### BEGIN SOLUTION
    rising = step * warmup**-1.5
    falling = step**-0.5
    return d_model**-0.5 * min(rising, falling)
    ### END SOLUTION


exercise = Exercise(
    noam_learning_rate,
    points=2,
    objectives=["2.1"],
    title_en="The warmup schedule of the Transformer",
    title_ja="Transformer の学習率スケジュール",
)


# -- cases -------------------------------------------------------------------------------------------------------------


@exercise.visible(en="the first step of the example in the text", ja="本文の例の最初のステップ")
def _(make: Make) -> dict[str, int]:
    return {"step": 1, "d_model": 16, "warmup": 4}


@exercise.visible(en="its third step, still rising", ja="同じ例の 3 ステップ目（上昇中）")
def _(make: Make) -> dict[str, int]:
    return {"step": 3, "d_model": 16, "warmup": 4}


@exercise.visible(en="its ninth step, falling", ja="同じ例の 9 ステップ目（下降中）")
def _(make: Make) -> dict[str, int]:
    return {"step": 9, "d_model": 16, "warmup": 4}


@exercise.hidden(en="during the warmup", ja="ウォームアップの途中")
def _(make: Make) -> dict[str, int]:
    step, d_model, warmup = int(make.integers(4, 11)), int(make.integers(20, 30)), int(make.integers(40, 90))
    return {"step": step, "d_model": d_model, "warmup": warmup}


@exercise.hidden(en="long after the warmup", ja="ウォームアップのずっと後")
def _(make: Make) -> dict[str, int]:
    step, d_model, warmup = int(make.integers(60, 90)), int(make.integers(30, 50)), int(make.integers(7, 14))
    return {"step": step, "d_model": d_model, "warmup": warmup}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The larger of the two branches is taken.",
    ja="二つの値のうち、大きいほうを選んでいます。",
    hint_en="At step 1 one of the two is 1 and the other is tiny. With which of them should training begin?",
    hint_ja="ステップ 1 では、一方は 1、もう一方はごく小さな値です。学習はどちらから始めるべきでしょうか。",
)
def larger_of_the_two(step: int, d_model: int, warmup: int) -> float:
    return d_model**-0.5 * max(step**-0.5, step * warmup**-1.5)


@exercise.mistake(
    en="1 is added to the step, as if it were counted from 0.",
    ja="ステップが 0 から始まるものとして、1 を足しています。",
    hint_en="Compare your first value with the three that the docstring gives.",
    hint_ja="あなたの最初の値を、docstring にある三つの値と比べてみましょう。",
)
def counted_from_zero(step: int, d_model: int, warmup: int) -> float:
    step = step + 1
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


@exercise.mistake(
    en="The width of the model plays no part.",
    ja="モデルの幅 d_model が結果に反映されていません。",
    hint_en="Your curve has the right form, but another height. Which argument do you not use?",
    hint_ja="曲線の形は正しく、高さだけが違います。まだ使っていない引数はどれでしょうか。",
)
def width_forgotten(step: int, d_model: int, warmup: int) -> float:
    return min(step**-0.5, step * warmup**-1.5)


@exercise.mistake(
    en="The rising branch is step / warmup: it does not meet the falling one at the end of the warmup.",
    ja="上昇する側が step / warmup になっていて、ウォームアップの終わりで下降する側とつながりません。",
    hint_en="Put step = warmup into both branches. What should come out, and what does?",
    hint_ja="両方の式に step = warmup を代入してみましょう。何が出るべきで、実際には何が出ますか。",
)
def rises_to_one(step: int, d_model: int, warmup: int) -> float:
    return d_model**-0.5 * min(step**-0.5, step / warmup)


@exercise.mistake(
    en="After the warmup the rate stays where it is.",
    ja="ウォームアップの後、学習率が一定のままになっています。",
    hint_en="Is your value at step 100 smaller than that at step 50, if the warmup ended long before?",
    hint_ja="ウォームアップがとうに終わっているとき、ステップ 100 の値はステップ 50 の値より小さくなっていますか。",
)
def does_not_fall(step: int, d_model: int, warmup: int) -> float:
    return d_model**-0.5 * min(warmup**-0.5, step * warmup**-1.5)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def in_two_pieces(step: int, d_model: int, warmup: int) -> float:
    if step < warmup:
        return step / warmup / (d_model * warmup) ** 0.5
    return 1 / (d_model * step) ** 0.5


@exercise.accepted
def as_tensors(step: int, d_model: int, warmup: int) -> float:
    now = torch.tensor(float(step))
    return torch.minimum(now.rsqrt(), now * warmup**-1.5).div(d_model**0.5)  # type: ignore[return-value]


@exercise.accepted
def from_the_peak(step: int, d_model: int, warmup: int) -> float:
    ratio = step / warmup
    peak: float = pow(d_model * warmup, -1 / 2)
    return peak * sorted([ratio, pow(ratio, -1 / 2)])[0]
