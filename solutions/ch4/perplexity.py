"""The perplexity of a causal language model: the exponential of its loss (Jelinek et al., 1977)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.course.standins_decoding import causal_lm_loss
from autograder.exercise import Exercise
from autograder.make import Make, Trial


def perplexity(logits: Tensor, ids: Tensor) -> Tensor:
    """The exponential of the causal language model's loss, as a scalar; your causal_lm_loss may be called.

    Args:
        logits: (batch, time, vocab_size), raw scores.
        ids: (batch, time), int64, with time at least 2: the text that the model was given.
    """
    ### BEGIN SOLUTION
    return causal_lm_loss(logits, ids).exp()
    ### END SOLUTION


exercise = Exercise(
    perplexity,
    points=1,
    objectives=["4.4"],
    title_en="Perplexity",
    title_ja="パープレキシティ",
    stand_ins={"causal_lm_loss": "autograder.course.standins_decoding:causal_lm_loss"},
)


# -- cases -------------------------------------------------------------------------------------------------------------


def scored(make: Make, batch: int, time: int, size: int) -> dict[str, Tensor]:
    return {"logits": make.normal(batch, time, size), "ids": make.integers(0, size, batch, time)}


def by_hand() -> dict[str, Tensor]:
    """Guessed right with probability 1/2, then 1/4; the last row of logits, as sure as it is, is about nothing."""
    chances = torch.tensor([[[0.25, 0.25, 0.5], [0.5, 0.25, 0.25], [0.98, 0.01, 0.01]]]).double()
    return {"logits": chances.log(), "ids": torch.tensor([[0, 2, 1]])}


@exercise.visible(en="the perplexity worked by hand in the text", ja="本文で手計算したパープレキシティ")
def _(make: Make) -> Trial:
    return make.call(**by_hand())  # √(2 · 4) = 2.828


@exercise.visible(en="the perplexity of a batch", ja="バッチのパープレキシティ")
def _(make: Make) -> Trial:
    return make.call(**scored(make, 3, 4, 6))


@exercise.hidden(en="a larger batch", ja="もっと大きなバッチ")
def _(make: Make) -> Trial:
    return make.call(**scored(make, 4, 6, 5))


@exercise.hidden(en="a single guess", ja="予測が一つだけの場合")
def _(make: Make) -> Trial:
    return make.call(**scored(make, 1, 2, 7))


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The loss is in nats, but 2 is raised to it, as if it were in bits.",
    ja="損失の単位はナットなのに、ビットであるかのように 2 のべき乗をとっています。",
    hint_en="Which logarithm is in the loss? Its inverse undoes it.",
    hint_ja="損失に使われている対数の底は何ですか。それを打ち消すのは、その逆関数です。",
)
def two_to_the_loss(logits: Tensor, ids: Tensor) -> Tensor:
    return 2 ** causal_lm_loss(logits, ids)


@exercise.mistake(
    en="The exponential is taken of every token's loss, and the mean over that.",
    ja="先にトークンごとの損失の指数をとり、その後で平均しています。",
    hint_en="Perplexity is a geometric mean. In which order do the mean and the exponential come?",
    hint_ja="パープレキシティは幾何平均です。平均と指数関数は、どの順に適用しますか。",
)
def mean_of_exponentials(logits: Tensor, ids: Tensor) -> Tensor:
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none").exp().mean()


@exercise.mistake(
    en="Each row has a perplexity of its own, and these are averaged.",
    ja="行ごとにパープレキシティを求め、それを平均しています。",
    hint_en="The mean in the exponent is over the batch. Is a mean of exponentials the exponential of a mean?",
    hint_ja="指数の肩に乗る平均は、バッチ全体の平均です。指数の平均は、平均の指数と等しいでしょうか。",
)
def mean_over_rows(logits: Tensor, ids: Tensor) -> Tensor:
    return torch.stack(
        [causal_lm_loss(row[None], text[None]).exp() for row, text in zip(logits, ids, strict=True)]
    ).mean()


@exercise.mistake(
    en="That is the loss itself: no exponential is taken.",
    ja="損失そのものを返しています。指数をとっていません。",
    hint_en="The loss is a mean of logarithms. What turns it back into a number of choices?",
    hint_ja="損失は対数の平均です。それを選択肢の数に戻すのは何でしょうか。",
)
def the_loss_itself(logits: Tensor, ids: Tensor) -> Tensor:
    return causal_lm_loss(logits, ids)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def geometric_mean(logits: Tensor, ids: Tensor) -> Tensor:
    """The geometric mean of one over the probability of each token."""
    chances = logits[:, :-1].softmax(dim=-1).gather(-1, ids[:, 1:, None])
    return (1 / chances).prod() ** (1 / chances.numel())


@exercise.accepted
def without_the_loss(logits: Tensor, ids: Tensor) -> Tensor:
    """Cross-entropy anew, in place of the earlier answer."""
    return torch.exp(F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:]))
