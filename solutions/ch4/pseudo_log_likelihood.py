"""The score that a masked model gives to a whole sentence (Salazar et al., 2020, equation 1), and a causal model's."""

from typing import Any

import torch
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


@torch.no_grad()
def pseudo_log_likelihood(masked_lm: nn.Module, ids: Tensor, mask_id: int) -> Tensor:
    """How well each token is guessed from all the others: for each row, the sum over its places.

        PLL(x) = sum over t = 0 ... time - 1 of  log p(x_t | x with mask_id at place t, and only there)

    Args:
        masked_lm: `masked_lm(ids)` gives logits (batch, time, vocab_size) for the token at each place.
        ids: (batch, time), int64, of full length in every row. Every place counts; there are no special tokens.
        mask_id: what stands in the place of the token to be guessed.

    Returns:
        (batch,), in nats: a sum, not a mean.
    """
    total = torch.zeros(len(ids), device=ids.device)
    ### BEGIN SOLUTION
    for place in range(ids.size(1)):
        masked = ids.clone()
        masked[:, place] = mask_id
        log_probabilities = masked_lm(masked)[:, place].log_softmax(dim=-1)
        total = total + log_probabilities.gather(1, ids[:, place, None]).squeeze(1)
    ### END SOLUTION
    return total


@torch.no_grad()
def causal_log_likelihood(causal_lm: nn.Module, ids: Tensor) -> Tensor:
    """How well each token is guessed from those before it: for each row, the sum over all tokens but the first.

        log p(x_1 ... x_(time-1) | x_0) = sum over t = 1 ... time - 1 of  log p(x_t | x_0 ... x_(t-1))

    Args:
        causal_lm: `causal_lm(ids)` gives logits (batch, time, vocab_size) for the token *after* each place.
        ids: (batch, time), int64, of full length in every row.

    Returns:
        (batch,), in nats: a sum, not a mean. The first token, which nothing precedes, is given and not scored.
    """
    ### BEGIN SOLUTION
    log_probabilities = causal_lm(ids)[:, :-1].log_softmax(dim=-1)
    return log_probabilities.gather(2, ids[:, 1:, None]).sum(dim=(1, 2))
    ### END SOLUTION


exercise = Exercise(
    pseudo_log_likelihood,
    causal_log_likelihood,
    points=4,
    objectives=["4.5"],
    title_en="Scoring a sentence, from both sides and from the left",
    title_ja="文のスコア（両側から、左から）",
    equivalent={
        "log_probabilities = masked_lm(masked)[:, place].log_softmax(dim=1)": "one place of each row: two dimensions",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def masked(make: Make, batch: int, time: int, size: int, rows: int) -> Trial:
    """The last id is the mask; sentences are made of the others."""
    model = make.recipe("autograder.course.toy_lm:ToyMaskedLM", make.normal(rows, size))
    ids = make.integers(0, size - 1, batch, time)
    return make.call("pseudo_log_likelihood", masked_lm=model, ids=ids, mask_id=size - 1)


def causal(make: Make, batch: int, time: int, size: int, rows: int) -> Trial:
    model = make.recipe("autograder.course.toy_lm:ToyLM", make.normal(rows, size), 20)
    return make.call("causal_log_likelihood", causal_lm=model, ids=make.integers(0, size, batch, time))


@exercise.visible(en="from both sides: one sentence of three tokens", ja="両側から：3 トークンの文一つ")
def _(make: Make) -> Trial:
    return masked(make, 1, 3, 5, 7)


@exercise.visible(en="from both sides: a batch", ja="両側から：バッチ")
def _(make: Make) -> Trial:
    return masked(make, 2, 4, 6, 11)


@exercise.visible(en="from the left: a batch", ja="左から：バッチ")
def _(make: Make) -> Trial:
    return causal(make, 2, 4, 5, 7)


@exercise.hidden(en="from both sides: longer sentences", ja="両側から：もっと長い文", weight=2)
def _(make: Make) -> Trial:
    return masked(make, 3, 6, 8, 13)


@exercise.hidden(en="from both sides: a single token", ja="両側から：1 トークンだけの文", weight=0.5)
def _(make: Make) -> Trial:
    return masked(make, 4, 1, 6, 7)


@exercise.hidden(en="from the left: longer sentences", ja="左から：もっと長い文", weight=1.5)
def _(make: Make) -> Trial:
    return causal(make, 3, 7, 6, 11)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def picked(logits: Tensor, ids: Tensor) -> Tensor:
    """The log-probability of each id, (batch, time)."""
    return logits.log_softmax(dim=-1).gather(2, ids.unsqueeze(2)).squeeze(2)


@exercise.mistake(
    answer="pseudo_log_likelihood",
    en="Nothing is masked: the model sees the token that it should guess.",
    ja="何もマスクしていません。当てるべきトークンが、モデルに見えています。",
    hint_en="What may the model know of x_t when its probability is asked for?",
    hint_ja="x_t の確率を尋ねるとき、モデルは x_t そのものを見てよいでしょうか。",
)
def nothing_masked(masked_lm: nn.Module, ids: Tensor, mask_id: int) -> Tensor:
    return picked(masked_lm(ids), ids).sum(dim=1)


@exercise.mistake(
    answer="pseudo_log_likelihood",
    en="All places are masked at once: the tokens are guessed from nothing.",
    ja="すべての位置を一度にマスクしています。手がかりなしに当てさせることになります。",
    hint_en="How many masks are there in what the model reads, according to the formula?",
    hint_ja="式によれば、モデルが読む文の中に、マスクはいくつありますか。",
)
def all_masked(masked_lm: nn.Module, ids: Tensor, mask_id: int) -> Tensor:
    return picked(masked_lm(torch.full_like(ids, mask_id)), ids).sum(dim=1)


@exercise.mistake(
    answer="pseudo_log_likelihood",
    en="Masks of earlier places stay: at the last place the whole sentence is hidden.",
    ja="前の位置のマスクが残っています。最後の位置では、文全体が隠れてしまいます。",
    hint_en="What stands at place 0 while place 1 is asked for? Does each round start from a fresh copy?",
    hint_ja="位置 1 を尋ねるとき、位置 0 には何がありますか。毎回、もとの文のコピーから始めていますか。",
)
def masks_stay(masked_lm: nn.Module, ids: Tensor, mask_id: int) -> Tensor:
    hidden, found = ids.clone(), []
    for place in range(ids.size(1)):
        hidden[:, place] = mask_id
        found.append(picked(masked_lm(hidden), ids)[:, place])
    return torch.stack(found).sum(dim=0)


@exercise.mistake(
    answer="pseudo_log_likelihood",
    en="The mask's own log-probability is added up, not that of the token behind it.",
    ja="隠したトークンではなく、マスクそのものの対数確率を足しています。",
    hint_en="Which tensor do you gather with: the one with the mask or the one without?",
    hint_ja="gather に使っているのは、マスクの入ったテンソルと入っていないテンソルのどちらですか。",
)
def the_mask_scored(masked_lm: nn.Module, ids: Tensor, mask_id: int) -> Tensor:
    found: Any = 0.0
    for place in range(ids.size(1)):
        hidden = ids.index_fill(1, torch.tensor([place], device=ids.device), mask_id)
        found = found + picked(masked_lm(hidden), hidden)[:, place]
    return found


@exercise.mistake(
    answer="pseudo_log_likelihood",
    en="The result is a mean over the places, not a sum.",
    ja="位置についての和ではなく、平均になっています。",
    hint_en="A likelihood is a product of probabilities. What is the logarithm of a product?",
    hint_ja="尤度は確率の積です。積の対数は何になりますか。",
)
def averaged(masked_lm: nn.Module, ids: Tensor, mask_id: int) -> Tensor:
    return pseudo_log_likelihood(masked_lm, ids, mask_id) / ids.size(1)


@exercise.mistake(
    answer="causal_log_likelihood",
    en="There is no shift: each place is asked for the token that it has just been shown.",
    ja="ずらしていません。どの位置でも、いま見せたばかりのトークンの確率を尋ねています。",
    hint_en="The logits at place t were made with x_t in view. About which token are they?",
    hint_ja="位置 t のロジットは、x_t を見たうえで計算されています。どのトークンについての予測でしょうか。",
)
def not_shifted(causal_lm: nn.Module, ids: Tensor) -> Tensor:
    return picked(causal_lm(ids), ids).sum(dim=1)


@exercise.mistake(
    answer="causal_log_likelihood",
    en="One number is returned for the whole batch.",
    ja="バッチ全体に対して、一つの数を返しています。",
    hint_en="Each row is a sentence of its own. Along which dimension is the sum?",
    hint_ja="行の一つ一つが別々の文です。和をとるのは、どの次元についてですか。",
)
def one_for_all(causal_lm: nn.Module, ids: Tensor) -> Tensor:
    return picked(causal_lm(ids)[:, :-1], ids[:, 1:]).sum()


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted(answer="pseudo_log_likelihood")
def all_in_one_batch(masked_lm: nn.Module, ids: Tensor, mask_id: int) -> Tensor:
    """Every row time times, each with another place masked, in one call."""
    batch, time = ids.shape
    diagonal = torch.eye(time, dtype=torch.bool, device=ids.device)
    copies = ids[:, None].expand(batch, time, time)
    logits = masked_lm(copies.masked_fill(diagonal, mask_id).flatten(0, 1)).unflatten(0, (batch, time))
    logits = logits[:, torch.arange(time), torch.arange(time)]
    return picked(logits, ids).sum(dim=1)


@exercise.accepted(answer="pseudo_log_likelihood")
def sentence_by_sentence(masked_lm: nn.Module, ids: Tensor, mask_id: int) -> Tensor:
    scores = []
    for sentence in ids.tolist():
        score = 0.0
        for place, token in enumerate(sentence):
            hidden = [*sentence[:place], mask_id, *sentence[place + 1 :]]
            logits = masked_lm(torch.tensor([hidden], device=ids.device))[0, place]
            score += float(logits[token] - logits.logsumexp(dim=0))
        scores.append(score)
    return torch.tensor(scores, device=ids.device, dtype=torch.float64)


@exercise.accepted(answer="causal_log_likelihood")
def with_the_loss(causal_lm: nn.Module, ids: Tensor) -> Tensor:
    """The negative of the library's loss, one number a row."""
    losses = nn.CrossEntropyLoss(reduction="none")(causal_lm(ids)[:, :-1].transpose(1, 2), ids[:, 1:])
    return -losses.sum(dim=-1)
