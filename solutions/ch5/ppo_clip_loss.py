"""The clipped objective of PPO (Schulman et al., 2017, section 3, equation 7)."""

from typing import Any

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def ppo_clip_loss(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    """The negative clipped objective, averaged over the tokens that count.

        ratio              = probability of the token under the policy / under the policy that wrote it
        objective of token = min(ratio · advantage, ratio limited to [1 - clip, 1 + clip] · advantage)
        loss               = - mean of the objective over the places where mask is True

    Args:
        logp: (batch, time), the log-probabilities of the written tokens under the policy that is trained.
        old_logp: (batch, time), the same under the policy that wrote them.
        advantage: (batch, time), how much better than expected each token was. It and old_logp are constants (the
            first line sees to it): gradients flow through logp alone.
        clip: how far the ratio may move for the sake of the objective, above 0, such as 0.2.
        mask: (batch, time), bool; True where a token counts. Elsewhere the other tensors may hold anything, inf and
            nan included; it must reach neither the loss nor the gradient. All such tokens of the batch count alike,
            whichever row they stand in.

    Returns:
        a scalar; 0 where no token counts.
    """
    old_logp, advantage = old_logp.detach(), advantage.detach()
    ### BEGIN SOLUTION
    ratio = (logp[mask] - old_logp[mask]).exp()
    limited = ratio.clamp(1 - clip, 1 + clip)
    objective = torch.minimum(ratio * advantage[mask], limited * advantage[mask])
    loss = -objective.sum() / mask.sum().clamp(min=1)
    ### END SOLUTION
    return loss


exercise = Exercise(
    ppo_clip_loss,
    points=4,
    objectives=["5.5"],
    title_en="The clipped loss of PPO",
    title_ja="PPO のクリップ付き損失",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def tokens(make: Make, batch: int, time: int, clip: float) -> dict[str, Any]:
    """Ratios on both sides of both limits, advantages of both signs, and rows with different numbers of tokens."""
    old_logp = -make.uniform(batch, time, low=0.5, high=3.0)
    logp = old_logp + make.normal(batch, time, scale=2 * clip)
    mask = make.keep_mask(batch, time)
    mask[0, :-1], mask[-1, 1:] = True, False
    return {"logp": logp, "old_logp": old_logp, "advantage": make.normal(batch, time), "clip": clip, "mask": mask}


@exercise.visible(en="the four tokens worked by hand in the text", ja="本文で手計算した四つのトークン")
def _(make: Make) -> dict[str, Any]:
    ratio = torch.tensor([[1.5, 0.5, 1.5, 1.1]], dtype=torch.float64)
    return {
        "logp": ratio.log() - 1.0,
        "old_logp": torch.full((1, 4), -1.0, dtype=torch.float64),
        "advantage": torch.tensor([[1.0, -1.0, -1.0, 2.0]], dtype=torch.float64),
        "clip": 0.2,
        "mask": torch.ones(1, 4, dtype=torch.bool),
    }


@exercise.visible(en="rows with different numbers of tokens", ja="行によってトークンの数が違う場合")
def _(make: Make) -> dict[str, Any]:
    return tokens(make, 2, 5, clip=0.2)


@exercise.visible(en="-inf where no token counts", ja="数えない位置に -inf がある場合")
def _(make: Make) -> dict[str, Any]:
    given = tokens(make, 2, 4, clip=0.3)
    given["logp"][~given["mask"]] = given["old_logp"][~given["mask"]] = -torch.inf
    return given


@exercise.visible(en="no token counts", ja="数えるトークンがない場合")
def _(make: Make) -> dict[str, Any]:
    return tokens(make, 2, 3, clip=0.2) | {"mask": torch.zeros(2, 3, dtype=torch.bool)}


@exercise.hidden(en="a larger batch", ja="もっと大きなバッチ", weight=2)
def _(make: Make) -> dict[str, Any]:
    return tokens(make, 4, 9, clip=0.3)


@exercise.hidden(en="nan and inf where no token counts", ja="数えない位置に nan や inf がある場合", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    given = tokens(make, 3, 5, clip=0.2)
    unused = ~given["mask"]
    given["logp"][unused], given["old_logp"][unused], given["advantage"][unused] = torch.nan, -torch.inf, torch.nan
    return given


@exercise.hidden(en="no token counts, in a longer batch", ja="数えるトークンがない、もっと長いバッチ", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    return tokens(make, 3, 4, clip=0.2) | {"mask": torch.zeros(3, 4, dtype=torch.bool)}


@exercise.hidden(en="the gradient", ja="勾配", gradients=True, weight=1.5)
def _(make: Make) -> dict[str, Any]:
    return tokens(make, 3, 7, clip=0.25)


@exercise.hidden(
    en="the gradient of a single token, with -inf elsewhere",
    ja="一つのトークンだけを数え、ほかが -inf のときの勾配",
    gradients=True,
    weight=0.5,
)
def _(make: Make) -> dict[str, Any]:
    given = tokens(make, 2, 6, clip=0.2)
    given["mask"] = torch.arange(12).view(2, 6) == 8  # a single token counts
    given["logp"][~given["mask"]] = given["old_logp"][~given["mask"]] = -torch.inf
    return given


# -- mistakes ----------------------------------------------------------------------------------------------------------


def mean(objective: Tensor) -> Tensor:
    """The loss of the objectives that count, handed over as a row."""
    return -objective.sum() / max(objective.numel(), 1)


def ratios(logp: Tensor, old_logp: Tensor, mask: Tensor) -> Tensor:
    return (logp[mask] - old_logp.detach()[mask]).exp()


@exercise.mistake(
    en="The sign is missing: a step of the optimizer would make the objective smaller.",
    ja="符号が抜けています。このまま最小化すると、目的関数が小さくなってしまいます。",
    hint_en="The objective is to grow, and an optimizer makes its loss smaller. How do the two go together?",
    hint_ja="目的関数は大きくしたいもの、オプティマイザは損失を小さくするものです。どうすれば両立しますか。",
)
def not_negative(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    ratio, gain = ratios(logp, old_logp, mask), advantage.detach()[mask]
    return -mean(torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain))


@exercise.mistake(
    en="The larger of the two products is taken.",
    ja="二つの積のうち、大きいほうをとっています。",
    hint_en="The limit is to be a cautious estimate. Which of the two is the cautious one?",
    hint_ja="制限は、控えめに見積もるためのものです。控えめなのは、二つのうちどちらですか。",
)
def larger_one(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    ratio, gain = ratios(logp, old_logp, mask), advantage.detach()[mask]
    return mean(torch.maximum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain))


@exercise.mistake(
    en="The limited ratio is always used, without the smaller of two: a token that has become too likely although it "
    "was bad is not corrected any more.",
    ja="つねに制限した比を使い、二つの小さいほうを選んでいません。悪いのに確率が上がりすぎたトークンが、もう直されません。",
    hint_en="Advantage -1, ratio 1.5: does your loss still have a gradient there? Should it?",
    hint_ja="アドバンテージが -1、比が 1.5 のとき、あなたの損失に勾配はありますか。あるべきですか。",
)
def always_limited(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    return mean(ratios(logp, old_logp, mask).clamp(1 - clip, 1 + clip) * advantage.detach()[mask])


@exercise.mistake(
    en="The ratio is not limited at all.",
    ja="比がまったく制限されていません。",
    hint_en="Which argument do you not use?",
    hint_ja="まだ使っていない引数はどれですか。",
)
def never_limited(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    return mean(ratios(logp, old_logp, mask) * advantage.detach()[mask])


@exercise.mistake(
    en="The difference of the log-probabilities is used as if it were the ratio.",
    ja="対数確率の差を、そのまま比として使っています。",
    hint_en="When both policies agree, what is the ratio of the probabilities, and what is your number?",
    hint_ja="二つの方策が一致しているとき、確率の比はいくつですか。あなたの数はいくつになりますか。",
)
def difference_for_ratio(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    ratio, gain = logp[mask] - old_logp.detach()[mask], advantage.detach()[mask]
    return mean(torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain))


@exercise.mistake(
    en="The ratio is upside down: the old probability stands above the new one.",
    ja="比の分子と分母が逆です。古い確率を新しい確率で割っています。",
    hint_en="If the policy makes a token likelier, should the ratio rise or fall?",
    hint_ja="方策がトークンの確率を上げたとき、比は上がるべきですか、下がるべきですか。",
)
def upside_down(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    ratio, gain = 1 / ratios(logp, old_logp, mask), advantage.detach()[mask]
    return mean(torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain))


@exercise.mistake(
    en="The sum is divided by the number of all places, not of those that count.",
    ja="数える位置の数ではなく、すべての位置の数で割っています。",
    hint_en="Should the loss become smaller merely because the batch has more padding?",
    hint_ja="バッチのパディングが増えただけで、損失が小さくなってよいでしょうか。",
)
def divided_by_all_places(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    ratio, gain = ratios(logp, old_logp, mask), advantage.detach()[mask]
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain).sum() / mask.numel()


@exercise.mistake(
    en="The mask is multiplied: nan times 0 is nan, and what stands at places that do not count gets into the loss.",
    ja="マスクを掛け算で使っています。nan に 0 を掛けても nan なので、数えない位置の値が損失に入り込んでいます。",
    hint_en="How can those places be left out before anything is calculated with them?",
    hint_ja="数えない位置を、計算に使う前に取り除くにはどうすればよいでしょうか。",
)
def mask_multiplied(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    ratio, gain = (logp - old_logp.detach()).exp(), advantage.detach()
    objective = torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain)
    return -(objective * mask).sum() / mask.sum().clamp(min=1)


@exercise.mistake(
    en="The mean over nothing is nan.",
    ja="数えるトークンがないときの平均が nan になっています。",
    hint_en="By what do you divide when no token counts?",
    hint_ja="数えるトークンが一つもないとき、何で割っていますか。",
)
def nan_over_nothing(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    ratio, gain = ratios(logp, old_logp, mask), advantage.detach()[mask]
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain).mean()


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def larger_loss(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    """As many libraries write it: the larger of two losses, with harmless numbers where nothing counts."""
    logp, old_logp = logp.masked_fill(~mask, 0.0), old_logp.detach().masked_fill(~mask, 0.0)
    gain = advantage.detach().masked_fill(~mask, 0.0)
    ratio = torch.exp(logp - old_logp)
    losses = torch.max(-gain * ratio, -gain * torch.clamp(ratio, 1.0 - clip, 1.0 + clip))
    return losses.sum() / mask.sum().clamp_min(1)


@exercise.accepted
def by_sign(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    """With a good token the ratio is limited from above only, with a bad one from below only."""
    ratio = torch.exp(logp[mask] - old_logp[mask].detach())
    gain = advantage[mask].detach()
    limited = torch.where(gain > 0, ratio.clamp(max=1 + clip), ratio.clamp(min=1 - clip))
    if not len(gain):
        return logp.new_zeros(())
    return -(limited * gain).mean()


@exercise.accepted
def token_by_token(logp: Tensor, old_logp: Tensor, advantage: Tensor, clip: float, mask: Tensor) -> Tensor:
    total, count = logp.new_zeros(()), 0
    for row, column in mask.nonzero().tolist():
        ratio = (logp[row, column] - float(old_logp[row, column])).exp()
        gain = float(advantage[row, column])
        total = total - torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain)
        count += 1
    return total / count if count else total
