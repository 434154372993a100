"""A learning rate that rises, then falls, both along a straight line (Devlin et al., 2019, appendix A.2)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from autograder.exercise import Exercise
from autograder.make import Make


def warmup_linear_schedule(step: int, warmup: int, total: int) -> float:
    """The factor by which the learning rate is multiplied in one step of the optimizer.

    Steps are counted from 0, as torch.optim.lr_scheduler.LambdaLR counts them. The factor rises along a straight line
    from 0 at step 0 to 1 at step `warmup`, falls along a straight line to 0 at step `total`, and stays 0 from there on.
    For warmup = 4 and total = 12 the first three are 0, 0.25 and 0.5. Without a warm-up (warmup = 0) it begins at 1.

    Args:
        step: the step's number, 0 or more.
        warmup: how many steps it rises, 0 or more, fewer than `total`.
        total: how many steps there are altogether.

    Returns:
        the factor, from 0 to 1.
    """
    ### BEGIN SOLUTION
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / (total - warmup))
    ### END SOLUTION


exercise = Exercise(
    warmup_linear_schedule,
    points=2,
    objectives=["3.3"],
    title_en="A linear schedule with warm-up",
    title_ja="ウォームアップ付きの線形スケジュール",
)


# -- cases -------------------------------------------------------------------------------------------------------------


@exercise.visible(
    en="by hand: step 1 of 12, 4 of them warm-up", ja="手計算の例：全 12 ステップ、ウォームアップ 4 のときのステップ 1"
)
def _(make: Make) -> dict[str, int]:
    return {"step": 1, "warmup": 4, "total": 12}  # 0.25


@exercise.visible(en="by hand: step 6", ja="手計算の例：同じ設定のステップ 6")
def _(make: Make) -> dict[str, int]:
    return {"step": 6, "warmup": 4, "total": 12}  # 0.75


@exercise.visible(en="by hand: step 14, past the end", ja="手計算の例：最後を過ぎたステップ 14")
def _(make: Make) -> dict[str, int]:
    return {"step": 14, "warmup": 4, "total": 12}  # 0


def at(first: int, last: int) -> Callable[[Make], dict[str, int]]:
    """A step from `first` up to, but without, `last` (both in tenths of the warm-up, which is a tenth of all steps)."""

    def build(make: Make) -> dict[str, int]:
        warmup = int(make.integers(3, 9, 1)) * 10 + 1
        step = int(make.integers(first * warmup // 10, last * warmup // 10, 1))
        return {"step": step, "warmup": warmup, "total": 10 * warmup}

    return build


exercise.hidden(en="in the warm-up", ja="ウォームアップの途中", weight=2)(at(2, 9))
exercise.hidden(en="on the way down", ja="下がっていく途中", weight=2)(at(20, 80))
exercise.hidden(en="after the last step", ja="最後のステップを過ぎた後")(at(105, 120))


@exercise.hidden(en="the first step without a warm-up", ja="ウォームアップなしの最初のステップ")
def _(make: Make) -> dict[str, int]:
    return {"step": 0, "warmup": 0, "total": int(make.integers(20, 90, 1))}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The count begins at 1: the first step already has a factor above 0, and every rising one is a step ahead.",
    ja="ステップを 1 から数えています。最初から係数が 0 より大きく、上昇の間ずっと一つ先に進んでいます。",
    hint_en="Which number does LambdaLR pass for the very first step? What are the first three values in the text?",
    hint_ja="LambdaLR は最初のステップにどんな番号を渡すでしょうか。本文にある最初の三つの値と比べてみましょう。",
)
def counted_from_one(step: int, warmup: int, total: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (total - step) / (total - warmup))


@exercise.mistake(
    en="The way down is measured from step 0: right after the warm-up the factor jumps below 1.",
    ja="下降の傾きをステップ 0 から測っています。ウォームアップの直後に、係数が 1 より下へ飛んでしまいます。",
    hint_en="How many steps does the way down have? At step `warmup` the factor must still be 1.",
    hint_ja="下降にかかるのは何ステップでしょうか。ステップ warmup では、係数はまだ 1 のはずです。",
)
def falls_from_step_zero(step: int, warmup: int, total: int) -> float:
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / total)


@exercise.mistake(
    en="After the warm-up the factor says how much of the way down is behind, not how much is left.",
    ja="ウォームアップの後の係数が、残りの割合ではなく、済んだ割合になっています。",
    hint_en="What should the factor be at step `warmup`, and what at step `total`?",
    hint_ja="ステップ warmup での係数はいくつになるべきですか。ステップ total ではどうでしょうか。",
)
def what_is_behind(step: int, warmup: int, total: int) -> float:
    if step < warmup:
        return step / warmup
    return min(1.0, (step - warmup) / (total - warmup))


@exercise.mistake(
    en="The factor goes below 0 after the last step: the model would walk uphill.",
    ja="最後のステップの後、係数が負になります。これでは損失が増える向きに進んでしまいます。",
    hint_en="A loop may run one step longer than planned. Which value should the factor not fall below?",
    hint_ja="ループが予定より長く回ることもあります。係数が下回ってはいけない値はいくつでしょうか。",
)
def below_zero(step: int, warmup: int, total: int) -> float:
    if step < warmup:
        return step / warmup
    return (total - step) / (total - warmup)


@exercise.mistake(
    en="The factor rises and then stays at 1: there is no way down.",
    ja="上昇したあと 1 のままで、下降がありません。",
    hint_en="That is a schedule with warm-up, but a constant one. What happens between `warmup` and `total`?",
    hint_ja="それは「ウォームアップ付きの一定」スケジュールです。warmup から total までの間には何が起こるでしょうか。",
)
def never_falls(step: int, warmup: int, total: int) -> float:
    return min(1.0, step / warmup) if warmup else 1.0


@exercise.mistake(
    en="The divisions are whole-number divisions (//): the factor is 0 or 1 and nothing in between.",
    ja="整数の割り算（//）を使っています。係数が 0 か 1 になり、その間の値になりません。",
    hint_en="What is 1 // 4 in Python, and what is 1 / 4?",
    hint_ja="Python で 1 // 4 はいくつですか。1 / 4 はどうでしょうか。",
)
def whole_numbers(step: int, warmup: int, total: int) -> float:
    if step < warmup:
        return step // warmup
    return max(0, (total - step) // (total - warmup))


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def the_lower_of_two_lines(step: int, warmup: int, total: int) -> float:
    rising = step / warmup if warmup > 0 else 1.0
    falling = 1.0 - (step - warmup) / (total - warmup)
    return max(min(rising, falling), 0.0)


@exercise.accepted
def interpolated(step: int, warmup: int, total: int) -> Any:
    corners = [(-1, 0.0)] * (warmup == 0) + [(0, 0.0)] * (warmup > 0) + [(warmup, 1.0), (total, 0.0)]
    return np.interp(step, *zip(*corners, strict=True))


@exercise.accepted
def as_a_tensor(step: int, warmup: int, total: int) -> Any:
    up = torch.tensor(step, dtype=torch.float64) / max(warmup, 1)
    down = torch.tensor(total - step, dtype=torch.float64) / max(total - warmup, 1)
    return torch.where(torch.tensor(step < warmup), up, down.clamp(min=0.0))
