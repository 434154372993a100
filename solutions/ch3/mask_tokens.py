"""BERT's masking (Devlin et al., 2019, section 3.1, task 1, and appendix A.1)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make, Trial
from autograder.text import Text


def mask_tokens(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Choose tokens at random, hide them, and keep what they were as labels.

    Every token that is not special is chosen with the given probability, independently of the others. Of the chosen
    ones, again independently and on average,

        80 % are replaced by mask_id,
        10 % are replaced by a random id from 0 to vocab_size - 1, drawn anew for each place (any id may come up),
        10 % stay as they are.

    Args:
        ids: (batch, time), int64.
        mask_id: the id of [MASK].
        vocab_size: how many ids there are.
        special_ids: ids that are never chosen: [CLS], [SEP], [PAD].
        probability: how likely a token is to be chosen, from 0 to 1; BERT's is 0.15.
        generator: where all randomness comes from. The two helpers below draw from it.

    Returns:
        inputs: (batch, time), ids with the chosen tokens hidden as said above.
        labels: (batch, time), the original id where a token was chosen, whatever became of it, and -100 elsewhere.
    """

    def uniform() -> Tensor:
        """Random numbers from [0, 1), a new one for every token: (batch, time)."""
        return torch.rand(ids.shape, generator=generator, device=generator.device).to(ids.device)

    def words() -> Tensor:
        """Random ids from 0 to vocab_size - 1, a new one for every token: (batch, time)."""
        return torch.randint(vocab_size, ids.shape, generator=generator, device=generator.device).to(ids.device)

    ### BEGIN SOLUTION
    special = torch.isin(ids, torch.tensor(special_ids, device=ids.device))
    chosen = (uniform() < probability) & ~special
    labels = ids.masked_fill(~chosen, -100)
    kind = uniform()  # a second draw: the first one is small wherever a token is chosen
    inputs = ids.masked_fill(chosen & (kind < 0.8), mask_id)
    inputs = torch.where(chosen & (kind >= 0.9), words(), inputs)
    ### END SOLUTION
    return inputs, labels


_NEVER = "a draw is exactly on the boundary less than once in ten million"
_PRODUCT = "the product of booleans is their conjunction"
exercise = Exercise(
    mask_tokens,
    points=4,
    objectives=["3.2"],
    title_en="Masking tokens, 80/10/10",
    title_ja="トークンのマスク（80/10/10）",
    equivalent={
        "chosen = (uniform() <= probability) & ~special": _NEVER,
        "inputs = ids.masked_fill(chosen & (kind <= 0.8), mask_id)": _NEVER,
        "inputs = torch.where(chosen & (kind > 0.9), words(), inputs)": _NEVER,
        "chosen = (uniform() < probability) * ~special": _PRODUCT,
        "inputs = ids.masked_fill(chosen * (kind < 0.8), mask_id)": _PRODUCT,
        "inputs = torch.where(chosen * (kind >= 0.9), words(), inputs)": _PRODUCT,
        "special = torch.isin(ids, torch.tensor(special_ids))": "on the CPU, where mutants run, ids are there anyway",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------

PAD, CLS, SEP, MASK = 0, 2, 3, 4  # within the large vocabulary of the hidden cases, as in BERT's


def watched(make: Make, **inputs: Any) -> Trial:
    """A case whose result is the same for all right answers; it shows, too, whether the generator was used."""
    seed = int(make.integers(0, 2**31, 1))
    generator = make.recipe("autograder.recipes:watched_generator", seed)
    return make.call(after=("generator",), **inputs, generator=generator)


def text(make: Make, probability: float) -> dict[str, Any]:
    """24,000 tokens in rows like BERT's, with marks and padding, from a vocabulary of 500."""
    ids = make.integers(5, 500, 120, 200)
    length = make.integers(150, 200, 120, 1)
    place = torch.arange(200)
    ids = ids.masked_fill(place == length - 1, SEP).masked_fill(place == 60, SEP).masked_fill(place == 0, CLS)
    ids = ids.masked_fill(place >= length, PAD)
    seed = int(make.integers(0, 2**31, 1))
    given = {"mask_id": MASK, "vocab_size": 500, "special_ids": [PAD, CLS, SEP], "probability": probability}
    return {"ids": ids, **given, "generator": make.recipe("autograder.recipes:generator", seed)}


@exercise.visible(en="the probability is 0: nothing is chosen", ja="確率が 0 で、何も選ばれない場合")
def _(make: Make) -> dict[str, Any]:
    ids = torch.tensor([[2, 7, 8, 9, 3, 0], [2, 5, 6, 3, 0, 0]])
    given = {"mask_id": 4, "vocab_size": 10, "special_ids": [0, 2, 3], "probability": 0.0}
    return {"ids": ids, **given, "generator": make.recipe("autograder.recipes:generator", 1)}


@exercise.visible(
    en="the probability is 1 and there is a single word, 0, which is the mask as well: nothing is left to chance",
    ja="確率が 1 で、単語はマスクを兼ねる 0 だけ。偶然に左右されない場合",
)
def _(make: Make) -> Trial:
    ids = torch.tensor([[1, 0, 0, 2, 0, 2, 3], [1, 0, 2, 0, 2, 3, 3]])
    return watched(make, ids=ids, mask_id=0, vocab_size=1, special_ids=[1, 2, 3], probability=1.0)


_FORM = Text(
    "inputs and labels must both have the shape of ids.",
    "inputs と labels は、どちらも ids と同じ形状でなければなりません。",
)
_NO_MARK = Text(
    "labels must be -100 where no token was chosen.", "選ばれなかった位置の labels は -100 でなければなりません。"
)
_SPECIAL = Text("special tokens are chosen.", "特殊トークンが選ばれています。")
_LABELS = Text(
    "where a token was chosen, labels does not hold the original token.",
    "選ばれた位置の labels が、もとのトークンになっていません。",
)
_SHARE = Text(
    "the share of tokens that are chosen does not fit the probability.",
    "選ばれたトークンの割合が probability と合いません。",
)
_UNTOUCHED = Text("tokens that were not chosen are changed.", "選ばれていないトークンが変わっています。")
_ALL = Text(
    "every chosen token becomes mask_id: none is replaced by a word, none is kept.",
    "選ばれたトークンがすべて mask_id になっています。別の単語に置き換わったものも、そのまま残ったものもありません。",
)
_MASKED = Text(
    "of the chosen tokens, the share that becomes mask_id is not 80 %.",
    "選ばれたトークンのうち、mask_id になったものの割合が 80 % ではありません。",
)
_NONE_KEPT = Text(
    "none of the tokens with a label stays as it is.",
    "ラベルの付いたトークンに、そのまま残ったものが一つもありません。",
)
_KEPT = Text(
    "of the chosen tokens, the share that stays as it is is not 10 %.",
    "選ばれたトークンのうち、そのまま残ったものの割合が 10 % ではありません。",
)
_WORDS = Text(
    "the random words are not drawn from the whole vocabulary, anew for each place.",
    "ランダムな単語が、位置ごとに、語彙全体から引かれていません。",
)


def _chosen(inputs: Mapping[str, Any], result: Any) -> tuple[Tensor, Tensor, Tensor] | Text:
    """inputs, labels and where a token was chosen, or what is wrong with the form."""
    masked, labels = result
    if masked.shape != inputs["ids"].shape or labels.shape != inputs["ids"].shape:
        return _FORM
    chosen = labels != -100
    return (masked, labels, chosen) if not chosen.all() else _NO_MARK


# Bounds on frequencies are more than 6.5 standard deviations of a right answer: less than once in 10^10.


def choice(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
    """Which tokens are chosen, and their labels: about 20,000 tokens, 15 % of them, a standard deviation of 0.0025."""
    found = _chosen(inputs, actual)
    if isinstance(found, Text):
        return found
    masked, labels, chosen = found
    ids, special = inputs["ids"], torch.isin(inputs["ids"], torch.tensor(inputs["special_ids"]))
    if (chosen & special).any():
        return _SPECIAL
    if not (labels[chosen] == ids[chosen]).all():
        return _LABELS
    if not (masked[~chosen] == ids[~chosen]).all():
        return _UNTOUCHED
    share = float(chosen[~special].double().mean())
    return _SHARE if abs(share - inputs["probability"]) > 0.018 else None


def fate(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
    """What becomes of the chosen ones: about 8,300 of them, a standard deviation of 0.0044 (masked) and 0.0033."""
    found = _chosen(inputs, actual)
    if isinstance(found, Text):
        return found
    masked, _, chosen = found
    if not chosen.any():
        return _SHARE
    before, after, size = inputs["ids"][chosen], masked[chosen], inputs["vocab_size"]
    hidden, kept = after == inputs["mask_id"], after == before
    share = float(hidden.double().mean())
    if share > 0.98:
        return _ALL
    stays = float(kept.double().mean())
    if stays < 0.01:
        return _NONE_KEPT
    if abs(share - 0.8 - 0.1 / size) > 0.03:
        return _MASKED
    if abs(stays - 0.1 - 0.1 / size) > 0.024:
        return _KEPT
    drawn = after[~hidden & ~kept]  # about 830 draws: 400 different words of 500, a mean within 5 of the middle
    inside = bool(((drawn >= 0) & (drawn < size)).all())
    spread = len(drawn.unique()) > 300 and abs(float(drawn.double().mean()) - size / 2) < 40
    return None if inside and spread else _WORDS


@exercise.hidden(
    en="which of many tokens are chosen, and their labels",
    ja="多数のトークンからの選び方とラベル",
    judge=choice,
    again=False,
)
def _(make: Make) -> dict[str, Any]:
    return text(make, 0.15)


@exercise.hidden(
    en="what becomes of the chosen ones", ja="選ばれたトークンの置き換え方", weight=1.5, judge=fate, again=False
)
def _(make: Make) -> dict[str, Any]:
    return text(make, 0.4)


@exercise.hidden(
    en="the generator is used, and everything but special tokens can be chosen",
    ja="generator を使い、特殊トークン以外はすべて選ばれうること",
    weight=0.5,
)
def _(make: Make) -> Trial:
    ids = make.integers(0, 2, 4, 9) * make.integers(1, 4, 4, 9)
    ids[:, 0], ids[:, -1] = 1, 0  # some of each under every seed
    return watched(make, ids=ids, mask_id=0, vocab_size=1, special_ids=[3, 1, 2], probability=1.0)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def draws(ids: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform numbers, one a token."""
    return torch.rand(ids.shape, generator=generator, device=generator.device).to(ids.device)


def hide(ids: Tensor, chosen: Tensor, mask_id: int, vocab_size: int, generator: torch.Generator) -> Tensor:
    """The right treatment of the chosen tokens."""
    kind = draws(ids, generator)
    words = (draws(ids, generator) * vocab_size).long()
    return ids.where(~chosen | ((kind >= 0.8) & (kind < 0.9)), words.where(kind >= 0.9, mask_id))


def ordinary(ids: Tensor, special_ids: list[int]) -> Tensor:
    """Where a token may be chosen."""
    return ~torch.isin(ids, torch.tensor(special_ids, device=ids.device))


@exercise.mistake(
    en="Every chosen token becomes [MASK]: none is replaced by a word, and none is kept.",
    ja="選ばれたトークンがすべて [MASK] になり、別の単語に置き換わるものも、そのまま残るものもありません。",
    hint_en="Did you compare the same random numbers twice? Wherever a token is chosen, the number that chose it is "
    "below the probability, and so below 0.8.",
    hint_ja="同じ乱数を二度比べていませんか。選ばれた位置の乱数は必ず probability より小さく、したがって 0.8 よりも"
    "小さくなっています。",
)
def everything_masked(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    draw = draws(ids, generator)
    chosen = (draw < probability) & ordinary(ids, special_ids)
    return ids.masked_fill(chosen, mask_id), ids.masked_fill(~chosen, -100)


@exercise.mistake(
    en="Special tokens are chosen, too.",
    ja="特殊トークンも選ばれています。",
    hint_en="What would the model learn from guessing a [PAD]? torch.isin says where the special tokens are.",
    hint_ja="[PAD] を当てる練習から、モデルは何を学べるでしょうか。特殊トークンの位置は torch.isin でわかります。",
)
def special_tokens_chosen(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    chosen = draws(ids, generator) < probability
    return hide(ids, chosen, mask_id, vocab_size, generator), ids.masked_fill(~chosen, -100)


@exercise.mistake(
    en="The labels are the whole text: -100 is missing where no token was chosen.",
    ja="labels がもとの文のままで、選ばれなかった位置に -100 が入っていません。",
    hint_en="Where a token is in plain view, there is nothing to guess. How does the loss learn to leave it out?",
    hint_ja="見えているトークンは、当てるまでもありません。それを損失から除くには、どう伝えればよいでしょうか。",
)
def labels_everywhere(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    chosen = (draws(ids, generator) < probability) & ordinary(ids, special_ids)
    return hide(ids, chosen, mask_id, vocab_size, generator), ids.clone()


@exercise.mistake(
    en="The labels are taken after the masking: they say [MASK] where the original word should stand.",
    ja="マスクした後のトークンをラベルにしています。もとの単語であるべき位置が [MASK] になっています。",
    hint_en="What must the model find out: what it sees, or what was there before? Was ids changed in place?",
    hint_ja="モデルが当てるのは、いま見えているものでしょうか、もとにあったものでしょうか。"
    "ids をその場で書き換えていませんか。",
)
def labels_after_masking(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    chosen = (draws(ids, generator) < probability) & ordinary(ids, special_ids)
    inputs = hide(ids, chosen, mask_id, vocab_size, generator)
    return inputs, inputs.masked_fill(~chosen, -100)


@exercise.mistake(
    en="Labels stand only where the token was changed: the chosen tokens that stay as they are have none.",
    ja="トークンが変わった位置にしかラベルがありません。選ばれたのにそのまま残ったトークンのラベルが抜けています。",
    hint_en="A chosen token that is shown as it is must be guessed as well. What decides over the label?",
    hint_ja="選ばれてそのまま残ったトークンも、当てる対象です。ラベルを付けるかどうかは、何で決まるでしょうか。",
)
def kept_without_label(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    chosen = (draws(ids, generator) < probability) & ordinary(ids, special_ids)
    inputs = hide(ids, chosen, mask_id, vocab_size, generator)
    return inputs, ids.masked_fill(inputs == ids, -100)


@exercise.mistake(
    en="Of the chosen tokens 80 % are masked, but the rest is not halved: 10 % of *it* are replaced, the others kept.",
    ja="選ばれたトークンの 80 % はマスクされていますが、残りが半分ずつになっていません。残りの 10 % だけが置き換わり、"
    "ほかはそのままです。",
    hint_en="10 % of the chosen tokens: which part of the 20 % that are left is that?",
    hint_ja="選ばれたトークン全体の 10 % は、残った 20 % のうちのどれだけにあたるでしょうか。",
)
def a_tenth_of_the_rest(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    chosen = (draws(ids, generator) < probability) & ordinary(ids, special_ids)
    masked = chosen & (draws(ids, generator) < 0.8)
    replaced = chosen & ~masked & (draws(ids, generator) < 0.1)
    words = (draws(ids, generator) * vocab_size).long()
    return words.where(replaced, ids).masked_fill(masked, mask_id), ids.masked_fill(~chosen, -100)


@exercise.mistake(
    en="The generator is not used: the draws come from PyTorch's global one, and cannot be repeated by whoever calls.",
    ja="generator を使っていません。乱数が PyTorch のグローバルな生成器から引かれているので、呼び出した側が同じ結果を"
    "再現できません。",
    hint_en="Where do torch.rand and torch.bernoulli draw from if you do not tell them? The two helpers do it for you.",
    hint_ja="torch.rand や torch.bernoulli は、何も指定しないとどこから乱数を引くでしょうか。"
    "用意された二つの関数なら、その心配はありません。",
)
def global_generator(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    chosen = torch.bernoulli(torch.full(ids.shape, probability, device=ids.device)).bool()
    chosen &= ordinary(ids, special_ids)
    kind = torch.rand(ids.shape, device=ids.device)
    inputs = ids.masked_fill(chosen & (kind < 0.8), mask_id)
    words = torch.randint(vocab_size, ids.shape, device=ids.device)
    return words.where(chosen & (kind >= 0.9), inputs), ids.masked_fill(~chosen, -100)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def coin_by_coin(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Three coins for every token: chosen, masked, and half of the rest replaced."""

    def coin(chance: float) -> Tensor:
        odds = torch.full(ids.shape, chance, device=generator.device)
        return torch.bernoulli(odds, generator=generator).bool().to(ids.device)

    special = torch.zeros_like(ids, dtype=torch.bool)
    for special_id in special_ids:
        special |= ids == special_id
    chosen = coin(probability) & ~special
    masked = coin(0.8) & chosen
    replaced = coin(0.5) & chosen & ~masked
    inputs, labels = ids.clone(), ids.clone()
    labels[~chosen] = -100
    inputs[masked] = mask_id
    words = torch.randint(vocab_size, ids.shape, generator=generator, device=generator.device).to(ids.device)
    inputs[replaced] = words[replaced]
    return inputs, labels


@exercise.accepted
def token_by_token(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A loop, and Python's own numbers."""
    first, second = (torch.rand(ids.shape, generator=generator, device=generator.device).tolist() for _ in range(2))
    inputs, labels = ids.tolist(), torch.full_like(ids, -100).tolist()
    for row, tokens in enumerate(ids.tolist()):
        for place, token in enumerate(tokens):
            if token in special_ids or first[row][place] >= probability:
                continue
            labels[row][place] = token
            if second[row][place] < 0.8:
                inputs[row][place] = mask_id
            elif second[row][place] < 0.9:
                drawn = torch.randint(vocab_size, (1,), generator=generator, device=generator.device)
                inputs[row][place] = int(drawn)
    return torch.tensor(inputs, device=ids.device), torch.tensor(labels, device=ids.device)


@exercise.accepted
def one_draw_stretched(
    ids: Tensor, mask_id: int, vocab_size: int, special_ids: list[int], probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One draw is enough if its lower part is cut by 80/10/10 itself."""
    draw = torch.rand(ids.shape, generator=generator, device=generator.device, dtype=torch.float64).to(ids.device)
    open_places = torch.stack([ids != special for special in special_ids]).all(dim=0)
    labels = torch.where((draw < probability) & open_places, ids, -100)
    words = torch.randint(vocab_size, ids.shape, generator=generator, device=generator.device).to(ids.device)
    inputs = torch.where(draw < 0.9 * probability, words, ids)
    inputs = torch.where(draw < 0.8 * probability, mask_id, inputs)
    return torch.where(open_places, inputs, ids), labels
