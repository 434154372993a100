"""The loss of a causal language model and its perplexity (Radford et al., 2018, equation 1; Jelinek et al., 1977)."""

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


def perplexity(logits: Tensor, ids: Tensor) -> Tensor:
    """The exponential of the causal language model's loss, as a scalar; arguments as in causal_lm_loss."""
    ### BEGIN SOLUTION
    return causal_lm_loss(logits, ids).exp()
    ### END SOLUTION


exercise = Exercise(
    causal_lm_loss,
    perplexity,
    points=3,
    objectives=["4.4"],
    title_en="The loss of a causal language model, and its perplexity",
    title_ja="因果言語モデルの損失とパープレキシティ",
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
    return make.call("causal_lm_loss", **by_hand())  # (ln 2 + ln 4) / 2 = 1.040


@exercise.visible(en="the loss of a batch", ja="バッチの損失")
def _(make: Make) -> Trial:
    return make.call("causal_lm_loss", **scored(make, 2, 5, 4))


@exercise.visible(en="a text of one token", ja="1 トークンだけのテキスト")
def _(make: Make) -> Trial:
    return make.call("causal_lm_loss", **scored(make, 3, 1, 4))


@exercise.visible(en="the perplexity worked by hand in the text", ja="本文で手計算したパープレキシティ")
def _(make: Make) -> Trial:
    return make.call("perplexity", **by_hand())  # √(2 · 4) = 2.828


@exercise.visible(en="the perplexity of a batch", ja="バッチのパープレキシティ")
def _(make: Make) -> Trial:
    return make.call("perplexity", **scored(make, 3, 4, 6))


@exercise.hidden(en="the loss of a larger batch", ja="もっと大きなバッチの損失", weight=2)
def _(make: Make) -> Trial:
    return make.call("causal_lm_loss", **scored(make, 3, 7, 5))


@exercise.hidden(
    en="a single guess, on scores as large as ±1000", ja="予測は一つだけで、±1000 ほどの大きなスコア", weight=0.5
)
def _(make: Make) -> Trial:
    given = scored(make, 1, 2, 4)
    given["logits"][0, 0] += torch.tensor([1000.0, -1000.0, 300.0, -50.0])
    given["ids"][0, 1] = 1
    return make.call("causal_lm_loss", **given)


@exercise.hidden(en="texts of one token", ja="1 トークンだけのテキスト（複数）", weight=0.5)
def _(make: Make) -> Trial:
    return make.call("causal_lm_loss", **scored(make, 4, 1, 6))


@exercise.hidden(en="the gradient of the loss", ja="損失の勾配", gradients=True)
def _(make: Make) -> Trial:
    return make.call("causal_lm_loss", **scored(make, 2, 6, 7))


@exercise.hidden(en="the perplexity of another batch", ja="別のバッチのパープレキシティ")
def _(make: Make) -> Trial:
    return make.call("perplexity", **scored(make, 4, 6, 5))


# -- mistakes ----------------------------------------------------------------------------------------------------------


def mean_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over all places of the batch, and 0 over none."""
    total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    return total / max(labels.numel(), 1)


@exercise.mistake(
    answer="causal_lm_loss",
    en="There is no shift: each position is asked for the token that it has just been shown.",
    ja="ずらしていません。どの位置でも、いま見せたばかりのトークンを当てさせています。",
    hint_en="The logits at position t were made with the token at t in view. Which token do they guess?",
    hint_ja="位置 t のロジットは、位置 t のトークンを見て計算されています。それが当てるのはどのトークンでしょうか。",
)
def not_shifted(logits: Tensor, ids: Tensor) -> Tensor:
    return mean_loss(logits, ids)


@exercise.mistake(
    answer="causal_lm_loss",
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
    answer="causal_lm_loss",
    en="The text is rolled, not cut: the last position is asked for the first token.",
    ja="切り落とさずに巡回させています。最後の位置に、先頭のトークンを当てさせています。",
    hint_en="What follows the last token of the text? How many guesses does a text of time tokens hold?",
    hint_ja="テキストの最後のトークンの次には何がありますか。time 個のトークンからは、予測がいくつできるでしょうか。",
)
def rolled(logits: Tensor, ids: Tensor) -> Tensor:
    return mean_loss(logits, ids.roll(-1, dims=1))


@exercise.mistake(
    answer="causal_lm_loss",
    en="The sum is divided by the number of all tokens, not of those that are guessed.",
    ja="当てさせたトークンの数ではなく、すべてのトークンの数で割っています。",
    hint_en="Is the first token of a text ever guessed?",
    hint_ja="テキストの最初のトークンは、予測の対象になっていますか。",
)
def divided_by_all(logits: Tensor, ids: Tensor) -> Tensor:
    return mean_loss(logits[:, :-1], ids[:, 1:]) * (ids.size(1) - 1) / ids.size(1)


@exercise.mistake(
    answer="causal_lm_loss",
    en="The losses are added up, not averaged.",
    ja="損失を平均せずに合計しています。",
    hint_en="Should a longer text have a larger loss merely because it is longer?",
    hint_ja="テキストが長いというだけで、損失が大きくなってよいでしょうか。",
)
def summed(logits: Tensor, ids: Tensor) -> Tensor:
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")


@exercise.mistake(
    answer="causal_lm_loss",
    en="Where there is nothing to guess, the loss is nan: 0 is divided by 0.",
    ja="当てるものがないとき、0 を 0 で割って損失が nan になっています。",
    hint_en="A text of one token has no token that follows another. What keeps a divisor away from 0?",
    hint_ja="1 トークンだけのテキストには、次のトークンがありません。割る数が 0 にならないようにするには、"
    "どうすればよいでしょうか。",
)
def nan_over_nothing(logits: Tensor, ids: Tensor) -> Tensor:
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


@exercise.mistake(
    answer="causal_lm_loss",
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


@exercise.mistake(
    answer="perplexity",
    en="The loss is in nats, but 2 is raised to it, as if it were in bits.",
    ja="損失の単位はナットなのに、ビットであるかのように 2 のべき乗をとっています。",
    hint_en="Which logarithm is in the loss? Its inverse undoes it.",
    hint_ja="損失に使われている対数の底は何ですか。それを打ち消すのは、その逆関数です。",
)
def two_to_the_loss(logits: Tensor, ids: Tensor) -> Tensor:
    return 2 ** causal_lm_loss(logits, ids)


@exercise.mistake(
    answer="perplexity",
    en="The exponential is taken of every token's loss, and the mean over that.",
    ja="先にトークンごとの損失の指数をとり、その後で平均しています。",
    hint_en="Perplexity is a geometric mean. In which order do the mean and the exponential come?",
    hint_ja="パープレキシティは幾何平均です。平均と指数関数は、どの順に適用しますか。",
)
def mean_of_exponentials(logits: Tensor, ids: Tensor) -> Tensor:
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none").exp().mean()


@exercise.mistake(
    answer="perplexity",
    en="Each row has a perplexity of its own, and these are averaged.",
    ja="行ごとにパープレキシティを求め、それを平均しています。",
    hint_en="The mean in the exponent is over the batch. Is a mean of exponentials the exponential of a mean?",
    hint_ja="指数の肩に乗る平均は、バッチ全体の平均です。指数の平均は、平均の指数と等しいでしょうか。",
)
def mean_over_rows(logits: Tensor, ids: Tensor) -> Tensor:
    return torch.stack(
        [causal_lm_loss(row[None], text[None]).exp() for row, text in zip(logits, ids, strict=True)]
    ).mean()


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted(answer="causal_lm_loss")
def with_log_softmax(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probabilities, gathered; nothing to guess is told apart at the start."""
    if ids.shape[1] < 2:
        return logits.sum() * 0
    log_probabilities = torch.log_softmax(logits, dim=2)[:, :-1]
    return -torch.gather(log_probabilities, 2, ids[:, 1:].unsqueeze(2)).mean()


@exercise.accepted(answer="causal_lm_loss")
def with_labels_that_are_ignored(logits: Tensor, ids: Tensor) -> Tensor:
    """The last position keeps its place and gets the label that cross_entropy leaves out."""
    following = F.pad(ids[:, 1:], (0, 1), value=-100)
    losses = F.cross_entropy(logits.transpose(1, 2), following, reduction="none")
    return losses.sum() / (following != -100).sum().clamp(min=1)


@exercise.accepted(answer="causal_lm_loss")
def token_by_token(logits: Tensor, ids: Tensor) -> Tensor:
    losses = [logits.new_zeros(())]
    for scores, text in zip(logits, ids.tolist(), strict=True):
        for place in range(1, len(text)):
            losses.append(scores[place - 1].logsumexp(dim=0) - scores[place - 1, text[place]])
    return torch.stack(losses).sum() / max(len(losses) - 1, 1)


@exercise.accepted(answer="perplexity")
def geometric_mean(logits: Tensor, ids: Tensor) -> Tensor:
    """The geometric mean of one over the probability of each token."""
    chances = logits[:, :-1].softmax(dim=-1).gather(-1, ids[:, 1:, None])
    return (1 / chances).prod() ** (1 / chances.numel())
