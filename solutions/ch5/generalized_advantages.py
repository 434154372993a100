"""Generalised advantage estimation (Schulman et al., 2016, section 3, equations 11 to 16)."""

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


@torch.no_grad()
def generalized_advantages(rewards: Tensor, values: Tensor, gamma: float, lam: float) -> Tensor:
    """How much better than expected each step has turned out, for sequences that all end after the last step.

        surprise of a step  = reward + gamma · value of the next step - value of the step
        advantage of a step = its surprise + gamma · lam · advantage of the next step

    After the last step nothing comes: there the next value and the next advantage are 0.

    Args:
        rewards: (batch, time), what each step brought; time is at least 1.
        values: (batch, time), what the value function expected before each step, all that is still to come included.
        gamma: how much a reward is worth one step later, 0 to 1.
        lam: how far the advantage looks ahead, 0 (one step) to 1 (to the end).

    Returns:
        advantages: (batch, time). They are numbers to learn from: no gradient flows through them (the decorator sees
            to it).
    """
    advantages = torch.zeros_like(rewards)
    ### BEGIN SOLUTION
    next_value = next_advantage = torch.zeros_like(rewards[:, 0])
    for step in reversed(range(rewards.size(1))):
        surprise = rewards[:, step] + gamma * next_value - values[:, step]
        advantages[:, step] = next_advantage = surprise + gamma * lam * next_advantage
        next_value = values[:, step]
    ### END SOLUTION
    return advantages


exercise = Exercise(
    generalized_advantages,
    points=4,
    objectives=["5.5"],
    title_en="Generalised advantages",
    title_ja="一般化アドバンテージ推定",
    equivalent={"next_value = next_advantage = torch.zeros_like(rewards[:, -1])": "a column of zeros all the same"},
)


# -- cases -------------------------------------------------------------------------------------------------------------


def episodes(make: Make, batch: int, time: int, gamma: float, lam: float) -> dict[str, object]:
    rewards, values = make.normal(batch, time), make.normal(batch, time) + 0.5
    return {"rewards": rewards, "values": values, "gamma": gamma, "lam": lam}


@exercise.visible(en="the three steps worked by hand in the text", ja="本文で手計算した三つのステップ")
def _(make: Make) -> dict[str, object]:
    rewards, values = torch.tensor([[1.0, 0.0, 4.0]]), torch.tensor([[2.0, 3.0, 2.0]])
    return {"rewards": rewards.double(), "values": values.double(), "gamma": 0.5, "lam": 0.5}


@exercise.visible(en="two sequences of four steps", ja="4 ステップの系列を二つ")
def _(make: Make) -> dict[str, object]:
    return episodes(make, 2, 4, gamma=0.9, lam=0.7)


@exercise.visible(en="a single step", ja="1 ステップだけの場合")
def _(make: Make) -> dict[str, object]:
    return episodes(make, 3, 1, gamma=0.9, lam=0.8)


@exercise.hidden(en="longer sequences", ja="もっと長い系列", weight=2)
def _(make: Make) -> dict[str, object]:
    return episodes(make, 3, 7, gamma=0.8, lam=0.6)


@exercise.hidden(en="looking one step ahead (lam 0)", ja="1 ステップ先だけを見る場合（lam が 0）")
def _(make: Make) -> dict[str, object]:
    return episodes(make, 4, 6, gamma=0.7, lam=0.0)


@exercise.hidden(en="a single step, in another batch", ja="1 ステップだけの場合（別のバッチ）", weight=0.5)
def _(make: Make) -> dict[str, object]:
    return episodes(make, 4, 1, gamma=0.6, lam=0.9)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def backwards(surprise: Tensor, factor: float) -> Tensor:
    """Each entry plus `factor` times what came out for the next one."""
    out = surprise.clone()
    for step in reversed(range(out.size(1) - 1)):
        out[:, step] += factor * out[:, step + 1]
    return out


def following(values: Tensor) -> Tensor:
    """The value of the next step; 0 after the last one."""
    return torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)


@exercise.mistake(
    en="The last step is followed by its own value again, not by 0.",
    ja="最後のステップの次の価値が 0 ではなく、最後の価値がもう一度使われています。",
    hint_en="What is still to come when the sequence is over?",
    hint_ja="系列が終わった後に、まだ得られるものは何かありますか。",
)
def own_value_after_the_end(rewards: Tensor, values: Tensor, gamma: float, lam: float) -> Tensor:
    after = torch.cat([values[:, 1:], values[:, -1:]], dim=1)
    return backwards(rewards + gamma * after - values, gamma * lam)


@exercise.mistake(
    en="The advantage of the next step is multiplied by lam alone, without gamma.",
    ja="次のステップのアドバンテージに lam だけを掛け、gamma を掛けていません。",
    hint_en="What lies one step later is worth less and is trusted less. Which factor is which?",
    hint_ja="一つ先のことは、価値が割り引かれ、信頼も割り引かれます。どちらの係数がどちらにあたりますか。",
)
def without_gamma(rewards: Tensor, values: Tensor, gamma: float, lam: float) -> Tensor:
    return backwards(rewards + gamma * following(values) - values, lam)


@exercise.mistake(
    en="The value of the next step is not discounted by gamma.",
    ja="次のステップの価値を gamma で割り引いていません。",
    hint_en="Compare your surprise with the first formula: by what is the next value multiplied?",
    hint_ja="あなたの surprise を一つ目の式と見比べてください。次のステップの価値には何が掛かっていますか。",
)
def next_value_in_full(rewards: Tensor, values: Tensor, gamma: float, lam: float) -> Tensor:
    return backwards(rewards + following(values) - values, gamma * lam)


@exercise.mistake(
    en="The value of the step itself is not subtracted: these are rewards still to come, not advantages.",
    ja="そのステップ自身の価値を引いていません。これはアドバンテージではなく、これから得られる報酬です。",
    hint_en="An advantage says how much better it went than expected. Where is what was expected?",
    hint_ja="アドバンテージは、期待よりどれだけよかったかを表します。期待していた分はどこにありますか。",
)
def nothing_expected(rewards: Tensor, values: Tensor, gamma: float, lam: float) -> Tensor:
    return backwards(rewards + gamma * following(values), gamma * lam)


@exercise.mistake(
    en="The sum runs from the first step on: each advantage gathers the past, not the future.",
    ja="最初のステップから足しています。未来ではなく過去の分が、アドバンテージに集まっています。",
    hint_en="What can a step be credited with: what came before it, or what came after? At which end does the loop "
    "have to begin?",
    hint_ja="あるステップの手柄になりうるのは、その前のことですか、後のことですか。ループはどちらの端から始めますか。",
)
def forwards(rewards: Tensor, values: Tensor, gamma: float, lam: float) -> Tensor:
    surprise = rewards + gamma * following(values) - values
    return backwards(surprise.flip(1), gamma * lam).flip(1)


@exercise.mistake(
    en="Only the surprise of each step is given; those of later steps are missing.",
    ja="各ステップの surprise だけで、後のステップの分が加わっていません。",
    hint_en="A token early in the answer is often what makes the end good. "
    "What carries the later surprises back to it?",
    hint_ja="答えの終わりがよいのは、はじめのほうのトークンのおかげかもしれません。"
    "後の surprise を前のステップへ伝えるのは、式のどの項でしょうか。",
)
def surprise_only(rewards: Tensor, values: Tensor, gamma: float, lam: float) -> Tensor:
    return rewards + gamma * following(values) - values


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def double_sum(rewards: Tensor, values: Tensor, gamma: float, lam: float) -> Tensor:
    """The definition: every later surprise, with a power of gamma · lam."""
    time = rewards.size(1)
    after = torch.zeros_like(values)
    after[:, :-1] = values[:, 1:]
    surprise = rewards + gamma * after - values
    rows = []
    for step in range(time):
        rows.append(sum((gamma * lam) ** (later - step) * surprise[:, later] for later in range(step, time)))
    return torch.stack(rows, dim=1)


@exercise.accepted
def with_a_matrix(rewards: Tensor, values: Tensor, gamma: float, lam: float) -> Tensor:
    """The powers as an upper triangular matrix."""
    padded = torch.nn.functional.pad(values, (0, 1))
    surprise = rewards + gamma * padded[:, 1:] - padded[:, :-1]
    place = torch.arange(rewards.shape[1], device=rewards.device)
    ahead = place - place[:, None]
    powers = torch.where(ahead >= 0, (gamma * lam) ** ahead.clamp(min=0).to(rewards), 0.0)
    return torch.einsum("bl,sl->bs", surprise, powers.to(surprise))


@exercise.accepted
def number_by_number(rewards: Tensor, values: Tensor, gamma: float, lam: float) -> Tensor:
    """Plain Python numbers."""
    table = []
    for row, expected in zip(rewards.tolist(), values.tolist(), strict=True):
        expected, advantage, found = [*expected, 0.0], 0.0, []
        for step in range(len(row) - 1, -1, -1):
            advantage = row[step] + gamma * expected[step + 1] - expected[step] + gamma * lam * advantage
            found.insert(0, advantage)
        table.append(found)
    return torch.tensor(table, dtype=rewards.dtype, device=rewards.device)
