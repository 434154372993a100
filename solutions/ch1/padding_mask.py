"""The padding mask: which keys of a padded batch are words and may be looked at.

Sentences of a batch are padded to one length. The mask enters attention as in Vaswani et al. (2017, section 3.2.3),
where forbidden scores are set to -inf; there it hides later words, here it hides padding.
"""

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def padding_mask(ids: Tensor, pad_id: int) -> Tensor:
    """Say which keys may be looked at: all that are not padding.

    Args:
        ids: (batch, keys), integer token ids. Padding may stand on either side of a sentence, and a row may hold none
            of it or nothing else.
        pad_id: the id that means padding; it is not always 0.

    Returns:
        bool (batch, 1, 1, keys), True = keep. The two dimensions of size 1 let it broadcast to the scores, which are
        (batch, heads, queries, keys): the same keys are hidden from every query of every head. A row that is all
        padding is all False.
    """
    ### BEGIN SOLUTION
    keep_mask = (ids != pad_id)[:, None, None, :]
    ### END SOLUTION
    return keep_mask


exercise = Exercise(
    padding_mask, points=2, objectives=["1.3"], title_en="The padding mask", title_ja="パディングマスク"
)


# -- cases -------------------------------------------------------------------------------------------------------------


def padded(ids: Tensor, lengths: list[int], pad_id: int, *, left: bool = False) -> Tensor:
    """Keep the first (or the last) `length` ids of each row, and overwrite the rest with padding."""
    position = torch.arange(ids.size(1))
    is_word = position < torch.tensor(lengths)[:, None]
    return ids.where(is_word.flip(1) if left else is_word, pad_id)


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, object]:
    # True, True, True, False, False; all True.
    return {"ids": torch.tensor([[5, 8, 2, 0, 0], [7, 3, 9, 4, 1]]), "pad_id": 0}


@exercise.visible(en="the padding is 1, on the left", ja="パディングの ID が 1 で、左側にある場合")
def _(make: Make) -> dict[str, object]:
    return {"ids": padded(make.integers(2, 30, 3, 6), [6, 2, 4], 1, left=True), "pad_id": 1}


@exercise.hidden(
    en="ids on both sides of pad_id, full, short and empty rows",
    ja="pad_id より大きい ID も小さい ID もあり、満杯の行・短い行・空の行が混ざる場合",
)
def _(make: Make) -> dict[str, object]:
    # Low and high ids take turns, so that neither `ids > pad_id` nor `ids < pad_id` will do, whatever the seed.
    ids = make.integers(0, 8, 3, 6) + 9 * (torch.arange(6) % 2)
    return {"ids": padded(ids, [6, 3, 0], 8), "pad_id": 8}


@exercise.hidden(en="the padding is 0, on the left", ja="パディングの ID が 0 で、左側にある場合")
def _(make: Make) -> dict[str, object]:
    return {"ids": padded(make.integers(1, 30, 4, 7), [2, 7, 5, 3], 0, left=True), "pad_id": 0}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The mask is inverted: it is True at the padding.",
    ja="マスクが逆です。パディングの位置が True になっています。",
    hint_en="In this course True means keep. Which tokens should be kept?",
    hint_ja="この教材では True が「見てよい」です。見てよいのはどのトークンでしょうか。",
)
def mask_inverted(ids: Tensor, pad_id: int) -> Tensor:
    return (ids == pad_id)[:, None, None, :]


@exercise.mistake(
    en="The ids are compared with 0 instead of with pad_id.",
    ja="pad_id ではなく 0 と比べています。",
    hint_en="Tokenizers differ in which id they pad with. Where does your code use pad_id?",
    hint_ja="パディングに使う ID はトークナイザによって異なります。コードのどこで pad_id を使っていますか。",
)
def padding_is_always_zero(ids: Tensor, pad_id: int) -> Tensor:
    return (ids != 0)[:, None, None, :]


@exercise.mistake(
    en="A new dimension stands after the keys: the mask hides queries instead of keys.",
    ja="新しい次元がキーの後ろに入っているため、キーではなくクエリを隠すマスクになっています。",
    hint_en="The scores are (batch, heads, queries, keys). Which two of these have size 1 in the mask?",
    hint_ja="スコアの形状は (batch, heads, queries, keys) です。マスクで大きさが 1 になるのは、どの二つですか。",
)
def queries_hidden(ids: Tensor, pad_id: int) -> Tensor:
    return (ids != pad_id)[:, None, :, None]


@exercise.mistake(
    en="One dimension is missing: the mask is (batch, 1, keys), and the batch would line up with the heads.",
    ja="次元が一つ足りません。(batch, 1, keys) のままでは、バッチの次元がヘッドの次元にそろえられてしまいます。",
    hint_en="Broadcasting lines dimensions up from the right. Write your shape below (batch, heads, queries, keys).",
    hint_ja="ブロードキャストでは次元が右からそろえられます。(batch, heads, queries, keys) の下に、"
    "右端をそろえてマスクの形状を書いてみましょう。",
)
def one_dimension_missing(ids: Tensor, pad_id: int) -> Tensor:
    return (ids != pad_id)[:, None, :]


@exercise.mistake(
    en="The words are counted and the first ones are kept: that assumes that the padding is on the right.",
    ja="単語を数えて先頭からその個数だけ残しています。これは、パディングが右側にあると決めつけた方法です。",
    hint_en="Some models pad on the left. Can you tell from each id alone whether it is padding?",
    hint_ja="左側をパディングするモデルもあります。それぞれの ID だけを見て、パディングかどうか判断できませんか。",
)
def first_positions_kept(ids: Tensor, pad_id: int) -> Tensor:
    lengths = (ids != pad_id).sum(dim=1, keepdim=True)
    return (torch.arange(ids.size(1), device=ids.device) < lengths)[:, None, None, :]


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_unsqueeze(ids: Tensor, pad_id: int) -> Tensor:
    return ids.ne(pad_id).unsqueeze(1).unsqueeze(2)


@exercise.accepted
def filled_in(ids: Tensor, pad_id: int) -> Tensor:
    batch, keys = ids.shape
    mask = torch.ones_like(ids, dtype=torch.bool).masked_fill(ids == pad_id, False)
    return mask.view(batch, 1, 1, keys)
