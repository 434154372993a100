"""The causal mask: a position may look at itself and at what stands before it (Vaswani et al., 2017, section 3.2.3)."""

import torch
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make


def causal_mask(time: int) -> Tensor:
    """Say which positions of a sequence may look at which: each at itself and at those before it.

    Args:
        time: how many positions the sequence has, 1 or more.

    Returns:
        bool (time, time), True = may look. Row t belongs to the query at position t, column j to the key at position
        j: the entry is True where j <= t. The mask is made on the CPU; whoever uses it moves it to where it is needed.
    """
    ### BEGIN SOLUTION
    position = torch.arange(time)
    keep_mask = position[:, None] >= position  # a column of queries against a row of keys
    ### END SOLUTION
    return keep_mask


exercise = Exercise(
    causal_mask,
    points=2,
    objectives=["2.5"],
    title_en="The causal mask",
    title_ja="因果マスク",
)


# -- cases -------------------------------------------------------------------------------------------------------------


@exercise.visible(en="the example worked by hand in the text: three positions", ja="本文で手計算した例：位置が三つ")
def _(make: Make) -> dict[str, int]:
    # True False False, True True False, True True True.
    return {"time": 3}


@exercise.visible(en="a single position", ja="位置が一つだけ")
def _(make: Make) -> dict[str, int]:
    return {"time": 1}


# One is enough: whatever goes wrong goes wrong for every length above 1.
@exercise.hidden(en="a longer sequence", ja="もっと長い系列")
def _(make: Make) -> dict[str, int]:
    return {"time": 9}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The mask is inverted: it is True for the future.",
    ja="マスクが逆です。未来の位置が True になっています。",
    hint_en="In this course True means keep. nn.MultiheadAttention has it the other way round, and so do many programs "
    "that you find: what does your first row allow?",
    hint_ja="この教材では True が「見てよい」です。nn.MultiheadAttention をはじめ、逆の意味で使うプログラムも多く"
    "あります。あなたのマスクの最初の行は、どこを見てよいと言っていますか。",
)
def inverted(time: int) -> Tensor:
    return torch.ones(time, time, dtype=torch.bool).triu(1)


@exercise.mistake(
    en="The diagonal is hidden as well: no position may look at itself, and the first one sees nothing at all.",
    ja="対角成分まで隠しています。自分自身が見えず、先頭の位置には何も見えません。",
    hint_en="What does the first position have to look at? A softmax over nothing is nan.",
    hint_ja="先頭の位置には、見るものが何か残っていますか。何もないところでソフトマックスをとると nan になります。",
)
def without_the_diagonal(time: int) -> Tensor:
    return torch.ones(time, time, dtype=torch.bool).tril(-1)


@exercise.mistake(
    en="Rows and columns are exchanged: every position sees itself and the future.",
    ja="行と列が入れ替わっています。どの位置からも、自分自身と未来が見えています。",
    hint_en="Rows are queries. How many keys may the first query see, and how many the last?",
    hint_ja="行がクエリです。最初のクエリに見えてよいキーはいくつですか。最後のクエリではいくつですか。",
)
def transposed(time: int) -> Tensor:
    return torch.ones(time, time, dtype=torch.bool).triu()


@exercise.mistake(
    en="The mask holds 0 and -inf, to be added to the scores, instead of True and False.",
    ja="True と False ではなく、スコアに足すための 0 と -inf が入っています。",
    hint_en="That form of a mask exists as well, and means the same. Which dtype does the docstring ask for?",
    hint_ja="そのような形のマスクもあり、意味は同じです。docstring が求めている dtype は何でしょうか。",
)
def to_be_added(time: int) -> Tensor:
    return torch.full((time, time), float("-inf")).triu(1)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def lower_triangle(time: int) -> Tensor:
    return torch.ones(time, time, dtype=torch.bool).tril()


@exercise.accepted
def in_a_loop(time: int) -> Tensor:
    mask = torch.zeros(time, time, dtype=torch.bool)
    for query in range(time):
        mask[query, : query + 1] = True
    return mask


@exercise.accepted
def with_torch_builtin(time: int) -> Tensor:
    return nn.Transformer.generate_square_subsequent_mask(time) == 0
