"""The loss of a masked language model (Devlin et al., 2019, section 3.1, task 1)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make


def masked_lm_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy of the places that have a label.

        loss = mean over the places with a label of  -log softmax(logits at the place)[label]

    All such places of the batch count alike, whichever row they stand in.

    Args:
        logits: (batch, time, vocab_size), raw scores of any size, as large as ±1000.
        labels: (batch, time), int64; the right id, or -100 where there is nothing to predict.

    Returns:
        a scalar; 0 where nothing in the batch has a label (it must not become nan).
    """
    ### BEGIN SOLUTION
    has_label = labels != -100
    right = labels[has_label].unsqueeze(1)  # (places, 1)
    log_probabilities = torch.log_softmax(logits[has_label], dim=1)  # (places, vocab_size)
    loss = -log_probabilities.gather(1, right).sum() / has_label.sum().clamp(min=1)
    ### END SOLUTION
    return loss


exercise = Exercise(
    masked_lm_loss,
    points=3,
    objectives=["3.2"],
    title_en="The loss of a masked language model",
    title_ja="マスク言語モデルの損失",
    equivalent={"has_label = labels > -100": "-100 is the only label below 0"},
)


# -- cases -------------------------------------------------------------------------------------------------------------


def scored(make: Make, batch: int, time: int, size: int) -> dict[str, Tensor]:
    """Random scores and labels; row 0 has one label, the last row one fewer than all, the others every second one."""
    logits, labels = make.normal(batch, time, size), make.integers(0, size, batch, time)
    labels[0, 1:], labels[1:-1, ::2], labels[-1, 0] = -100, -100, -100
    return {"logits": logits, "labels": labels}


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, Tensor]:
    logits = torch.tensor([[[2.0, 0.0, 0.0], [5.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]).double()
    return {"logits": logits, "labels": torch.tensor([[0, -100, 2]])}  # (0.240 + 1.099) / 2 = 0.669


@exercise.visible(en="rows with different numbers of labels", ja="行によってラベルの数が違う場合")
def _(make: Make) -> dict[str, Tensor]:
    return scored(make, 2, 4, 5)


@exercise.visible(en="nothing has a label", ja="ラベルが一つもない場合")
def _(make: Make) -> dict[str, Tensor]:
    return {"logits": make.normal(2, 3, 4), "labels": torch.full((2, 3), -100)}


@exercise.hidden(en="a larger batch", ja="もっと大きなバッチ", weight=2)
def _(make: Make) -> dict[str, Tensor]:
    return scored(make, 4, 7, 6)


@exercise.hidden(
    en="scores as large as ±1000, and a single label", ja="±1000 ほどの大きなスコアで、ラベルが一つだけの場合"
)
def _(make: Make) -> dict[str, Tensor]:
    logits, labels = make.normal(2, 5, 4), torch.full((2, 5), -100)
    logits[1, 3] += torch.tensor([1000.0, -1000.0, 300.0, -50.0])
    labels[1, 3] = 1
    return {"logits": logits, "labels": labels}


@exercise.hidden(en="nothing has a label, in a longer batch", ja="ラベルが一つもない、もっと長いバッチ")
def _(make: Make) -> dict[str, Tensor]:
    return {"logits": make.normal(3, 6, 5), "labels": torch.full((3, 6), -100)}


@exercise.hidden(en="the gradient", ja="勾配", weight=2, gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    return scored(make, 3, 6, 7)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def summed(logits: Tensor, labels: Tensor) -> Tensor:
    """The losses of all places with a label, added up."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")


@exercise.mistake(
    en="The sum is divided by the number of all places, not of those with a label.",
    ja="ラベルのある位置の数ではなく、すべての位置の数で割っています。",
    hint_en="Should the loss become smaller merely because the batch has more padding?",
    hint_ja="バッチのパディングが増えただけで、損失が小さくなってよいでしょうか。",
)
def divided_by_all_places(logits: Tensor, labels: Tensor) -> Tensor:
    return summed(logits, labels) / labels.numel()


@exercise.mistake(
    en="Each row is averaged for itself, and then the rows: a label in a row with few of them counts more.",
    ja="まず行ごとに平均し、その平均をさらに平均しています。ラベルの少ない行のラベルほど重くなってしまいます。",
    hint_en="Two rows, one with a single label and one with nine. Which share of the loss should the single one have?",
    hint_ja="ラベルが 1 個の行と 9 個の行があるとき、その 1 個は損失の何分の 1 を占めるべきでしょうか。",
)
def rows_averaged(logits: Tensor, labels: Tensor) -> Tensor:
    losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")  # (batch, time), 0 where no label is
    return (losses.sum(dim=1) / (labels != -100).sum(dim=1).clamp(min=1)).mean()


@exercise.mistake(
    en="Where nothing has a label, the loss is nan: 0 is divided by 0.",
    ja="ラベルが一つもないとき、0 を 0 で割って損失が nan になっています。",
    hint_en="Short sentences at 15 %: a small batch may have no label at all. What keeps a divisor away from 0?",
    hint_ja="短い文が少しだけのバッチでは、15 % の確率だと、ラベルが一つもないことがあります。"
    "割る数が 0 にならないように"
    "するには、どうすればよいでしょうか。",
)
def nan_over_nothing(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


@exercise.mistake(
    en="The softmax is taken twice: F.cross_entropy and nn.CrossEntropyLoss take raw scores.",
    ja="ソフトマックスを二重にとっています。F.cross_entropy や nn.CrossEntropyLoss には、スコアをそのまま渡します。",
    hint_en="Which softmax is already inside the function that you call?",
    hint_ja="呼び出している関数の中に、ソフトマックスがすでに入っていませんか。",
)
def softmax_twice(logits: Tensor, labels: Tensor) -> Tensor:
    return summed(logits.softmax(dim=-1), labels) / (labels != -100).sum().clamp(min=1)


@exercise.mistake(
    en="The logarithm is taken after the softmax: a small probability underflows to 0, and the loss is inf.",
    ja="ソフトマックスの後で対数をとっています。小さな確率はアンダーフローして 0 になり、損失が inf になります。",
    hint_en="A score 1000 below the largest has a probability that no number holds, but its logarithm is an ordinary "
    "number. Which function gives it in one go?",
    hint_ja="最大のスコアより 1000 も小さいスコアの確率は、小さすぎて数として表せませんが、その対数はごく普通の数です。"
    "対数を一度に求める関数はどれでしょうか。",
)
def log_of_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    has_label = labels != -100
    right = logits[has_label].softmax(dim=-1).gather(-1, labels[has_label].unsqueeze(-1))
    return -right.log().sum() / has_label.sum().clamp(min=1)


@exercise.mistake(
    en="(batch, time, vocab) is made into (batch, vocab, time) by reshape: the scores of different places are mixed.",
    ja="(batch, time, vocab) を reshape で (batch, vocab, time) にしているため、異なる位置のスコアが混ざっています。",
    hint_en="F.cross_entropy wants the classes in dimension 1. Which operation moves a dimension, which only cuts the "
    "same row of numbers in another way?",
    hint_ja="F.cross_entropy では、クラスが次元 1 に来なければなりません。次元を移す操作はどれで、同じ数の並びを"
    "別の形に切り直すだけの操作はどれでしょうか。",
)
def reshaped_not_transposed(logits: Tensor, labels: Tensor) -> Tensor:
    batch, time, size = logits.shape
    losses = F.cross_entropy(logits.reshape(batch, size, time), labels, reduction="sum")
    return losses / (labels != -100).sum().clamp(min=1)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The library's loss, added up and divided by hand."""
    total = nn.CrossEntropyLoss(ignore_index=-100, reduction="sum")(logits.transpose(1, 2), labels)
    return total / max(int((labels != -100).sum()), 1)


@exercise.accepted
def with_one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax is logsumexp minus the score; a class beyond the last one takes the places without a label."""
    size = logits.size(-1)
    target = F.one_hot(torch.where(labels < 0, size, labels), size + 1)[..., :size].to(logits)
    losses = torch.einsum("btv,btv->bt", target, logits.logsumexp(dim=-1, keepdim=True) - logits)
    return losses.sum() / target.sum().clamp(min=1)


@exercise.accepted
def place_by_place(logits: Tensor, labels: Tensor) -> Tensor:
    losses = []
    for row, right in zip(logits, labels, strict=True):
        for scores, label in zip(row, right.tolist(), strict=True):
            if label != -100:
                shifted = scores - scores.max()
                losses.append(shifted.exp().sum().log() - shifted[label])
    return torch.stack(losses).mean() if losses else logits.sum() * 0


@exercise.accepted
def nothing_first(logits: Tensor, labels: Tensor) -> Tensor:
    """The library's mean wherever there is one."""
    if bool((labels == -100).all()):
        return logits.new_zeros(())
    loss = F.cross_entropy(logits.view(-1, logits.size(-1)), labels.view(-1))
    assert math.isfinite(loss)
    return loss
