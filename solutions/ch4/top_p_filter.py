"""Top-p, also called nucleus sampling (Holtzman et al., 2020, section 3.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def top_p_filter(logits: Tensor, p: float) -> Tensor:
    """Keep the likeliest tokens of the last dimension, as few as reach p together, and put -inf in place of all others.

    The tokens are taken in the order of their probabilities, the likeliest first, until those taken have at least p
    together. The one with which they reach it is taken, too. At least one token is kept, whatever p is.

    Args:
        logits: (..., vocab_size), raw scores, no two of them equal but for -inf, which stays -inf.
        p: from 0 to 1. With 1 all tokens are kept, with 0 only the likeliest.

    Returns:
        as logits, each kept one in its place and unchanged.
    """
    ### BEGIN SOLUTION
    rising, places = logits.sort(dim=-1)  # from the least likely: what is dropped comes first
    dropped = rising.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    dropped[..., -1] = False  # the likeliest
    return logits.masked_fill(dropped.scatter(-1, places, dropped), -torch.inf)
    ### END SOLUTION


exercise = Exercise(
    top_p_filter,
    points=3,
    objectives=["4.4"],
    title_en="Top-p filtering (nucleus)",
    title_ja="Top-p フィルタ（nucleus）",
    equivalent={
        "rising, places = logits.sort()": "sort looks along the last dimension by itself",
        "dropped = rising.softmax(dim=-1).cumsum(dim=-1) < 1 - p": "no sum in the cases is exactly 1 - p",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def drawn(make: Make, *shape: int) -> Tensor:
    """Logits in any order whose ordered gaps are visible, and of about unit variance.

    The probabilities of a row, from the likeliest, fall by a factor of about 1.6 from one to the next.
    """
    size = shape[-1]
    steps = make.uniform(*shape, low=0.35, high=0.6).cumsum(dim=-1)
    order = make.uniform(*shape).argsort(dim=-1)
    return (steps - steps.mean(dim=-1, keepdim=True)).gather(-1, order) if size > 1 else steps


def between(logits: Tensor, share: float) -> float:
    """A p near `share` that no row reaches exactly: the middle of the widest gap between sums around it."""
    sums = logits.softmax(dim=-1).sort(dim=-1, descending=True).values.cumsum(dim=-1).flatten()
    near = torch.cat([sums[(sums - share).abs() < 0.15], torch.tensor([share - 0.15, share + 0.15]).to(sums)])
    near = near.sort().values
    widest = int(near.diff().argmax())
    return float((near[widest] + near[widest + 1]) / 2)


@exercise.visible(en="the five tokens of the text, p = 0.8", ja="本文の五つのトークン、p = 0.8")
def _(make: Make) -> dict[str, object]:
    return {"logits": torch.tensor([0.15, 0.4, 0.05, 0.3, 0.1]).double().log(), "p": 0.8}


@exercise.visible(en="a batch, p = 0.5", ja="バッチ、p = 0.5")
def _(make: Make) -> dict[str, object]:
    return {"logits": torch.tensor([[0.7, 0.2, 0.1], [0.25, 0.3, 0.45]]).double().log(), "p": 0.5}


@exercise.visible(en="p = 0: only the likeliest", ja="p = 0 で、最も確からしいものだけを残す場合")
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(2, 5), "p": 0.0}


@exercise.visible(en="p = 1: everything", ja="p = 1 で、すべてを残す場合")
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(2, 4), "p": 1.0}


@exercise.hidden(en="a larger batch", ja="もっと大きなバッチ", weight=2)
def _(make: Make) -> dict[str, object]:
    logits = drawn(make, 3, 8)
    return {"logits": logits, "p": between(logits, 0.7)}


@exercise.hidden(en="positions of their own, and a small p", ja="位置の次元があり、p が小さい場合")
def _(make: Make) -> dict[str, object]:
    logits = drawn(make, 2, 3, 6)
    return {"logits": logits, "p": between(logits, 0.2)}


@exercise.hidden(en="p = 0, in a larger batch", ja="p = 0（もっと大きなバッチ）")
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(4, 7), "p": 0}


@exercise.hidden(
    en="p = 1, on a single distribution in which some are -inf already",
    ja="p = 1 で、分布は一つ、すでに -inf のものがある場合",
)
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(8).masked_fill(torch.arange(8) % 3 == 1, -torch.inf), "p": 1}


# -- mistakes ----------------------------------------------------------------------------------------------------------


def without(logits: Tensor, dropped: Tensor) -> Tensor:
    return logits.masked_fill(dropped, -torch.inf)


@exercise.mistake(
    en="The token with which the sum reaches p is dropped: less than p is left.",
    ja="累積確率が p に達するところのトークンまで落としています。残りの確率の和が p に足りません。",
    hint_en="Add up the probabilities of what you keep. Do they reach p? Look at the sum *before* each token.",
    hint_ja="残したトークンの確率の和は p に達していますか。各トークンの*手前まで*の和に注目してください。",
)
def crossing_token_dropped(logits: Tensor, p: float) -> Tensor:
    falling, places = logits.sort(dim=-1, descending=True)
    dropped = falling.softmax(dim=-1).cumsum(dim=-1) > p
    dropped[..., 0] = False
    return without(logits, dropped.scatter(-1, places, dropped))


@exercise.mistake(
    en="With p = 0 nothing is left, and every logit is -inf: the softmax then gives nan.",
    ja="p = 0 のとき何も残らず、すべてのロジットが -inf になっています。これではソフトマックスが nan になります。",
    hint_en="The sum before the likeliest token is 0. Is 0 below p when p is 0? What does the docstring say is kept?",
    hint_ja="最も確からしいトークンの手前までの和は 0 です。p が 0 のとき、0 は p より小さいでしょうか。"
    "docstring では、何が残るはずですか。",
)
def nothing_left(logits: Tensor, p: float) -> Tensor:
    rising, places = logits.sort(dim=-1)
    dropped = rising.softmax(dim=-1).cumsum(dim=-1) <= 1 - p + 1e-9 * (p == 0)
    return without(logits, dropped.scatter(-1, places, dropped))


@exercise.mistake(
    en="Each probability by itself is compared with p. It is the sum that has to reach p.",
    ja="個々の確率を p と比べています。p に達するべきなのは、確率の和です。",
    hint_en="With p = 0.9, must a token have 90 % by itself to stay?",
    hint_ja="p = 0.9 のとき、単独で 90 % の確率をもつトークンしか残せないのでしょうか。",
)
def each_by_itself(logits: Tensor, p: float) -> Tensor:
    dropped = logits.softmax(dim=-1) < p
    return without(logits, dropped & (logits < logits.amax(dim=-1, keepdim=True)))


@exercise.mistake(
    en="What to drop is decided in sorted order and applied in the original one: it hits the wrong tokens.",
    ja="落とすものを並べ替えた順で決めたのに、元の順のまま適用しています。別のトークンが落とされています。",
    hint_en="The first entry of your mask is about the first token in sorted order. Where does that token stand in "
    "logits? sort gives the places, too.",
    hint_ja="マスクの先頭の要素は、並べ替えた後の先頭のトークンについてのものです。そのトークンは logits のどこに"
    "ありますか。sort は元の位置も返します。",
)
def not_put_back(logits: Tensor, p: float) -> Tensor:
    falling = logits.softmax(dim=-1).sort(dim=-1, descending=True).values
    return without(logits, falling.cumsum(dim=-1) - falling >= p)


@exercise.mistake(
    en="The sum is taken in the order of the vocabulary, without sorting.",
    ja="並べ替えずに、語彙の順のまま累積和をとっています。",
    hint_en="Which tokens are kept if a very likely one has the last id?",
    hint_ja="とても確からしいトークンの ID が最後の番号だったら、どのトークンが残るでしょうか。",
)
def not_sorted(logits: Tensor, p: float) -> Tensor:
    chances = logits.softmax(dim=-1)
    return without(logits, chances.cumsum(dim=-1) - chances >= max(p, 1e-9))


@exercise.mistake(
    en="It begins with the least likely token: the tail is kept and the head is dropped.",
    ja="最も確率の低いトークンから足しています。分布の裾が残り、確からしいトークンが落とされています。",
    hint_en="In which direction does sort order, if it is not told?",
    hint_ja="sort は、何も指定しなければどちら向きに並べますか。",
)
def from_the_tail(logits: Tensor, p: float) -> Tensor:
    rising, places = logits.softmax(dim=-1).sort(dim=-1)
    dropped = rising.cumsum(dim=-1) - rising >= max(p, 1e-9)
    return without(logits, dropped.scatter(-1, places, dropped))


@exercise.mistake(
    en="The others are set to 0, which is a logit like any other: after the softmax they can still be drawn.",
    ja="ほかを 0 にしています。0 も普通のロジットの一つなので、ソフトマックスの後も選ばれてしまいます。",
    hint_en="What is e to the power of 0? Which logit has the probability 0?",
    hint_ja="e の 0 乗はいくつですか。確率が 0 になるのは、どんなロジットでしょうか。",
)
def zero_elsewhere(logits: Tensor, p: float) -> Tensor:
    return logits.where(top_p_filter(logits, p).isfinite(), 0.0)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def sum_before(logits: Tensor, p: float) -> Tensor:
    """From the likeliest: a token goes when those before it have p already."""
    order = torch.argsort(logits, dim=-1, descending=True)
    chances = F.softmax(torch.gather(logits, -1, order), dim=-1)
    keep = (torch.cumsum(chances, dim=-1) - chances) < p
    keep[..., 0] = True
    back = order.argsort(dim=-1)
    return torch.where(keep.gather(-1, back), logits, float("-inf"))


@exercise.accepted
def by_a_limit(logits: Tensor, p: float) -> Tensor:
    """How many are kept, then the smallest of them as the limit."""
    chances = logits.softmax(-1)
    falling = chances.sort(descending=True).values
    count = 1 + (falling.cumsum(-1) < min(p, 1 - 1e-12)).sum(-1, keepdim=True).clamp(max=logits.size(-1) - 1)
    limit = falling.gather(-1, count - 1)
    filtered = logits.clone()
    filtered[chances < limit] = -torch.inf
    return filtered


@exercise.accepted
def row_by_row(logits: Tensor, p: float) -> Tensor:
    """One token after the other, until it is enough."""
    result = torch.full_like(logits, -torch.inf)
    for row, kept in zip(logits.reshape(-1, logits.size(-1)), result.view(-1, logits.size(-1)), strict=True):
        chances, total = row.softmax(dim=0).tolist(), 0.0
        for place in sorted(range(len(chances)), key=chances.__getitem__, reverse=True):
            kept[place] = row[place]
            total += chances[place]
            if total >= p and p < 1:
                break
    return result
