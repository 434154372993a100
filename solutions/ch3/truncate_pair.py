"""Cutting a pair of sentences to a common limit, the longer one first (as BERT's pretraining data were made:
Devlin et al., 2019, appendix A.2)."""

from typing import Any

from autograder.exercise import Exercise
from autograder.make import Make


def truncate_pair(a: list[int], b: list[int], max_tokens: int) -> tuple[list[int], list[int]]:
    """Shorten two lists of ids until both together have no more than max_tokens.

    One id at a time is dropped, always from the end of the list that is longer at that moment; when both are equally
    long, from the end of b.

    Args:
        a, b: the ids of the first and of the second sentence, without special tokens.
        max_tokens: how many ids may remain of both together, 0 or more; special tokens are not counted.

    Returns:
        What is left of a and of b, in their order. Lists that fit already come back whole.
    """
    ### BEGIN SOLUTION
    a, b = list(a), list(b)
    while len(a) + len(b) > max_tokens:
        longer = a if len(a) > len(b) else b
        longer.pop()
    return a, b
    ### END SOLUTION


exercise = Exercise(
    truncate_pair,
    points=2,
    objectives=["3.2"],
    title_en="Truncating a pair, longest first",
    title_ja="文のペアを長いほうから切り詰める",
    device=False,
    equivalent={"pass": "Lists that are shortened in place cost nothing."},
)


def _ids(make: Make, count: int) -> list[int]:
    return make.integers(1000, 30000, count).tolist()


def _between(make: Make, low: int, high: int) -> int:
    """A length from low to high, both included."""
    return int(make.integers(low, high + 1))


@exercise.visible(en="seven ids and four, cut to five by hand", ja="手で計算できる例：7 個と 4 個を合計 5 個に")
def _(make: Make) -> dict[str, Any]:
    return {"a": [11, 12, 13, 14, 15, 16, 17], "b": [21, 22, 23, 24], "max_tokens": 5}


@exercise.visible(en="a short second sentence beside a long first one", ja="1 文目が長く、2 文目が短い場合")
def _(make: Make) -> dict[str, Any]:
    return {"a": _ids(make, 14), "b": _ids(make, 3), "max_tokens": 10}


@exercise.visible(en="a pair that fits with room to spare", ja="余裕をもって収まっているペア")
def _(make: Make) -> dict[str, Any]:
    return {"a": _ids(make, 5), "b": _ids(make, 8), "max_tokens": 16}


@exercise.hidden(en="a short first sentence beside a long second one", ja="1 文目が短く、2 文目が長い場合")
def _(make: Make) -> dict[str, Any]:
    return {"a": _ids(make, _between(make, 3, 5)), "b": _ids(make, _between(make, 15, 19)), "max_tokens": 13}


@exercise.hidden(en="both are too long", ja="どちらも長すぎる場合", weight=1.5)
def _(make: Make) -> dict[str, Any]:
    return {"a": _ids(make, _between(make, 17, 21)), "b": _ids(make, _between(make, 11, 13)), "max_tokens": 15}


@exercise.hidden(en="a pair that fits", ja="もともと収まっているペア", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    return {"a": _ids(make, _between(make, 8, 11)), "b": _ids(make, 4), "max_tokens": 17}


# -- wrong answers -------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="When both are equally long, the first one is shortened.",
    ja="同じ長さのときに、1 文目のほうを短くしています。",
    hint_en="Follow the example worked by hand to its last step. Which list loses an id there?",
    hint_ja="手で計算した例を最後の一歩まで追ってみましょう。そこで短くなるのはどちらのリストですか。",
)
def tie_from_the_first(a: list[int], b: list[int], max_tokens: int) -> tuple[list[int], list[int]]:
    a, b = list(a), list(b)
    while len(a) + len(b) > max_tokens:
        (a if len(a) >= len(b) else b).pop()
    return a, b


@exercise.mistake(
    en="The ids are dropped from the beginning.",
    ja="末尾ではなく、先頭から削っています。",
    hint_en="The lengths are right. Which ids are left?",
    hint_ja="長さは合っています。残っているのはどの部分でしょうか。",
)
def from_the_front(a: list[int], b: list[int], max_tokens: int) -> tuple[list[int], list[int]]:
    kept_a, kept_b = truncate_pair(a, b, max_tokens)
    return a[len(a) - len(kept_a) :], b[len(b) - len(kept_b) :]


@exercise.mistake(
    en="Each sentence gets half of the room, even where the other one does not fill its half.",
    ja="相手の文が短くて余裕があるときでも、それぞれに半分ずつ割り当てています。",
    hint_en="How many of the ids that are allowed are used when one sentence has only three?",
    hint_ja="片方の文が 3 トークンしかないとき、上限のうち実際に使われるのはいくつですか。",
)
def half_each(a: list[int], b: list[int], max_tokens: int) -> tuple[list[int], list[int]]:
    if len(a) + len(b) <= max_tokens:
        return a, b
    return a[: max_tokens - max_tokens // 2], b[: max_tokens // 2]


@exercise.mistake(
    en="All that is too much is cut from the sentence that was the longer one at first.",
    ja="余分なトークンを、最初に長かったほうの文だけから削っています。",
    hint_en="Which of the two is the longer one after each id that you drop?",
    hint_ja="1 個削るたびに、どちらが長いかはどう変わりますか。",
)
def all_from_one(a: list[int], b: list[int], max_tokens: int) -> tuple[list[int], list[int]]:
    excess = max(len(a) + len(b) - max_tokens, 0)
    if len(a) > len(b):
        return a[: max(len(a) - excess, 0)], b
    return a, b[: max(len(b) - excess, 0)]


@exercise.mistake(
    en="One id too many is dropped: a pair that fits exactly is shortened.",
    ja="1 個余分に削っています。ちょうど収まっているペアまで短くなります。",
    hint_en="May both together have max_tokens ids, or only fewer?",
    hint_ja="合計がちょうど max_tokens 個になってもよいのでしょうか、それより少なくなければならないのでしょうか。",
)
def one_too_many(a: list[int], b: list[int], max_tokens: int) -> tuple[list[int], list[int]]:
    a, b = list(a), list(b)
    while len(a) + len(b) >= max_tokens:
        (a if len(a) > len(b) else b).pop()
    return a, b


# -- right answers written another way -----------------------------------------------------------------------------


@exercise.accepted
def by_arithmetic(a: list[int], b: list[int], max_tokens: int) -> tuple[list[int], list[int]]:
    """Without a loop: b keeps its half, or what a leaves over."""
    if len(a) + len(b) <= max_tokens:
        return a, b
    kept = min(len(b), max(max_tokens // 2, max_tokens - len(a)))
    return a[: max_tokens - kept], b[:kept]


@exercise.accepted
def by_recursion(a: list[int], b: list[int], max_tokens: int) -> tuple[list[int], list[int]]:
    if len(a) + len(b) <= max_tokens:
        return a, b
    return by_recursion(a[:-1], b, max_tokens) if len(a) > len(b) else by_recursion(a, b[:-1], max_tokens)


@exercise.accepted
def by_growing(a: list[int], b: list[int], max_tokens: int) -> tuple[list[int], list[int]]:
    """Turned round: ids are dealt out in turns, to a first, until the room or both lists are used up."""
    kept_a = kept_b = 0
    while kept_a + kept_b < min(max_tokens, len(a) + len(b)):
        if kept_a < len(a) and (kept_a <= kept_b or kept_b == len(b)):
            kept_a += 1
        else:
            kept_b += 1
    return a[:kept_a], b[:kept_b]
