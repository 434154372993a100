"""The input of BERT: two sentences in one row (Devlin et al., 2019, section 3 and figure 2)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def encode_pair(
    a: list[int], b: list[int], cls_id: int, sep_id: int, pad_id: int, max_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Put two sentences into one row, with the marks that BERT expects, and fill it up with padding.

        [CLS] a a a [SEP] b b [SEP] [PAD] [PAD]

    Args:
        a, b: the sentences, as lists of token ids without any marks. They differ in length, and fit into the row with
            their three marks.
        cls_id, sep_id, pad_id: the ids of [CLS], [SEP] and [PAD]; they depend on the vocabulary.
        max_len: the length of the row.

    Returns:
        three tensors of shape (max_len,):
        ids: int64, the row itself;
        segment_ids: int64, 0 for the first sentence, with its [CLS] and its [SEP], 1 for the second, with its [SEP],
            and 0 for padding;
        attention_mask: bool, True = keep: everything but padding, marks included.
    """
    ### BEGIN SOLUTION
    row = [cls_id, *a, sep_id, *b, sep_id]
    segments = [0] * (len(a) + 2) + [1] * (len(b) + 1)
    padding = max_len - len(row)
    ids = torch.tensor(row + [pad_id] * padding)
    segment_ids = torch.tensor(segments + [0] * padding)
    attention_mask = torch.arange(max_len) < len(row)
    ### END SOLUTION
    return ids, segment_ids, attention_mask


exercise = Exercise(
    encode_pair,
    points=3,
    objectives=["3.2"],
    title_en="Two sentences in one row",
    title_ja="二つの文を一行に並べる",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def sentences(make: Make, first: int, second: int) -> dict[str, object]:
    """Two sentences of these lengths, from ids that no mark has."""
    return {"a": make.integers(20, 90, first).tolist(), "b": make.integers(20, 90, second).tolist()}


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, object]:
    return {"a": [7, 8, 9], "b": [5, 6], "cls_id": 2, "sep_id": 3, "pad_id": 0, "max_len": 10}


@exercise.visible(
    en="the marks have other ids, and the second sentence is longer",
    ja="特殊トークンの ID が違い、二つ目の文のほうが長い場合",
)
def _(make: Make) -> dict[str, object]:
    return {**sentences(make, 2, 4), "cls_id": 10, "sep_id": 12, "pad_id": 1, "max_len": 12}


@exercise.hidden(en="an exact fit, without any padding", ja="パディングなしで、ちょうど収まる場合", weight=2)
def _(make: Make) -> dict[str, object]:
    return {**sentences(make, 5, 3), "cls_id": 4, "sep_id": 9, "pad_id": 6, "max_len": 11}


@exercise.hidden(en="a row with padding", ja="パディングのある場合")
def _(make: Make) -> dict[str, object]:
    return {**sentences(make, 3, 6), "cls_id": 11, "sep_id": 8, "pad_id": 5, "max_len": 27}


# -- mistakes ----------------------------------------------------------------------------------------------------------


def filled(row: list[int], segments: list[int], pad_id: int, max_len: int) -> tuple[Tensor, Tensor, Tensor]:
    """A row of any layout, filled up as it should be."""
    padding = max_len - len(row)
    mask = torch.arange(max_len) < len(row)
    return torch.tensor(row + [pad_id] * padding), torch.tensor(segments + [0] * padding), mask


@exercise.mistake(
    en="The first [SEP] is counted to the second sentence.",
    ja="一つ目の [SEP] を二つ目の文に含めています。",
    hint_en="Each [SEP] ends the sentence before it. To which segment does the first one belong?",
    hint_ja="[SEP] は、その前の文の終わりを示します。一つ目の [SEP] はどちらのセグメントに属するでしょうか。",
)
def separator_in_the_second(
    a: list[int], b: list[int], cls_id: int, sep_id: int, pad_id: int, max_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    row, segments = [cls_id, *a, sep_id, *b, sep_id], [0] * (len(a) + 1) + [1] * (len(b) + 2)
    return filled(row, segments, pad_id, max_len)


@exercise.mistake(
    en="The last [SEP] is missing.",
    ja="最後の [SEP] がありません。",
    hint_en="How many marks does the row in the picture have? How does the model see where the second sentence ends?",
    hint_ja="図の行には特殊トークンがいくつありますか。二つ目の文がどこで終わるか、モデルは何を見てわかるのでしょうか。",
)
def no_last_separator(
    a: list[int], b: list[int], cls_id: int, sep_id: int, pad_id: int, max_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    return filled([cls_id, *a, sep_id, *b], [0] * (len(a) + 2) + [1] * len(b), pad_id, max_len)


@exercise.mistake(
    en="A second [CLS] stands before the second sentence.",
    ja="二つ目の文の前にも [CLS] があります。",
    hint_en="[CLS] stands for the row as a whole. How often is it needed?",
    hint_ja="[CLS] は行全体を代表する特殊トークンです。いくつ必要でしょうか。",
)
def second_cls(
    a: list[int], b: list[int], cls_id: int, sep_id: int, pad_id: int, max_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    row = [cls_id, *a, sep_id, cls_id, *b, sep_id][:max_len]
    return filled(row, ([0] * (len(a) + 2) + [1] * (len(b) + 2))[:max_len], pad_id, max_len)


@exercise.mistake(
    en="The padding is counted to the second sentence.",
    ja="パディングを二つ目の文に含めています。",
    hint_en="Which segment id does the docstring give to padding?",
    hint_ja="docstring では、パディングのセグメント ID はいくつになっていますか。",
)
def padding_in_the_second(
    a: list[int], b: list[int], cls_id: int, sep_id: int, pad_id: int, max_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    ids, _, mask = encode_pair(a, b, cls_id, sep_id, pad_id, max_len)
    return ids, (torch.arange(max_len) >= len(a) + 2).long(), mask


@exercise.mistake(
    en="The attention mask is the wrong way round: it is True at the padding.",
    ja="attention_mask が逆です。パディングの位置が True になっています。",
    hint_en="In this course True means keep. Which tokens may be looked at?",
    hint_ja="この教材では True が「見てよい」です。見てよいのはどのトークンでしょうか。",
)
def mask_inverted(
    a: list[int], b: list[int], cls_id: int, sep_id: int, pad_id: int, max_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    ids, segment_ids, mask = encode_pair(a, b, cls_id, sep_id, pad_id, max_len)
    return ids, segment_ids, ~mask


@exercise.mistake(
    en="The row is filled up with 0, not with pad_id.",
    ja="pad_id ではなく 0 で埋めています。",
    hint_en="Vocabularies differ in which id means padding. Where does your code use pad_id?",
    hint_ja="パディングの ID は語彙によって異なります。コードのどこで pad_id を使っていますか。",
)
def padded_with_zero(
    a: list[int], b: list[int], cls_id: int, sep_id: int, pad_id: int, max_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    return encode_pair(a, b, cls_id, sep_id, 0, max_len)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def filled_in(
    a: list[int], b: list[int], cls_id: int, sep_id: int, pad_id: int, max_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Start from empty rows and write into them."""
    middle, end = len(a) + 2, len(a) + len(b) + 3
    ids, segment_ids = torch.full((max_len,), pad_id), torch.zeros(max_len, dtype=torch.int64)
    ids[0], ids[middle - 1], ids[end - 1] = cls_id, sep_id, sep_id
    ids[1 : middle - 1], ids[middle : end - 1] = torch.tensor(a), torch.tensor(b)
    segment_ids[middle:end] = 1
    mask = torch.zeros(max_len, dtype=torch.bool)
    mask[:end] = True
    return ids, segment_ids, mask


@exercise.accepted
def with_pad(
    a: list[int], b: list[int], cls_id: int, sep_id: int, pad_id: int, max_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    """F.pad does the filling, and the mask is 1 and 0."""
    first, second = torch.tensor([cls_id, *a, sep_id]), torch.tensor([*b, sep_id])
    room = (0, max_len - len(first) - len(second))
    ids = torch.cat([first, second])
    segments = torch.cat([torch.zeros_like(first), torch.ones_like(second)])
    return F.pad(ids, room, value=pad_id), F.pad(segments, room), F.pad(torch.ones_like(ids), room)


@exercise.accepted
def token_by_token(
    a: list[int], b: list[int], cls_id: int, sep_id: int, pad_id: int, max_len: int
) -> tuple[Tensor, Tensor, Tensor]:
    ids, segments, mask = [cls_id], [0], [True]
    for segment, sentence in enumerate((a, b)):
        for token in [*sentence, sep_id]:
            ids.append(token)
            segments.append(segment)
            mask.append(True)
    while len(ids) < max_len:
        ids.append(pad_id)
        segments.append(0)
        mask.append(False)
    return torch.tensor(ids), torch.tensor(segments), torch.tensor(mask)
