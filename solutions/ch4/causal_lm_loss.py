"""The loss of a causal language model (Radford et al., 2018, equation 1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make, Trial


def causal_lm_loss(logits: Tensor, ids: Tensor) -> Tensor:
    """The mean cross-entropy of all tokens that have a predecessor: what stands at t is guessed from logits[:, t - 1].

        loss = mean over the rows and over t = 1 ... time - 1 of  -log softmax(logits[:, t - 1])[ids[:, t]]

    The shift is made here: logits and ids come as the model gives and takes them. The logits at the last position
    guess a token that is not there and count for nothing. Texts are cut into pieces of one length, so that there is no
    padding, and no label is ignored.

    Args:
        logits: (batch, time, vocab_size), raw scores of any size, as large as ±1000.
        ids: (batch, time), int64: the text that the model was given.

    Returns:
        a scalar, in nats; 0 where time is 1 and there is nothing to guess (it must not become nan).
    """
    ### BEGIN SOLUTION
    scores, following = logits[:, :-1], ids[:, 1:]
    total = F.cross_entropy(scores.flatten(0, 1), following.flatten(), reduction="sum")
    return total / max(following.numel(), 1)
    ### END SOLUTION


exercise = Exercise(
    causal_lm_loss,
    points=2,
    objectives=["4.4"],
    title_en="The loss of a causal language model",
    title_ja="因果言語モデルの損失",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def scored(make: Make, batch: int, time: int, size: int) -> dict[str, Tensor]:
    return {"logits": make.normal(batch, time, size), "ids": make.integers(0, size, batch, time)}


def by_hand() -> dict[str, Tensor]:
    """Guessed right with probability 1/2, then 1/4; the last row of logits, as sure as it is, is about nothing."""
    chances = torch.tensor([[[0.25, 0.25, 0.5], [0.5, 0.25, 0.25], [0.98, 0.01, 0.01]]]).double()
    return {"logits": chances.log(), "ids": torch.tensor([[0, 2, 1]])}


@exercise.visible(en="the loss worked by hand in the text", ja="本文で手計算した損失")
def _(make: Make) -> Trial:
    return make.call(**by_hand())  # (ln 2 + ln 4) / 2 = 1.040


@exercise.visible(en="the loss of a batch", ja="バッチの損失")
def _(make: Make) -> Trial:
    return make.call(**scored(make, 2, 5, 4))


@exercise.visible(en="a text of one token", ja="1 トークンだけのテキスト")
def _(make: Make) -> Trial:
    return make.call(**scored(make, 3, 1, 4))


@exercise.hidden(en="the loss of a larger batch", ja="もっと大きなバッチの損失", weight=2)
def _(make: Make) -> Trial:
    return make.call(**scored(make, 3, 7, 5))


@exercise.hidden(
    en="a single guess, on scores as large as ±1000", ja="予測は一つだけで、±1000 ほどの大きなスコア", weight=0.5
)
def _(make: Make) -> Trial:
    given = scored(make, 1, 2, 4)
    given["logits"][0, 0] += torch.tensor([1000.0, -1000.0, 300.0, -50.0])
    given["ids"][0, 1] = 1
    return make.call(**given)


@exercise.hidden(en="texts of one token", ja="1 トークンだけのテキスト（複数）", weight=0.5)
def _(make: Make) -> Trial:
    return make.call(**scored(make, 4, 1, 6))


@exercise.hidden(en="the gradient of the loss", ja="損失の勾配", gradients=True)
def _(make: Make) -> Trial:
    return make.call(**scored(make, 2, 6, 7))


# -- mistakes ----------------------------------------------------------------------------------------------------------


def mean_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over all places of the batch, and 0 over none."""
    total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    return total / max(labels.numel(), 1)


@exercise.mistake(
    en="There is no shift: each position is asked for the token that it has just been shown.",
    ja="ずらしていません。どの位置でも、いま見せたばかりのトークンを当てさせています。",
    hint_en="The logits at position t were made with the token at t in view. Which token do they guess?",
    hint_ja="位置 t のロジットは、位置 t のトークンを見て計算されています。それが当てるのはどのトークンでしょうか。",
)
def not_shifted(logits: Tensor, ids: Tensor) -> Tensor:
    return mean_loss(logits, ids)


@exercise.mistake(
    en="The shift goes the wrong way: the tokens are guessed from what comes after them.",
    ja="ずらす向きが逆です。後ろのトークンから前のトークンを当てさせています。",
    hint_en="Put the first logits beside the token that they should guess. Which of the two tensors loses its first "
    "column, and which its last?",
    hint_ja="最初のロジットと、それが当てるべきトークンを並べてみましょう。最初の列を落とすのはどちらのテンソルで、"
    "最後の列を落とすのはどちらでしょうか。",
)
def shifted_backwards(logits: Tensor, ids: Tensor) -> Tensor:
    return mean_loss(logits[:, 1:], ids[:, :-1])


@exercise.mistake(
    en="The text is rolled, not cut: the last position is asked for the first token.",
    ja="切り落とさずに巡回させています。最後の位置に、先頭のトークンを当てさせています。",
    hint_en="What follows the last token of the text? How many guesses does a text of time tokens hold?",
    hint_ja="テキストの最後のトークンの次には何がありますか。time 個のトークンからは、予測がいくつできるでしょうか。",
)
def rolled(logits: Tensor, ids: Tensor) -> Tensor:
    return mean_loss(logits, ids.roll(-1, dims=1))


@exercise.mistake(
    en="The sum is divided by the number of all tokens, not of those that are guessed.",
    ja="当てさせたトークンの数ではなく、すべてのトークンの数で割っています。",
    hint_en="Is the first token of a text ever guessed?",
    hint_ja="テキストの最初のトークンは、予測の対象になっていますか。",
)
def divided_by_all(logits: Tensor, ids: Tensor) -> Tensor:
    return mean_loss(logits[:, :-1], ids[:, 1:]) * (ids.size(1) - 1) / ids.size(1)


@exercise.mistake(
    en="The losses are added up, not averaged.",
    ja="損失を平均せずに合計しています。",
    hint_en="Should a longer text have a larger loss merely because it is longer?",
    hint_ja="テキストが長いというだけで、損失が大きくなってよいでしょうか。",
)
def summed(logits: Tensor, ids: Tensor) -> Tensor:
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")


@exercise.mistake(
    en="Where there is nothing to guess, the loss is nan: 0 is divided by 0.",
    ja="当てるものがないとき、0 を 0 で割って損失が nan になっています。",
    hint_en="A text of one token has no token that follows another. What keeps a divisor away from 0?",
    hint_ja="1 トークンだけのテキストには、次のトークンがありません。割る数が 0 にならないようにするには、"
    "どうすればよいでしょうか。",
)
def nan_over_nothing(logits: Tensor, ids: Tensor) -> Tensor:
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


@exercise.mistake(
    en="The logarithm is taken after the softmax: a small probability underflows to 0, and the loss is inf.",
    ja="ソフトマックスの後で対数をとっています。小さな確率はアンダーフローして 0 になり、損失が inf になります。",
    hint_en="A score 1000 below the largest has a probability that no number holds, but its logarithm is an ordinary "
    "number. Which function gives it in one go?",
    hint_ja="最大のスコアより 1000 も小さいスコアの確率は、小さすぎて数として表せませんが、その対数はごく普通の数です。"
    "対数を一度に求める関数はどれでしょうか。",
)
def log_of_softmax(logits: Tensor, ids: Tensor) -> Tensor:
    right = logits[:, :-1].softmax(dim=-1).gather(-1, ids[:, 1:, None])
    return -right.log().sum() / max(right.numel(), 1)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_log_softmax(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probabilities, gathered; nothing to guess is told apart at the start."""
    if ids.shape[1] < 2:
        return logits.sum() * 0
    log_probabilities = torch.log_softmax(logits, dim=2)[:, :-1]
    return -torch.gather(log_probabilities, 2, ids[:, 1:].unsqueeze(2)).mean()


@exercise.accepted
def with_labels_that_are_ignored(logits: Tensor, ids: Tensor) -> Tensor:
    """The last position keeps its place and gets the label that cross_entropy leaves out."""
    following = F.pad(ids[:, 1:], (0, 1), value=-100)
    losses = F.cross_entropy(logits.transpose(1, 2), following, reduction="none")
    return losses.sum() / (following != -100).sum().clamp(min=1)


@exercise.accepted
def token_by_token(logits: Tensor, ids: Tensor) -> Tensor:
    losses = [logits.new_zeros(())]
    for scores, text in zip(logits, ids.tolist(), strict=True):
        for place in range(1, len(text)):
            losses.append(scores[place - 1].logsumexp(dim=0) - scores[place - 1, text[place]])
    return torch.stack(losses).sum() / max(len(losses) - 1, 1)
