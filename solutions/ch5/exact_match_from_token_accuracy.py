"""Emergence as an effect of the metric (Schaeffer, Miranda and Koyejo, 2023, section 2)."""

import math

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make, Trial


def exact_match_from_token_accuracy(p: Tensor, length: int | Tensor) -> Tensor:
    """How often a whole answer is right, when each of its tokens is right with the same probability, independently.

    Args:
        p: the probability that a token is right, from 0 to 1; any shape.
        length: how many tokens an answer has, a whole number, or a tensor of them whose shape broadcasts with p's.
            An empty answer, length 0, is always right.

    Returns:
        the probability that all tokens of an answer are right; the shape that p and length have together.
    """
    ### BEGIN SOLUTION
    return p**length
    ### END SOLUTION


def token_accuracy_from_exact_match(exact_match: Tensor, length: int | Tensor) -> Tensor:
    """The other way round: which probability for each token gives this share of answers that are right as a whole?

    Args:
        exact_match: from 0 to 1; any shape.
        length: as above, but at least 1.

    Returns:
        the probability that a token is right; the shape that exact_match and length have together.
    """
    ### BEGIN SOLUTION
    return exact_match ** (1 / length)
    ### END SOLUTION


exercise = Exercise(
    exact_match_from_token_accuracy,
    token_accuracy_from_exact_match,
    points=2,
    objectives=["5.2"],
    title_en="Exact match from token accuracy",
    title_ja="トークン正解率から完全一致率へ",
)


# -- cases -------------------------------------------------------------------------------------------------------------


@exercise.visible(en="five models and answers of five tokens", ja="五つのモデルと、5 トークンの解答")
def _(make: Make) -> Trial:
    p = torch.tensor([0.5, 0.7, 0.8, 0.9, 0.98], dtype=torch.float64)
    return make.call("exact_match_from_token_accuracy", p=p, length=5)


@exercise.visible(en="three models, four lengths", ja="三つのモデルと四通りの長さ")
def _(make: Make) -> Trial:
    p, length = make.uniform(3, 1, low=0.3, high=0.95), torch.tensor([1, 2, 5, 10])
    return make.call("exact_match_from_token_accuracy", p=p, length=length)


@exercise.visible(en="half of the answers of ten tokens right", ja="10 トークンの解答の半分が正解の場合")
def _(make: Make) -> Trial:
    half = torch.tensor([0.5, 0.25], dtype=torch.float64)
    return make.call("token_accuracy_from_exact_match", exact_match=half, length=10)


@exercise.hidden(en="several models and lengths", ja="いくつものモデルと長さ")
def _(make: Make) -> Trial:
    p = make.uniform(2, 4, 1, low=0.4, high=0.99)
    return make.call("exact_match_from_token_accuracy", p=p, length=make.integers(2, 7, 4, 3))


@exercise.hidden(en="certainty, impossibility and empty answers", ja="必ず正解、必ず不正解、空の解答", weight=0.5)
def _(make: Make) -> Trial:
    p = torch.tensor([0.0, 1.0, 0.0, float(make.uniform(low=0.2, high=0.8))], dtype=torch.float64)
    return make.call("exact_match_from_token_accuracy", p=p, length=torch.tensor([3, 8, 0, 0]))


@exercise.hidden(en="the other way round, for several lengths", ja="逆向き、いくつもの長さ")
def _(make: Make) -> Trial:
    share = make.uniform(5, 1, low=0.05, high=0.9)
    share[0] = 0.0
    return make.call("token_accuracy_from_exact_match", exact_match=share, length=make.integers(2, 9, 3))


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    answer="exact_match_from_token_accuracy",
    en="That is the probability that at least one token is right.",
    ja="それは、少なくとも一つのトークンが正しい確率です。",
    hint_en="One wrong token spoils the answer. What must hold of each of them?",
    hint_ja="一つでも間違えば、解答全体が不正解です。それぞれのトークンについて、何が成り立てばよいでしょうか。",
)
def at_least_one(p: Tensor, length: int | Tensor) -> Tensor:
    return 1 - (1 - p) ** length


@exercise.mistake(
    answer="exact_match_from_token_accuracy",
    en="The probability of a token is multiplied by the length.",
    ja="トークンが正しい確率に長さを掛けています。",
    hint_en="Can the result be above 1? How do the probabilities of independent events combine?",
    hint_ja="その値は 1 を超えませんか。独立な事象がすべて起こる確率は、どのように求めますか。",
)
def times_the_length(p: Tensor, length: int | Tensor) -> Tensor:
    return p * length


@exercise.mistake(
    answer="exact_match_from_token_accuracy",
    en="The result is a logarithm, not a probability.",
    ja="結果が確率ではなく、対数になっています。",
    hint_en="Adding up logarithms is a good idea; one step is still missing after it.",
    hint_ja="対数を足し合わせるのはよい考えです。その後に、もう一手が必要です。",
)
def still_a_logarithm(p: Tensor, length: int | Tensor) -> Tensor:
    return length * p.log()


@exercise.mistake(
    answer="token_accuracy_from_exact_match",
    en="The share is divided by the length.",
    ja="割合を長さで割っています。",
    hint_en="Raise your result to the power of the length: does the share come back?",
    hint_ja="得られた値を長さの数だけ掛け合わせてみてください。もとの割合に戻りますか。",
)
def divided_by_the_length(exact_match: Tensor, length: int | Tensor) -> Tensor:
    return exact_match / length


@exercise.mistake(
    answer="token_accuracy_from_exact_match",
    en="The power was taken once more instead of being undone.",
    ja="累乗を元に戻すのではなく、もう一度累乗しています。",
    hint_en="A token is right at least as often as the whole answer. Is yours?",
    hint_ja="トークンが正しい割合は、解答全体が正しい割合を下回りません。あなたの値はどうですか。",
)
def power_taken_again(exact_match: Tensor, length: int | Tensor) -> Tensor:
    return exact_match**length


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted(answer="exact_match_from_token_accuracy")
def one_factor_after_the_other(p: Tensor, length: int | Tensor) -> Tensor:
    """A loop over the tokens, each of which counts where an answer is that long."""
    length = torch.as_tensor(length, device=p.device)
    result = torch.ones(torch.broadcast_shapes(p.shape, length.shape), dtype=p.dtype, device=p.device)
    for token in range(int(length.max())):
        result = result * torch.where(token < length, p, 1.0)
    return result


@exercise.accepted(answer="exact_match_from_token_accuracy")
def by_logarithms(p: Tensor, length: int | Tensor) -> Tensor:
    """xlogy takes 0 times the logarithm of 0 for 0."""
    return torch.special.xlogy(torch.as_tensor(length, device=p.device), p).exp()


@exercise.accepted(answer="token_accuracy_from_exact_match")
def mean_logarithm(exact_match: Tensor, length: int | Tensor) -> Tensor:
    return torch.exp(torch.log(exact_match) / length)


@exercise.accepted(answer="token_accuracy_from_exact_match")
def number_by_number(exact_match: Tensor, length: int | Tensor) -> Tensor:
    """Plain Python on broadcast lists."""
    shares, lengths = torch.broadcast_tensors(exact_match, torch.as_tensor(length, device=exact_match.device))
    found = [math.pow(s, 1.0 / n) for s, n in zip(shares.flatten().tolist(), lengths.flatten().tolist(), strict=True)]
    return torch.tensor(found, dtype=exact_match.dtype, device=exact_match.device).reshape(shares.shape)
