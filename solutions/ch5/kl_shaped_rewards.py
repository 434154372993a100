"""The reward of every token, with a price for leaving the reference (Ziegler et al., 2019, section 2, equation 2;
Ouyang et al., 2022, section 3.5)."""

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


@torch.no_grad()
def kl_shaped_rewards(score: Tensor, logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    """Spread what is known of whole answers over their tokens.

    Every token of an answer pays -beta · (logp - ref_logp); the last token of each answer gets the score of the answer
    on top of that.

    Args:
        score: (batch,), what the reward model gives to each answer.
        logp, ref_logp: (batch, time), the log-probability of each token under the policy and under the reference.
            Where mask is False they may be anything, inf and nan included.
        beta: the price, 0 or more.
        mask: (batch, time), bool; True where a token of the answer stands. The tokens of an answer stand next to each
            other, but padding or prompt may stand on both sides of them. A row may also hold no answer at all.

    Returns:
        rewards: (batch, time), 0 where mask is False. No gradient flows through them (the decorator sees to it).
    """
    ### BEGIN SOLUTION
    rewards = torch.where(mask, -beta * (logp - ref_logp), 0.0)
    place = torch.arange(mask.size(1), device=mask.device)
    last = torch.where(mask, place, -1).amax(dim=1)  # -1 in a row without an answer, which is no place
    rewards = rewards + (place == last[:, None]) * score[:, None]
    ### END SOLUTION
    return rewards


exercise = Exercise(
    kl_shaped_rewards,
    points=3,
    objectives=["5.5"],
    title_en="Rewards with a price for leaving the reference",
    title_ja="参照モデルから離れる代価を含む報酬",
    equivalent={
        "last = torch.where(mask, place, - 2).amax(dim=1)": "-2 is no place either",
        "place = torch.arange(mask.size(1))": "on the CPU, where mutants run, everything is there anyway",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def answers(make: Make, spans: list[tuple[int, int]], time: int, beta: float) -> dict[str, object]:
    """One row for each span of places (first, after the last) that an answer takes."""
    logp, ref_logp = -make.uniform(len(spans), time, high=3.0), -make.uniform(len(spans), time, high=3.0)
    place = torch.arange(time)
    mask = torch.stack([(place >= first) & (place < end) for first, end in spans])
    return {"score": make.normal(len(spans)) + 1, "logp": logp, "ref_logp": ref_logp, "beta": beta, "mask": mask}


@exercise.visible(en="the two answers worked by hand in the text", ja="本文で手計算した二つの答え")
def _(make: Make) -> dict[str, object]:
    return {
        "score": torch.tensor([2.0, -1.0]).double(),
        "logp": torch.tensor([[-1.0, -0.5, -2.0], [-1.0, -3.0, -9.0]]).double(),
        "ref_logp": torch.tensor([[-2.0, -0.5, -1.0], [-2.0, -1.0, -7.0]]).double(),
        "beta": 0.1,
        "mask": torch.tensor([[True, True, True], [True, True, False]]),
    }


@exercise.visible(en="three answers of different lengths", ja="長さの違う三つの答え")
def _(make: Make) -> dict[str, object]:
    return answers(make, [(0, 3), (0, 5), (0, 1)], time=6, beta=0.3)


@exercise.visible(
    en="prompts before the answers, and -inf where no answer stands",
    ja="答えの前にプロンプトがあり、答えの外が -inf の場合",
)
def _(make: Make) -> dict[str, object]:
    given = answers(make, [(2, 4), (1, 5)], time=5, beta=0.2)
    given["logp"][~given["mask"]] = given["ref_logp"][~given["mask"]] = -torch.inf
    return given


@exercise.hidden(en="a larger batch", ja="もっと大きなバッチ", weight=2)
def _(make: Make) -> dict[str, object]:
    return answers(make, [(0, 4), (0, 2), (0, 7), (0, 5)], time=8, beta=0.4)


@exercise.hidden(en="answers that begin and end anywhere", ja="始まりも終わりもまちまちな答え")
def _(make: Make) -> dict[str, object]:
    return answers(make, [(3, 7), (1, 2), (2, 6)], time=7, beta=0.6)


@exercise.hidden(en="nan and inf where no answer stands", ja="答え以外の位置に nan や inf がある場合", weight=0.5)
def _(make: Make) -> dict[str, object]:
    given = answers(make, [(1, 4), (0, 5)], time=6, beta=0.2)
    given["logp"][~given["mask"]], given["ref_logp"][~given["mask"]] = torch.nan, torch.inf
    return given


@exercise.hidden(en="a row without an answer", ja="答えのない行", weight=0.5)
def _(make: Make) -> dict[str, object]:
    return answers(make, [(0, 3), (0, 0), (2, 4)], time=4, beta=0.5)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def price(logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    """What every token pays."""
    return (-beta * (logp - ref_logp)).masked_fill(~mask, 0.0)


def is_last(mask: Tensor) -> Tensor:
    """Where the last token of each answer stands."""
    after = mask.long().flip(1).cumsum(dim=1).flip(1)  # how many tokens are left, this one included
    return mask & (after == 1)


@exercise.mistake(
    en="The score stands in the last column, not at the last token of each answer.",
    ja="score が、各答えの最後のトークンではなく、最後の列に加えられています。",
    hint_en="Where does a short answer end, in a batch with longer ones?",
    hint_ja="もっと長い答えと同じバッチに入った短い答えは、どこで終わりますか。",
)
def in_the_last_column(score: Tensor, logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    rewards = price(logp, ref_logp, beta, mask)
    rewards[:, -1] += score
    return rewards


@exercise.mistake(
    en="Every token gets the score: a long answer gets it many times.",
    ja="どのトークンにも score が加えられています。長い答えほど何度も score を受け取ってしまいます。",
    hint_en="Add up the rewards of an answer. How often should its score be in the sum?",
    hint_ja="一つの答えの報酬を合計してみましょう。score は何回分入っているべきですか。",
)
def score_everywhere(score: Tensor, logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    return price(logp, ref_logp, beta, mask) + mask * score[:, None]


@exercise.mistake(
    en="The sign of the price is wrong: leaving the reference is rewarded.",
    ja="代価の符号が逆です。参照モデルから離れるほど報酬が増えてしまいます。",
    hint_en="The policy gives a token more probability than the reference does. Should that cost something or bring "
    "something?",
    hint_ja="あるトークンに、方策が参照モデルより高い確率を与えたとします。報酬は減るべきですか、増えるべきですか。",
)
def rewarded_for_leaving(score: Tensor, logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    return is_last(mask) * score[:, None] - price(logp, ref_logp, beta, mask)


@exercise.mistake(
    en="The last token does not pay: the score has replaced its price, where it should be added to it.",
    ja="最後のトークンが代価を払っていません。score を加えるべきところで、代価を score で置き換えています。",
    hint_en="The docstring says 'on top of that'. Do you add, or assign?",
    hint_ja="docstring には、代価に加えて score を受け取るとあります。足していますか、代入していますか。",
)
def score_instead(score: Tensor, logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    return torch.where(is_last(mask), score[:, None], price(logp, ref_logp, beta, mask))


@exercise.mistake(
    en="Tokens that belong to no answer pay as well.",
    ja="答えに属さないトークンまで代価を払っています。",
    hint_en="What should stand where mask is False?",
    hint_ja="mask が False の位置には、何が入るべきですか。",
)
def everyone_pays(score: Tensor, logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    return -beta * (logp - ref_logp) + is_last(mask) * score[:, None]


@exercise.mistake(
    en="The mask is multiplied: nan times 0 is nan, and what stands outside of the answers gets into the rewards.",
    ja="マスクを掛け算で使っています。nan に 0 を掛けても nan なので、答えの外側の値が報酬に入り込んでいます。",
    hint_en="Which function chooses between two numbers without calculating with the one that is not chosen?",
    hint_ja="二つの数のどちらかを選び、選ばれなかったほうを計算に使わない関数はどれでしょうか。",
)
def mask_multiplied(score: Tensor, logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    return -beta * (logp - ref_logp) * mask + is_last(mask) * score[:, None]


@exercise.mistake(
    en="The place of the last token is taken for the number of tokens minus one: that is right only for answers that "
    "begin in the first column.",
    ja="最後のトークンの位置を「トークンの数 - 1」としています。"
    "それが正しいのは、答えが最初の列から始まるときだけです。",
    hint_en="An answer of two tokens after a prompt of three: in which column does it end?",
    hint_ja="3 トークンのプロンプトの後に 2 トークンの答えがあるとき、答えが終わるのはどの列ですか。",
)
def last_by_count(score: Tensor, logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    rewards = price(logp, ref_logp, beta, mask)
    last = (mask.sum(dim=1) - 1).clamp(min=0)
    return rewards.scatter_add(1, last[:, None], (score * mask.any(dim=1))[:, None])


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def row_by_row(score: Tensor, logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    rewards = torch.zeros_like(logp)
    for row in range(len(mask)):
        places = mask[row].nonzero().flatten()
        if len(places):
            rewards[row, places] = beta * (ref_logp[row, places] - logp[row, places])
            rewards[row, places[-1]] += score[row]
    return rewards


@exercise.accepted
def counting_from_the_right(score: Tensor, logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    """The last token is the first one from the right."""
    rewards = (beta * (ref_logp - logp)).masked_fill(mask.logical_not(), 0)
    flipped = mask.flip(dims=[1])
    first = (flipped.cumsum(dim=1) == 1) & flipped
    return rewards + score.unsqueeze(1) * first.flip(dims=[1]).to(score)


@exercise.accepted
def by_index(score: Tensor, logp: Tensor, ref_logp: Tensor, beta: float, mask: Tensor) -> Tensor:
    """argmax finds the first True of the mirrored mask; rows without an answer are left out."""
    rewards = logp.new_zeros(logp.shape)
    rewards[mask] = -beta * (logp[mask] - ref_logp[mask])
    rows = mask.any(dim=1).nonzero().squeeze(1)
    last = mask.size(1) - 1 - mask.flip(1).int().argmax(dim=1)
    rewards[rows, last[rows]] += score[rows]
    return rewards
