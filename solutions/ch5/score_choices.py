"""Choosing an answer by its likelihood under a language model (Brown et al., 2020, section 2.4)."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make, Trial


def score_choices(
    logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """How likely a language model holds each of several continuations of one context to be.

    The score of a choice is log p(choice | context), the sum of the log-probabilities of its tokens, each given the
    context and the choice's tokens before it. Tokens of the context are not scored.

    Args:
        logits_fn: a causal language model: ids (batch, time), int64, -> logits (batch, time, vocab). The logits at a
            position are about the token that follows it, and depend on no later one. They are raw scores: neither
            they nor their exponentials sum to one.
        context_ids: (time,), int64, at least one token.
        choices: at least one; each is (length,), int64, with at least one token. The lengths differ.

    Returns:
        sums: (choices,), log p(choice | context), in natural logarithms.
        means: (choices,), the same divided by the choice's own number of tokens.
    """
    ### BEGIN SOLUTION
    scores = []
    for choice in choices:
        logits = logits_fn(torch.cat([context_ids, choice])[None])[0]
        about_choice = logits[len(context_ids) - 1 : -1]  # the last logits are about what comes after the choice
        scores.append(about_choice.log_softmax(dim=-1).gather(1, choice[:, None]).sum())
    sums = torch.stack(scores)
    return sums, sums / torch.tensor([len(choice) for choice in choices], device=sums.device)
    ### END SOLUTION


exercise = Exercise(
    score_choices,
    points=4,
    objectives=["5.3", "5.4"],
    title_en="Scoring choices by likelihood",
    title_ja="尤度による候補の採点",
    equivalent={
        "return sums, sums / torch.tensor([len(choice) for choice in choices])": "on the CPU, where mutants run, "
        "the sums are there anyway",
        "logits = logits_fn(torch.cat([context_ids, choice])[None])[ -1]": "the batch holds one row",
        "scores.append(about_choice.log_softmax(dim=1).gather(1, choice[:, None]).sum())": "the last of two dimensions",
    },
)

MODEL = "autograder.course.in_context:PrefixLogits"


# -- cases -------------------------------------------------------------------------------------------------------------


def scoring(make: Make, vocab: int, context: int, lengths: list[int], scale: float = 1.0) -> Trial:
    """A model with tables of its own, and choices of these lengths whose tokens are all drawn anew."""
    tables = make.normal(vocab, vocab, scale=scale), make.normal(vocab, vocab, scale=scale)
    return make.call(
        logits_fn=make.recipe(MODEL, *tables),
        context_ids=make.integers(0, vocab, context),
        choices=[make.integers(0, vocab, length) for length in lengths],
    )


@exercise.visible(en="three choices, by hand", ja="手で計算できる、三つの候補")
def _(make: Make) -> Trial:
    probabilities = torch.tensor([[0.1, 0.6, 0.2, 0.1], [0.1, 0.1, 0.3, 0.5], [0.2, 0.2, 0.2, 0.4], [0.25] * 4])
    logits = probabilities.double().log() + torch.tensor([[1.0], [-2.0], [0.5], [3.0]])
    choices = [torch.tensor([1, 3]), torch.tensor([2]), torch.tensor([3, 0])]
    return make.call(logits_fn=make.recipe(MODEL, logits), context_ids=torch.tensor([2, 0]), choices=choices)


@exercise.visible(en="choices of one to four tokens", ja="1～4 トークンの候補")
def _(make: Make) -> Trial:
    return scoring(make, vocab=7, context=5, lengths=[2, 4, 1])


@exercise.visible(en="a single choice after a context of one token", ja="1 トークンの文脈と、ただ一つの候補")
def _(make: Make) -> Trial:
    return scoring(make, vocab=6, context=1, lengths=[3])


@exercise.hidden(en="four choices of different lengths", ja="長さの違う四つの候補", weight=2)
def _(make: Make) -> Trial:
    return scoring(make, vocab=11, context=6, lengths=[3, 1, 5, 2])


@exercise.hidden(en="choices of one token", ja="1 トークンの候補")
def _(make: Make) -> Trial:
    return scoring(make, vocab=9, context=4, lengths=[1, 1, 1])


@exercise.hidden(en="large logits", ja="大きなロジット")
def _(make: Make) -> Trial:
    return scoring(make, vocab=8, context=3, lengths=[2, 4], scale=2000.0)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def by_token(
    logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor], shift: int = 1, raw: bool = False
) -> list[Tensor]:
    """For each choice what its tokens score, read `shift` places before them."""
    found = []
    for choice in choices:
        scores = logits_fn(torch.cat([context_ids, choice])[None])[0]
        scores = scores if raw else scores.log_softmax(dim=-1)
        places = torch.arange(len(choice), device=choice.device) + len(context_ids) - shift
        found.append(scores[places, choice])
    return found


def both(tokens: list[Tensor]) -> tuple[Tensor, Tensor]:
    return torch.stack([each.sum() for each in tokens]), torch.stack([each.mean() for each in tokens])


@exercise.mistake(
    en="Logits are taken for log-probabilities: they are added up without a softmax.",
    ja="ロジットを対数確率とみなし、ソフトマックスをかけずに足しています。",
    hint_en="Take the exponential of one row of your scores and add it up. What does it come to, and what should it?",
    hint_ja="あなたのスコアの一行について、指数関数をとって合計してみましょう。いくつになるはずですか。",
)
def raw_logits(logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor]) -> Any:
    return both(by_token(logits_fn, context_ids, choices, raw=True))


@exercise.mistake(
    en="Each token is scored by the logits at its own place.",
    ja="各トークンを、そのトークン自身の位置のロジットで採点しています。",
    hint_en="What has the model read at a position, and which token are the logits there about?",
    hint_ja="ある位置でモデルが読み終えているのはどこまでで、そこのロジットはどのトークンについてのものでしょうか。",
)
def at_their_own_place(logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor]) -> Any:
    found = []
    for choice in choices:
        logs = F.log_softmax(logits_fn(torch.cat([context_ids, choice])[None])[0], dim=-1)
        found.append(logs[len(context_ids) :].gather(1, choice[:, None])[:, 0])
    return both(found)


@exercise.mistake(
    en="The tokens of the context are scored, too.",
    ja="文脈のトークンまで採点に含めています。",
    hint_en="The context is given. At which position of the joined ids does the first token stand that is in question?",
    hint_ja="文脈は与えられたものです。つなげた ids の中で、問われている最初のトークンはどの位置にありますか。",
)
def context_scored(logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor]) -> Any:
    found = []
    for choice in choices:
        ids = torch.cat([context_ids, choice])
        logs = logits_fn(ids[None])[0, :-1].log_softmax(dim=-1)
        found.append(logs.gather(1, ids[1:, None])[:, 0])
    return both(found)


@exercise.mistake(
    en="The choice is scored without its context.",
    ja="文脈を与えずに候補を採点しています。",
    hint_en="log p(choice | context): what must the model have read before it meets the second token of a choice?",
    hint_ja="log p(候補 | 文脈) です。候補の二つ目のトークンの前に、モデルは何を読んでいるべきでしょうか。",
)
def without_context(logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor]) -> Any:
    return both(by_token(logits_fn, context_ids[-1:], choices))


@exercise.mistake(
    en="The first token of a choice is left out of the sum.",
    ja="候補の最初のトークンが和に入っていません。",
    hint_en="Which position's logits are about the first token of the choice? It is a position of the context.",
    hint_ja="候補の最初のトークンについてのロジットは、どの位置にありますか。文脈の側の位置です。",
)
def first_token_left_out(logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor]) -> Any:
    scores = by_token(logits_fn, context_ids, choices)
    sums = torch.stack([each[1:].sum() for each in scores])
    return sums, sums / torch.tensor([len(each) for each in choices], device=sums.device)


@exercise.mistake(
    en="The mean divides by the length of context and choice together.",
    ja="平均を取るとき、文脈と候補を合わせた長さで割っています。",
    hint_en="How many numbers were added up? Divide by as many.",
    hint_ja="足し合わせた数はいくつありますか。その個数で割ります。",
)
def divided_by_all(logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor]) -> Any:
    sums = both(by_token(logits_fn, context_ids, choices))[0]
    return sums, sums / torch.tensor([len(context_ids) + len(each) for each in choices], device=sums.device)


@exercise.mistake(
    en="The logarithm is taken after the softmax, or even after the product of the probabilities: small probabilities "
    "have become 0 by then, and their logarithm is -inf.",
    ja="ソフトマックスの後、あるいは確率の積を取った後で対数を取っています。小さな確率はそこで 0 になり、"
    "対数が -inf になります。",
    hint_en="exp(-2000) is 0 on a computer. Which function gives log-probabilities without passing through "
    "probabilities?",
    hint_ja="exp(-2000) はコンピュータの上では 0 です。確率を経由せずに対数確率を求める関数は何でしょうか。",
)
def log_of_the_softmax(logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor]) -> Any:
    found = []
    for choice in choices:
        probabilities = logits_fn(torch.cat([context_ids, choice])[None])[0].softmax(dim=-1)
        places = torch.arange(len(choice), device=choice.device) + len(context_ids) - 1
        found.append(probabilities[places, choice].log())
    return both(found)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_cross_entropy(
    logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """The cross-entropy of the choice's tokens is minus their log-probability."""
    sums, means = [], []
    for choice in choices:
        ids = torch.cat((context_ids, choice)).unsqueeze(0)
        labels = ids.clone()
        labels[:, : context_ids.numel()] = -100
        logits, labels = logits_fn(ids)[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
        sums.append(-F.cross_entropy(logits, labels, reduction="sum"))
        means.append(-F.cross_entropy(logits, labels))
    return torch.stack(sums), torch.stack(means)


@exercise.accepted
def in_one_batch(
    logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """All choices at once, padded on the right: a causal model does not look there."""
    padded = torch.nn.utils.rnn.pad_sequence(choices, batch_first=True)
    lengths = torch.tensor([choice.shape[0] for choice in choices], device=padded.device)
    ids = torch.cat([context_ids.expand(len(choices), -1), padded], dim=1)
    logs = torch.log_softmax(logits_fn(ids), dim=2)[:, context_ids.shape[0] - 1 : -1]
    tokens = logs.gather(2, padded.unsqueeze(2)).squeeze(2)
    real = torch.arange(padded.shape[1], device=padded.device) < lengths.unsqueeze(1)
    sums = torch.where(real, tokens, 0.0).sum(dim=1)
    return sums, sums / lengths


@exercise.accepted
def token_by_token(
    logits_fn: Callable[[Tensor], Tensor], context_ids: Tensor, choices: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """As one would generate: read, look up one token, append it."""
    sums = []
    for choice in choices:
        read, total = context_ids.tolist(), 0.0
        for token in choice.tolist():
            last = logits_fn(torch.tensor([read], device=context_ids.device))[0, -1]
            total += float(last[token] - last.logsumexp(dim=0))
            read.append(token)
        sums.append(total)
    scores = torch.tensor(sums, dtype=torch.float64, device=context_ids.device)
    return scores, torch.stack([score / len(choice) for score, choice in zip(scores, choices, strict=True)])
