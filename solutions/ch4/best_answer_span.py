"""The best answer span from start and end logits (Devlin et al., 2019, section 4.2, SQuAD v1.1)."""

from typing import Any

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def best_answer_span(
    start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int
) -> tuple[int, int] | None:
    """The span of tokens whose start logit plus end logit is largest.

    A span (start, end) is allowed when

        context_mask is True at start and at end,
        start <= end (both belong to the span, so a span of one token has start == end),
        it holds at most max_len tokens: end - start + 1 <= max_len.

    Args:
        start_logits: (time,), how much speaks for each token as the first of the answer.
        end_logits: (time,), how much speaks for each token as the last of the answer.
        context_mask: (time,), bool, True at the tokens of the passage: one run of places without a gap, or none at all.
            The special tokens, the question and the padding are False.
        max_len: the largest number of tokens of an answer, at least 1; it may be larger than time.

    Returns:
        (start, end), two ints, positions in the whole sequence, both inclusive. None when no span is allowed.
    """
    ### BEGIN SOLUTION
    time = len(start_logits)
    near = torch.ones(time, time, dtype=torch.bool, device=start_logits.device).triu().tril(max_len - 1)
    allowed = near & context_mask[:, None] & context_mask
    if not allowed.any():
        return None
    scores = (start_logits[:, None] + end_logits).masked_fill(~allowed, -torch.inf)
    start, end = divmod(int(scores.argmax()), time)
    return start, end
    ### END SOLUTION


exercise = Exercise(
    best_answer_span,
    points=3,
    objectives=["4.5", "answers"],
    title_en="The best answer span",
    title_ja="最良の解答スパン",
    equivalent={
        "allowed = near * context_mask[:, None] & context_mask": "the product of booleans is their conjunction",
        "allowed = near & context_mask[:, None] * context_mask": "the product of booleans is their conjunction",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def mask(time: int, first: int, last: int) -> Tensor:
    """True from first to last, both included."""
    keep = torch.zeros(time, dtype=torch.bool)
    keep[first : last + 1] = True
    return keep


def logits(make: Make, time: int, **peaks: float) -> Tensor:
    """Noise from 0 to 1, and at the places that are named (at7=3.0) so much more."""
    drawn = make.uniform(time)
    for place, height in peaks.items():
        drawn[int(place.removeprefix("at"))] += height
    return drawn


@exercise.visible(en="the seven tokens worked by hand in the text", ja="本文で手計算した 7 トークンの例")
def _(make: Make) -> dict[str, Any]:
    return {
        "start_logits": torch.tensor([6.0, 0.5, 0.0, 1.0, 3.0, 2.0, 4.0]).double(),
        "end_logits": torch.tensor([6.0, 0.0, 0.5, 2.0, 3.0, 4.5, 1.5]).double(),
        "context_mask": torch.tensor([False, False, False, True, True, True, True]),
        "max_len": 3,
    }


@exercise.visible(
    en="the likeliest end stands before the likeliest start", ja="最有力の終わりが最有力の始まりより前にある場合"
)
def _(make: Make) -> dict[str, Any]:
    start, end = logits(make, 14, at11=4, at6=2.5), logits(make, 14, at5=4, at8=2.5)
    return {"start_logits": start, "end_logits": end, "context_mask": mask(14, 4, 12), "max_len": 6}


@exercise.visible(en="no token belongs to the passage", ja="本文のトークンが一つもない場合")
def _(make: Make) -> dict[str, Any]:
    return {"start_logits": logits(make, 5), "end_logits": logits(make, 5), "context_mask": mask(5, 1, 0), "max_len": 4}


@exercise.hidden(en="a question that looks like an answer", ja="質問や特殊トークンのほうがスコアの高い場合")
def _(make: Make) -> dict[str, Any]:
    start, end = logits(make, 17, at0=7, at3=6, at9=3), logits(make, 17, at0=7, at4=6, at16=7, at11=3)
    return {"start_logits": start, "end_logits": end, "context_mask": mask(17, 6, 15), "max_len": 5}


@exercise.hidden(
    en="a start in the question, an end behind the passage", ja="始まりは質問の中、終わりは本文の後ろが有力な場合"
)
def _(make: Make) -> dict[str, Any]:
    start, end = logits(make, 15, at4=6, at8=3), logits(make, 15, at6=3, at12=6, at9=2.5)
    return {"start_logits": start, "end_logits": end, "context_mask": mask(15, 5, 11), "max_len": 9}


@exercise.hidden(en="ends before starts", ja="終わりが始まりより前にある場合")
def _(make: Make) -> dict[str, Any]:
    start, end = logits(make, 19, at13=5, at5=2.5, at16=4), logits(make, 19, at7=4, at10=5, at4=4)
    return {"start_logits": start, "end_logits": end, "context_mask": mask(19, 3, 18), "max_len": 8}


@exercise.hidden(
    en="a span of just max_len tokens, and one that is longer", ja="ちょうど max_len 個のスパンと、それより長いスパン"
)
def _(make: Make) -> dict[str, Any]:
    start, end = logits(make, 16, at4=5, at9=3.5), logits(make, 16, at7=3.5, at8=4.6, at14=6.5)
    return {"start_logits": start, "end_logits": end, "context_mask": mask(16, 2, 15), "max_len": 4}


@exercise.hidden(en="one token, with max_len = 1", ja="max_len = 1、1 トークンの答え", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    start, end = logits(make, 11, at4=4, at7=2.5), logits(make, 11, at5=4, at7=2.5)
    return {"start_logits": start, "end_logits": end, "context_mask": mask(11, 3, 10), "max_len": 1}


@exercise.hidden(
    en="all logits below zero, and a wide max_len", ja="ロジットがすべて負で、max_len が大きい場合", weight=0.5
)
def _(make: Make) -> dict[str, Any]:
    start, end = logits(make, 13, at6=2) - 30, logits(make, 13, at8=2) - 30
    return {"start_logits": start, "end_logits": end, "context_mask": mask(13, 5, 12), "max_len": 40}


@exercise.hidden(en="nothing is allowed", ja="許されるスパンがない場合", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    return {"start_logits": logits(make, 9), "end_logits": logits(make, 9), "context_mask": mask(9, 4, 3), "max_len": 3}


# -- mistakes ----------------------------------------------------------------------------------------------------------


def search(start_logits: Tensor, end_logits: Tensor, keep: Tensor, low: int, high: int) -> tuple[int, int] | None:
    """The best pair with low <= end - start < high."""
    places = keep.nonzero().flatten().tolist()
    pairs = [(i, j) for i in places for j in places if low <= j - i < high]
    return max(pairs, key=lambda pair: float(start_logits[pair[0]] + end_logits[pair[1]]), default=None)


@exercise.mistake(
    en="The start and the end are chosen apart from each other, each where its own logit is largest.",
    ja="始まりと終わりを別々に、それぞれのロジットが最大の位置から選んでいます。",
    hint_en="Two best halves need not make a whole. What if the best end stands far behind the best start, or "
    "before it?",
    hint_ja="最良の半分どうしが、よい組になるとは限りません。"
    "最良の終わりが、最良の始まりのずっと後ろや、前にあったらどうなりますか。",
)
def chosen_apart(
    start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int
) -> tuple[int, int] | None:
    if not context_mask.any():
        return None
    best = [int(each.masked_fill(~context_mask, -torch.inf).argmax()) for each in (start_logits, end_logits)]
    return best[0], best[1]


@exercise.mistake(
    en="The start is settled first, and then the best end for it: better pairs with another start are never tried.",
    ja="先に始まりを決めてしまい、それに合う終わりだけを探しています。別の始まりとの、もっとよい組を試していません。",
    hint_en="It is the sum that counts. In the example worked by hand, does the best start belong to the best span?",
    hint_ja="大きさを比べるのは和です。手計算の例で、最良の始まりは最良のスパンに入っていますか。",
)
def start_first(start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int) -> tuple[int, int] | None:
    if not context_mask.any():
        return None
    start = int(start_logits.masked_fill(~context_mask, -torch.inf).argmax())
    ends = [end for end in range(start, min(start + max_len, len(end_logits))) if context_mask[end]]
    return start, max(ends, key=lambda end: float(end_logits[end]))


@exercise.mistake(
    en="The mask is not used: the span may lie in the question or on a special token.",
    ja="マスクを使っていません。スパンが質問の中や特殊トークンの上に来てしまいます。",
    hint_en="Print the tokens of your span in the example worked by hand. Are they words of the passage?",
    hint_ja="手計算の例で、得られたスパンのトークンを確かめてみましょう。本文の言葉でしょうか。",
)
def without_mask(
    start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int
) -> tuple[int, int] | None:
    return search(start_logits, end_logits, torch.ones_like(context_mask), 0, max_len)


@exercise.mistake(
    en="max_len is not used: the span may be of any length.",
    ja="max_len を使っていません。どんなに長いスパンでも選ばれてしまいます。",
    hint_en="How many tokens does your span hold in the case that failed, and how many may it hold?",
    hint_ja="間違いとされた例で、得られたスパンのトークン数はいくつですか。いくつまで許されますか。",
)
def of_any_length(
    start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int
) -> tuple[int, int] | None:
    return search(start_logits, end_logits, context_mask, 0, len(context_mask))


@exercise.mistake(
    en="A span of max_len + 1 tokens is let through.",
    ja="max_len + 1 トークンのスパンまで許しています。",
    hint_en="Both ends belong to the span. How many tokens are there from 4 to 6?",
    hint_ja="両端ともスパンに含まれます。4 から 6 までに、トークンはいくつありますか。",
)
def one_token_too_long(
    start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int
) -> tuple[int, int] | None:
    return search(start_logits, end_logits, context_mask, 0, max_len + 1)


@exercise.mistake(
    en="The end may stand before the start.",
    ja="終わりが始まりより前にあるスパンも許しています。",
    hint_en="The distance between the two places is small enough. In which direction?",
    hint_ja="二つの位置の距離は十分に近いようです。向きはどうでしょうか。",
)
def backwards(start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int) -> tuple[int, int] | None:
    return search(start_logits, end_logits, context_mask, 1 - max_len, max_len)


@exercise.mistake(
    en="The end that is returned is the place after the last token.",
    ja="終わりとして、最後のトークンの次の位置を返しています。",
    hint_en="Slices in Python leave out their end. Does the docstring's span do so, too?",
    hint_ja="Python のスライスは終わりの位置を含みません。docstring のスパンはどうでしょうか。",
)
def end_exclusive(
    start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int
) -> tuple[int, int] | None:
    best = search(start_logits, end_logits, context_mask, 0, max_len)
    return None if best is None else (best[0], best[1] + 1)


@exercise.mistake(
    en="Where nothing is allowed a span is returned all the same.",
    ja="許されるスパンがないのに、スパンを返しています。",
    hint_en="What does argmax say of a row in which everything is -inf?",
    hint_ja="すべてが -inf のとき、argmax は何を返すでしょうか。",
)
def always_a_span(
    start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int
) -> tuple[int, int] | None:
    return search(start_logits, end_logits, context_mask, 0, max_len) or (0, 0)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def two_loops(start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int) -> tuple[int, int] | None:
    best, best_score = None, -float("inf")
    starts, ends = start_logits.tolist(), end_logits.tolist()
    for start in range(len(starts)):
        for end in range(start, min(start + max_len, len(ends))):
            if context_mask[start] and context_mask[end] and starts[start] + ends[end] > best_score:
                best, best_score = (start, end), starts[start] + ends[end]
    return best


@exercise.accepted
def end_by_end(start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int) -> list[Tensor] | None:
    """The best start for every end, in the window before it; positions as tensors, in a list."""
    places = torch.where(context_mask)[0]
    spans = []
    for end in places:
        window = places[(places <= end) & (places > end - max_len)]
        start = window[start_logits[window].argmax()]
        spans.append((start_logits[start] + end_logits[end], start, end))
    return list(max(spans, key=lambda span: span[0])[1:]) if spans else None


@exercise.accepted
def with_topk(start_logits: Tensor, end_logits: Tensor, context_mask: Tensor, max_len: int) -> tuple[int, int] | None:
    """Distances of all pairs, a large negative number for what is forbidden, and the best one by topk."""
    place = torch.arange(start_logits.numel(), device=start_logits.device)
    length = place.unsqueeze(0) - place.unsqueeze(1) + 1
    good = (length >= 1) & (length <= max_len) & torch.outer(context_mask.int(), context_mask.int()).bool()
    if good.sum() == 0:
        return None
    sums = torch.where(good, start_logits.unsqueeze(1) + end_logits.unsqueeze(0), -1e9)
    row = sums.max(dim=1).values.topk(1).indices.item()
    return row, sums[row].topk(1).indices.item()
