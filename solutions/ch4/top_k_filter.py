"""Top-k: only the k likeliest tokens may be drawn (Fan, Lewis and Dauphin, 2018, section 5.5)."""

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def top_k_filter(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest logits of the last dimension, and put -inf in the place of all others.

    Args:
        logits: (..., vocab_size), raw scores. Some may be -inf already; they stay so. Those that matter here differ:
            which of several equal ones is kept at the limit is left open.
        k: how many are kept, at least 1. Where k is vocab_size or more, all are kept.

    Returns:
        as logits, each kept one in its place and unchanged. A softmax over it gives the others exactly 0.
    """
    ### BEGIN SOLUTION
    k = min(k, logits.size(-1))
    smallest_kept = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < smallest_kept, -torch.inf)
    ### END SOLUTION


exercise = Exercise(
    top_k_filter,
    points=2,
    objectives=["4.4"],
    title_en="Top-k filtering",
    title_ja="Top-k フィルタ",
    equivalent={"smallest_kept = logits.topk(k).values[..., -1:]": "topk looks along the last dimension by itself"},
)


# -- cases -------------------------------------------------------------------------------------------------------------


@exercise.visible(en="the five tokens of the text, k = 3", ja="本文の五つのトークン、k = 3")
def _(make: Make) -> dict[str, object]:
    return {"logits": torch.tensor([0.15, 0.4, 0.05, 0.3, 0.1]).double().log(), "k": 3}


@exercise.visible(en="a batch", ja="バッチ")
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(3, 6), "k": 2}


@exercise.visible(en="k above the vocabulary", ja="k が語彙の大きさを超える場合")
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(2, 4), "k": 50}


@exercise.hidden(en="a larger batch", ja="もっと大きなバッチ", weight=2)
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(4, 9), "k": 5}


@exercise.hidden(en="only the likeliest, with positions of their own", ja="最大の一つだけ、位置の次元がある場合")
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(2, 3, 7), "k": 1}


@exercise.hidden(en="k above another vocabulary", ja="k が語彙の大きさを超える場合（別の語彙）")
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(3, 5), "k": 8}


@exercise.hidden(
    en="a single distribution, in which some are -inf already",
    ja="分布は一つで、すでに -inf のものがある場合",
    weight=0.5,
)
def _(make: Make) -> dict[str, object]:
    return {"logits": make.normal(7).masked_fill(torch.arange(7) % 3 == 1, -torch.inf), "k": 3}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The others are set to 0, which is a logit like any other: after the softmax they can still be drawn.",
    ja="ほかを 0 にしています。0 も普通のロジットの一つなので、ソフトマックスの後も選ばれてしまいます。",
    hint_en="What is e to the power of 0? Which logit has the probability 0?",
    hint_ja="e の 0 乗はいくつですか。確率が 0 になるのは、どんなロジットでしょうか。",
)
def zero_elsewhere(logits: Tensor, k: int) -> Tensor:
    return logits.where(top_k_filter(logits, k).isfinite(), 0.0)


@exercise.mistake(
    en="The k-th largest logit is dropped, so that one token too few is kept.",
    ja="k 番目に大きいロジットまで落としていて、残るトークンが一つ足りません。",
    hint_en="Is the smallest of those that topk found among the kept ones, or the first to go?",
    hint_ja="topk が見つけたもののうち最小のものは、残す側ですか、落とす側ですか。",
)
def one_too_few(logits: Tensor, k: int) -> Tensor:
    limit = logits.topk(min(k, logits.size(-1)), dim=-1).values[..., -1:]
    return logits.masked_fill(logits <= limit, -torch.inf)


@exercise.mistake(
    en="The k smallest logits are kept.",
    ja="最も小さい k 個を残しています。",
    hint_en="In which direction does sort order, if it is not told?",
    hint_ja="sort は、何も指定しなければどちら向きに並べますか。",
)
def the_smallest(logits: Tensor, k: int) -> Tensor:
    return logits.masked_fill(logits > logits.sort(dim=-1).values[..., :k][..., -1:], -torch.inf)


@exercise.mistake(
    en="One limit is taken for the whole batch: some rows keep more than k tokens, others fewer.",
    ja="バッチ全体で一つの境目を使っています。k 個より多く残る行と、少なく残る行ができています。",
    hint_en="Each row is a distribution of its own. Along which dimension are the k largest sought?",
    hint_ja="行の一つ一つが別々の分布です。大きいほうから k 個を、どの次元に沿って探しますか。",
)
def one_limit_for_all(logits: Tensor, k: int) -> Tensor:
    rows = logits.numel() // logits.size(-1)
    limit = logits.flatten().topk(min(k, logits.size(-1)) * rows).values[-1]
    return logits.masked_fill(logits < limit, -torch.inf)


@exercise.mistake(
    en="It fails where k is larger than the vocabulary.",
    ja="k が語彙より大きいと、エラーになります。",
    hint_en="Where fewer than k tokens exist, which of them are kept? topk must not be asked for more.",
    hint_ja="トークンが k 個もないとき、残るのはどれですか。topk には、ある数より多くは求められません。",
)
def k_not_limited(logits: Tensor, k: int) -> Tensor:
    return logits.masked_fill(logits < logits.topk(k, dim=-1).values[..., -1:], -torch.inf)


@exercise.mistake(
    en="Only the k logits are returned: which tokens they belong to is lost.",
    ja="k 個のロジットだけを返しています。どのトークンのものかがわからなくなっています。",
    hint_en="What does index 2 of your result stand for? The docstring promises the shape of logits.",
    hint_ja="あなたの結果の添字 2 は、どのトークンを指しますか。docstring では、結果の形状は logits と同じはずです。",
)
def only_the_values(logits: Tensor, k: int) -> Tensor:
    return logits.topk(min(k, logits.size(-1)), dim=-1).values


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def scattered(logits: Tensor, k: int) -> Tensor:
    """The kept ones are laid into a tensor full of -inf."""
    kept, places = torch.topk(logits, min(k, logits.shape[-1]))
    return torch.full_like(logits, float("-inf")).scatter_(-1, places, kept)


@exercise.accepted
def in_place_by_rank(logits: Tensor, k: int) -> Tensor:
    """The rank of each logit among its like, and a change of the input itself."""
    rank = logits.argsort(dim=-1, descending=True).argsort(dim=-1)
    logits[rank >= k] = -torch.inf
    return logits


@exercise.accepted
def row_by_row(logits: Tensor, k: int) -> Tensor:
    """Lists of numbers, and Python's own sorting."""
    rows = []
    for row in logits.reshape(-1, logits.size(-1)).tolist():
        kept = sorted(range(len(row)), key=lambda place: row[place], reverse=True)[:k]
        rows.append([value if place in kept else float("-inf") for place, value in enumerate(row)])
    return torch.tensor(rows, dtype=logits.dtype, device=logits.device).view_as(logits)
