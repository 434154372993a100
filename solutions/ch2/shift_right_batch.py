"""Inputs, labels and masks of a batch under teacher forcing (Vaswani et al., 2017, section 3.1 and figure 1).

"Outputs (shifted right)", as the figure calls the decoder's inputs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.course.standins_layers import causal_mask
from autograder.exercise import Exercise
from autograder.make import Make

IGNORED = -100  # the label that F.cross_entropy leaves out


def shift_right_batch(
    source: Tensor, target: Tensor, pad: int, bos: int, eos: int
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """What a decoder reads and what it should say, for a batch of padded pairs.

    The input at each position is the token before it: bos first, then the target. The label at each position is the
    token that should come next: the target, then eos right after its last token.

    Args:
        source: (batch, source_time), integer ids.
        target: (batch, target_time), integer ids, without bos and eos.
        pad, bos, eos: the ids of padding, of the beginning and of the end. On both sides, padding stands on the right;
            a row may have none of it, and a target may be nothing else. No word has one of these ids.

    Returns:
        inputs: (batch, target_time + 1), padded with pad.
        labels: (batch, target_time + 1), -100 after eos: there is nothing to be said there.
        masks: the pair source_mask, target_mask; bool, True = keep. source_mask is (batch, 1, 1, source_time), True
            where the source is no padding. target_mask is (batch, 1, target_time + 1, target_time + 1), True where
            the key is neither later than the query nor padding.
    """
    ### BEGIN SOLUTION
    inputs = F.pad(target, (1, 0), value=bos)
    lengths = (target != pad).sum(dim=1, keepdim=True)  # (batch, 1): where eos goes
    labels = F.pad(target, (0, 1), value=pad).scatter(1, lengths, eos)
    labels = labels.masked_fill(labels == pad, -100)
    source_mask = (source != pad)[:, None, None, :]
    causal = causal_mask(inputs.size(1)).to(inputs.device)
    target_mask = causal & (inputs != pad)[:, None, None, :]
    ### END SOLUTION
    return inputs, labels, (source_mask, target_mask)


exercise = Exercise(
    shift_right_batch,
    points=4,
    objectives=["2.5"],
    title_en="Inputs, labels and masks of a batch",
    title_ja="バッチの入力・ラベル・マスク",
    stand_ins={"causal_mask": "autograder.course.standins_layers:causal_mask"},
    equivalent={
        "causal = causal_mask(inputs.size(1))": "on the CPU, where both are, there is nothing to move",
        "target_mask = causal * (inputs != pad)[:, None, None, :]": "the product of two booleans is their conjunction",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def _padded(ids: Tensor, pad: int, *lengths: int) -> Tensor:
    """The first `length` ids of each row, and padding."""
    return ids.where(torch.arange(ids.size(1)) < torch.tensor(lengths)[:, None], pad)


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, object]:
    # inputs (1 7 4 9), (1 5 0 0); labels (7 4 9 2), (5 2 -100 -100).
    source = torch.tensor([[6, 3, 8, 5, 4], [9, 7, 0, 0, 0]])
    return {"source": source, "target": torch.tensor([[7, 4, 9], [5, 0, 0]]), "pad": 0, "bos": 1, "eos": 2}


@exercise.visible(en="three pairs, and padding that is not 0", ja="三組の文で、パディングの ID が 0 でない場合")
def _(make: Make) -> dict[str, object]:
    source, target = make.integers(4, 20, 3, 4), make.integers(4, 20, 3, 5)
    return {"source": _padded(source, 3, 2, 4, 3), "target": _padded(target, 3, 5, 2, 4), "pad": 3, "bos": 0, "eos": 1}


@exercise.hidden(en="pairs that need no padding", ja="パディングのない組")
def _(make: Make) -> dict[str, object]:
    return {"source": make.integers(3, 30, 4, 6), "target": make.integers(3, 30, 4, 3), "pad": 0, "bos": 1, "eos": 2}


@exercise.hidden(
    en="short, long and empty targets, and padding between the ids of words",
    ja="短い・長い・空のターゲットが混ざり、パディングの ID が単語の ID の間にある場合",
    weight=2,
)
def _(make: Make) -> dict[str, object]:
    # Ids of words on both sides of all three: no comparison by size will do.
    source, target = (make.integers(0, 8, 4, time) + 12 * (torch.arange(time) % 2) for time in (5, 6))
    given = {"source": _padded(source, 10, 5, 1, 3, 4), "target": _padded(target, 10, 4, 6, 0, 1)}
    return {**given, "pad": 10, "bos": 9, "eos": 8}


# -- mistakes ----------------------------------------------------------------------------------------------------------

Batch = tuple[Tensor, Tensor, tuple[Tensor, Tensor]]


def _right(source: Tensor, target: Tensor, pad: int, bos: int, eos: int) -> Batch:
    """The right result, for the wrong answers to spoil a part of."""
    inputs = torch.cat([torch.full_like(target[:, :1], bos), target], dim=1)
    ended = torch.cat([target, torch.full_like(target[:, :1], pad)], dim=1)
    first = (ended == pad) & ((ended == pad).cumsum(dim=1) == 1)  # the first padding is where the sentence ends
    labels = torch.where(first, eos, torch.where(ended == pad, IGNORED, ended))
    target_mask = causal_mask(inputs.size(1)).to(inputs.device) & (inputs != pad)[:, None, None]
    return inputs, labels, ((source != pad)[:, None, None], target_mask)


@exercise.mistake(
    en="The labels are not shifted: each position is to say what it has just been told.",
    ja="ラベルがずれていません。どの位置でも、いま入力された単語をそのまま言わせることになっています。",
    hint_en="Write inputs and labels below each other: which word should the model say when it has read bos?",
    hint_ja="入力とラベルを上下に並べて書いてみましょう。bos を読んだモデルが言うべき単語は何ですか。",
)
def not_shifted(source: Tensor, target: Tensor, pad: int, bos: int, eos: int) -> Batch:
    inputs, _, masks = _right(source, target, pad, bos, eos)
    return inputs, inputs.masked_fill(inputs == pad, IGNORED), masks


@exercise.mistake(
    en="eos stands at the end of the row, behind the padding, not behind the last word.",
    ja="eos が最後の単語の直後ではなく、行の末尾、パディングの後ろに置かれています。",
    hint_en="A row of the batch may be longer than its sentence. Where does the sentence end?",
    hint_ja="バッチの一行は、文より長いことがあります。文が終わるのはどこですか。",
)
def end_behind_the_padding(source: Tensor, target: Tensor, pad: int, bos: int, eos: int) -> Batch:
    inputs, _, masks = _right(source, target, pad, bos, eos)
    labels = F.pad(target.masked_fill(target == pad, IGNORED), (0, 1), value=eos)
    return inputs, labels, masks


@exercise.mistake(
    en="The labels have no eos: the model never learns to stop.",
    ja="ラベルに eos がありません。これでは、モデルは文を終えることを学べません。",
    hint_en="What should the model say when it has read the last word?",
    hint_ja="最後の単語を読んだモデルは、何と言うべきでしょうか。",
)
def never_ends(source: Tensor, target: Tensor, pad: int, bos: int, eos: int) -> Batch:
    inputs, _, masks = _right(source, target, pad, bos, eos)
    labels = F.pad(target.masked_fill(target == pad, IGNORED), (0, 1), value=IGNORED)
    return inputs, labels, masks


@exercise.mistake(
    en="The labels still hold pad behind the end of a sentence, where -100 should stand.",
    ja="文の終わりより後ろのラベルが、-100 ではなく pad のままです。",
    hint_en="Should the model be trained to say padding? Which label does F.cross_entropy leave out?",
    hint_ja="パディングを言うようにモデルを学習させるべきでしょうか。F.cross_entropy が無視するラベルは何ですか。",
)
def padding_is_learned(source: Tensor, target: Tensor, pad: int, bos: int, eos: int) -> Batch:
    inputs, labels, masks = _right(source, target, pad, bos, eos)
    return inputs, labels.masked_fill(labels == IGNORED, pad), masks


@exercise.mistake(
    en="target_mask knows of the padding only: the decoder sees the words that it is to predict.",
    ja="target_mask がパディングだけを隠しています。予測すべき単語がデコーダに見えています。",
    hint_en="Two conditions must hold for True. Which of them does your mask check?",
    hint_ja="True になるには、二つの条件が必要です。あなたのマスクが調べているのはどちらですか。",
)
def future_seen(source: Tensor, target: Tensor, pad: int, bos: int, eos: int) -> Batch:
    inputs, labels, (source_mask, _) = _right(source, target, pad, bos, eos)
    padding = (inputs != pad)[:, None, None]
    return inputs, labels, (source_mask, padding.expand(-1, 1, inputs.size(1), -1))


@exercise.mistake(
    en="The masks are inverted: they are True where nothing may be seen.",
    ja="マスクが逆です。見てはいけないところが True になっています。",
    hint_en="In this course True means keep.",
    hint_ja="この教材では True が「見てよい」です。",
)
def masks_inverted(source: Tensor, target: Tensor, pad: int, bos: int, eos: int) -> Batch:
    inputs, labels, (source_mask, target_mask) = _right(source, target, pad, bos, eos)
    return inputs, labels, (~source_mask, ~target_mask)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def row_by_row(source: Tensor, target: Tensor, pad: int, bos: int, eos: int) -> Batch:
    """A loop over the sentences, and one over the positions."""
    (batch, source_time), time = source.shape, target.size(1) + 1
    inputs, labels = target.new_full((batch, time), pad), target.new_full((batch, time), -100)
    source_mask = torch.zeros(batch, 1, 1, source_time, dtype=torch.bool, device=source.device)
    target_mask = torch.zeros(batch, 1, time, time, dtype=torch.bool, device=source.device)
    for row, (read, written) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        words = [token for token in written if token != pad]
        inputs[row, : len(words) + 1] = torch.tensor([bos, *words])
        labels[row, : len(words) + 1] = torch.tensor([*words, eos])
        source_mask[row, 0, 0] = torch.tensor([token != pad for token in read])
        for query in range(time):
            target_mask[row, 0, query, : min(query, len(words)) + 1] = True
    return inputs, labels, (source_mask, target_mask)


@exercise.accepted
def by_comparing_positions(source: Tensor, target: Tensor, pad: int, bos: int, eos: int) -> Batch:
    """Everything from the lengths of the sentences."""
    position = torch.arange(target.size(1) + 1, device=target.device)
    lengths = target.ne(pad).sum(1)[:, None]
    inputs = torch.cat([target.new_full((len(target), 1), bos), target], dim=1)
    longer = torch.cat([target, target[:, :1]], dim=1)
    labels = longer.where(position < lengths, torch.where(position == lengths, eos, -100))
    keys = position[None, None, None]
    target_mask = (keys <= position[:, None]) & (keys <= lengths[:, :, None, None])
    return inputs, labels, (source.ne(pad)[:, None, None], target_mask)
