"""The pairs of next sentence prediction (Devlin et al., 2019, section 3.1, task 2)."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from autograder.exercise import Exercise
from autograder.make import Make, Trial
from autograder.text import Text


def next_sentence_pairs(
    documents: list[list[str]], generator: torch.Generator
) -> tuple[list[tuple[str, str]], list[int]]:
    """Pairs of sentences, and whether the second is the one that really follows the first.

    Every sentence that has a next one in its document is the first of one pair, in the order of the text. A coin is
    thrown for each pair: with probability 1/2 the second is the sentence that follows, and the label is 0; with
    probability 1/2 it is a random sentence of another document, drawn anew, and the label is 1.

    Args:
        documents: two or more, each a list of one or more sentences. A document of a single sentence makes no pair,
            but its sentence may turn up as a wrong one.
        generator: where all randomness comes from. The helper below draws from it.

    Returns:
        pairs: as many as there are sentences with a next one.
        labels: 0 (is the next) or 1 (is not), one for each pair.
    """

    def draw(n: int) -> int:
        """A random whole number from 0 to n - 1."""
        return int(torch.randint(n, (1,), generator=generator, device=generator.device))

    pairs, labels = [], []
    for number, document in enumerate(documents):
        ### BEGIN SOLUTION
        others = documents[:number] + documents[number + 1 :]
        for place in range(len(document) - 1):
            first, second, label = document[place], document[place + 1], draw(2)
            if label:
                other = others[draw(len(others))]
                second = other[draw(len(other))]
            pairs.append((first, second))
            labels.append(label)
        ### END SOLUTION
    return pairs, labels


exercise = Exercise(
    next_sentence_pairs,
    points=3,
    objectives=["3.2"],
    title_en="Pairs for next sentence prediction",
    title_ja="次文予測のための文の対",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def watched(make: Make, documents: list[list[str]]) -> Trial:
    """A case whose pairs are the same for all right answers; it shows, too, whether the generator was used."""
    seed = int(make.integers(0, 2**31, 1))
    generator = make.recipe("autograder.recipes:watched_generator", seed)
    return make.call(after=("generator",), documents=documents, generator=generator)


def library(make: Make, *lengths: int) -> dict[str, Any]:
    """Documents of these lengths whose sentences are all different, and say where they stand."""
    documents = [[f"{number}.{place}" for place in range(length)] for number, length in enumerate(lengths)]
    seed = int(make.integers(0, 2**31, 1))
    return {"documents": documents, "generator": make.recipe("autograder.recipes:generator", seed)}


# The labels are left to chance, and atol=1 accepts either; all that may come second is the same.
@exercise.visible(
    en="the second sentence is “so.” in any case: how many pairs, and which come first?",
    ja="二つ目の文がどのみち “so.” になる場合。対はいくつで、一つ目はどの文か",
    atol=1,
)
def _(make: Make) -> Trial:
    return watched(make, [["Why?", "so.", "so."], ["so."]])


@exercise.visible(en="documents of a single sentence make no pair", ja="一文だけの文書からは対ができない", atol=1)
def _(make: Make) -> Trial:
    documents = [["so."], ["so.", "so."], ["so."], ["so.", "so.", "so."]]
    return watched(make, documents)


_FORM = Text(
    "two lists are wanted, as long as each other: pairs of two sentences each, and labels.",
    "文を二つずつ組にした pairs と labels を、同じ長さのリストで返してください。",
)
_COUNT = Text(
    "not every sentence that has a next one is the first of exactly one pair, in the order of the text.",
    "次の文を持つ文のそれぞれが、文章の順に、ちょうど一度ずつ対の一つ目になっていません。",
)
_SWAPPED = Text(
    "the labels are the wrong way round: 0 means that the second sentence is the next.",
    "ラベルが逆です。二つ目が本当に次の文なら 0 です。",
)
_LABELS = Text(
    "labels do not say which second sentences are the next ones.",
    "ラベルが、二つ目が次の文かどうかを正しく表していません。",
)
_PATTERN = Text(
    "the coin is not thrown anew for each pair: the labels follow a pattern.",
    "対ごとに新しく決めていないため、ラベルの並びに規則性があります。",
)
_HALF = Text("not about half of the pairs are wrong ones.", "誤った対の割合がおよそ半分になっていません。")
_SAME = Text(
    "wrong second sentences come from the same document as the first, too.",
    "誤った二つ目の文が、一つ目と同じ文書からも選ばれています。",
)
_NARROW = Text(
    "wrong second sentences are not drawn from all over the other documents.",
    "誤った二つ目の文が、ほかの文書の全体から選ばれていません。",
)


def _rows(inputs: Mapping[str, Any], result: Any) -> list[tuple[int, int, int, int, int]] | Text:
    """Document and place of either sentence, and the label, pair by pair; or what is wrong with the form."""
    pairs, labels = result
    places = {text: (n, place) for n, document in enumerate(inputs["documents"]) for place, text in enumerate(document)}
    known = set(places)
    if len(pairs) != len(labels) or not all(len(pair) == 2 and known.issuperset(pair) for pair in pairs):
        return _FORM
    return [(*places[first], *places[second], int(label)) for (first, second), label in zip(pairs, labels, strict=True)]


def firsts(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
    """Which pairs there are, by their first sentences."""
    rows = _rows(inputs, actual)
    if isinstance(rows, Text):
        return rows
    wanted = [(n, place) for n, document in enumerate(inputs["documents"]) for place in range(len(document) - 1)]
    return None if [row[:2] for row in rows] == wanted else _COUNT


# The two large cases have 1,794 pairs: shares of them have a standard deviation of 0.012. Bounds on frequencies
# are more than 6.5 standard deviations of a right answer: less than once in 10^10.


def coin(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
    """Whether the labels say what is the next sentence, and look like throws of a coin."""
    rows = _rows(inputs, actual)
    if isinstance(rows, Text) or not rows:
        return rows or _COUNT
    follows = torch.tensor([(m, q) == (n, p + 1) for n, p, m, q, _ in rows])
    labels = torch.tensor([label for *_, label in rows])
    if torch.equal(follows, labels == 1):
        return _SWAPPED
    if not torch.equal(follows, labels == 0):
        return _LABELS
    changes = float((labels[1:] != labels[:-1]).double().mean())
    if abs(changes - 0.5) > 0.08:
        return _PATTERN
    return _HALF if abs(float(labels.double().mean()) - 0.5) > 0.08 else None


def wrong_ones(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
    """Where second sentences that are not the next come from.

    Of the 299 pairs of a document, each is a wrong one with a given other document with probability 1/10: that there
    is none happens once in 10^13.
    """
    rows = _rows(inputs, actual)
    if isinstance(rows, Text):
        return rows
    wrong = [row for row in rows if row[2:4] != (row[0], row[1] + 1)]
    if any(n == m for n, _, m, _, _ in wrong):
        return _SAME
    count, length = len(inputs["documents"]), len(inputs["documents"][0])
    met = len({(n, m) for n, _, m, _, _ in wrong})
    middle = _mean(q for _, _, _, q, _ in wrong) / (length - 1)  # 0.5, with a standard deviation of 0.0097
    return None if met == count * (count - 1) and abs(middle - 0.5) < 0.068 else _NARROW


def _mean(numbers: Iterator[int]) -> float:
    values: Sequence[int] = list(numbers)
    return sum(values) / max(len(values), 1)


@exercise.hidden(en="which sentences come first", ja="どの文が一つ目になるか", judge=firsts, again=False)
def _(make: Make) -> dict[str, Any]:
    return library(make, 4, 1, 2, 6, 3)


@exercise.hidden(en="the labels of many pairs", ja="多数の対のラベル", judge=coin, again=False)
def _(make: Make) -> dict[str, Any]:
    return library(make, *[300] * 6)


@exercise.hidden(en="the wrong ones of many pairs", ja="多数の対の、誤った二つ目の文", judge=wrong_ones, again=False)
def _(make: Make) -> dict[str, Any]:
    return library(make, *[300] * 6)


@exercise.hidden(en="the generator is used", ja="generator を使うこと", weight=0.5, atol=1)
def _(make: Make) -> Trial:
    return watched(make, [["yes."], ["no.", "yes.", "yes.", "yes."], ["yes."]])


# -- mistakes ----------------------------------------------------------------------------------------------------------

Documents = list[list[str]]
Pairs = tuple[list[tuple[str, str]], list[int]]


def below(n: int, generator: torch.Generator | None) -> int:
    """A random whole number below n; from the global generator if None is given."""
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(n, (1,), generator=generator, device=device))


def elsewhere(documents: Documents, number: int, generator: torch.Generator | None) -> str:
    """A random sentence of another document."""
    other = documents[(number + 1 + below(len(documents) - 1, generator)) % len(documents)]
    return other[below(len(other), generator)]


@exercise.mistake(
    en="The labels are the wrong way round: 1 for the real next sentence.",
    ja="ラベルが逆です。本当の次の文に 1 を付けています。",
    hint_en="BERT's convention is not what one would guess. Which number does the docstring give to the next sentence?",
    hint_ja="BERT の決まりは、直感とは逆かもしれません。docstring では、次の文のラベルはいくつになっていますか。",
)
def labels_swapped(documents: Documents, generator: torch.Generator) -> Pairs:
    pairs, labels = next_sentence_pairs(documents, generator)
    return pairs, [1 - label for label in labels]


@exercise.mistake(
    en="Wrong sentences are drawn from all documents, also from that of the first sentence.",
    ja="誤った文を、一つ目の文と同じ文書も含めた全文書から選んでいます。",
    hint_en="Which document must not be drawn? With yours, even the real next sentence may get the label 1.",
    hint_ja="選んではいけない文書はどれでしょうか。いまのままでは、本当の次の文にもラベル 1 が付くことがあります。",
)
def from_any_document(documents: Documents, generator: torch.Generator) -> Pairs:
    pairs, labels = [], []
    for document in documents:
        for place in range(len(document) - 1):
            label = below(2, generator)
            other = documents[below(len(documents), generator)]
            pairs.append((document[place], other[below(len(other), generator)] if label else document[place + 1]))
            labels.append(label)
    return pairs, labels


@exercise.mistake(
    en="All sentences are strung together: the last one of a document is paired with the first one of the next.",
    ja="すべての文を一続きにしているため、文書の最後の文が、次の文書の最初の文と対になっています。",
    hint_en="What follows the last sentence of a document?",
    hint_ja="文書の最後の文の次には、何がありますか。",
)
def across_documents(documents: Documents, generator: torch.Generator) -> Pairs:
    sentences = [(number, sentence) for number, document in enumerate(documents) for sentence in document]
    pairs, labels = [], []
    for (number, first), (_, following) in itertools.pairwise(sentences):
        label = below(2, generator)
        pairs.append((first, elsewhere(documents, number, generator) if label else following))
        labels.append(label)
    return pairs, labels


@exercise.mistake(
    en="The text is cut into pairs that do not overlap: every other sentence is never a first one.",
    ja="文を二つずつに区切っているため、一つおきの文が、対の一つ目になることがありません。",
    hint_en="For three sentences A, B, C, which pairs does the text ask for?",
    hint_ja="A・B・C の三つの文からは、本文によればどの対ができるはずでしょうか。",
)
def every_other_pair(documents: Documents, generator: torch.Generator) -> Pairs:
    pairs, labels = [], []
    for number, document in enumerate(documents):
        for place in range(0, len(document) - 1, 2):
            label = below(2, generator)
            second = elsewhere(documents, number, generator) if label else document[place + 1]
            pairs.append((document[place], second))
            labels.append(label)
    return pairs, labels


@exercise.mistake(
    en="The coin is thrown once for each document: all of its pairs get the same label.",
    ja="文書ごとに一度しか決めていないため、一つの文書の対がすべて同じラベルになっています。",
    hint_en="How often is your draw carried out: once a document or once a pair?",
    hint_ja="乱数は何回引かれていますか。文書ごとに一回でしょうか、対ごとに一回でしょうか。",
)
def one_coin_for_a_document(documents: Documents, generator: torch.Generator) -> Pairs:
    pairs, labels = [], []
    for number, document in enumerate(documents):
        label = below(2, generator)
        for place in range(len(document) - 1):
            second = elsewhere(documents, number, generator) if label else document[place + 1]
            pairs.append((document[place], second))
            labels.append(label)
    return pairs, labels


@exercise.mistake(
    en="The wrong sentence is always the first one of another document.",
    ja="誤った文が、いつもほかの文書の最初の文になっています。",
    hint_en="Two things have to be drawn for a wrong sentence: the document, and what else?",
    hint_ja="誤った文を選ぶには、二つのものを引く必要があります。文書と、もう一つは何でしょうか。",
)
def first_sentence_of_the_other(documents: Documents, generator: torch.Generator) -> Pairs:
    return next_sentence_pairs_by(documents, lambda number: _first(documents, number, generator), generator)


def _first(documents: Documents, number: int, generator: torch.Generator) -> str:
    return documents[(number + 1 + below(len(documents) - 1, generator)) % len(documents)][0]


def next_sentence_pairs_by(documents: Documents, wrong: Any, generator: torch.Generator) -> Pairs:
    """The right pairs, with `wrong(number)` for a wrong sentence."""
    pairs, labels = [], []
    for number, document in enumerate(documents):
        for place in range(len(document) - 1):
            labels.append(below(2, generator))
            pairs.append((document[place], wrong(number) if labels[-1] else document[place + 1]))
    return pairs, labels


@exercise.mistake(
    en="The generator is not used: the draws come from the global one, and cannot be repeated by whoever calls.",
    ja="generator を使っていません。乱数がグローバルな生成器から引かれているので、"
    "呼び出した側が同じ結果を再現できません。",
    hint_en="The helper draw(n) draws from the generator that was handed over. Where do random.random and torch.rand "
    "draw from?",
    hint_ja="用意された draw(n) は、渡された generator から引きます。"
    "random.random や torch.rand はどこから引くでしょうか。",
)
def global_generator(documents: Documents, generator: torch.Generator) -> Pairs:
    pairs, labels = [], []
    for number, document in enumerate(documents):
        for place in range(len(document) - 1):
            labels.append(below(2, None))
            pairs.append((document[place], elsewhere(documents, number, None) if labels[-1] else document[place + 1]))
    return pairs, labels


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def any_other_sentence(documents: Documents, generator: torch.Generator) -> Pairs:
    """All sentences of other documents are equally likely, and the coins are thrown at once."""
    pairs = [
        (number, first, following)
        for number, document in enumerate(documents)
        for first, following in itertools.pairwise(document)
    ]
    labels = torch.randint(2, (len(pairs),), generator=generator, device=generator.device).tolist()
    found = []
    for (number, first, following), label in zip(pairs, labels, strict=True):
        pool = [sentence for other, document in enumerate(documents) if other != number for sentence in document]
        found.append((first, pool[below(len(pool), generator)] if label == 1 else following))
    return found, labels


@exercise.accepted
def drawn_again(documents: Documents, generator: torch.Generator) -> Any:
    """A document is drawn until it is another one; a tensor for the labels, lists for the pairs."""
    pairs, labels = [], []
    for document in documents:
        for place, first in enumerate(document[:-1]):
            is_next = bool(torch.rand((), generator=generator, device=generator.device) < 0.5)
            other = document
            while other is document:
                other = documents[below(len(documents), generator)]
            pairs.append([first, document[place + 1] if is_next else other[below(len(other), generator)]])
            labels.append(not is_next)
    return pairs, torch.tensor(labels).long()


@exercise.accepted
def exactly_half(documents: Documents, generator: torch.Generator) -> Pairs:
    """Half of the places, rounded, are drawn without replacement: not independent, but as good."""
    places = [(n, place) for n, document in enumerate(documents) for place in range(len(document) - 1)]
    order = torch.randperm(len(places), generator=generator, device=generator.device).tolist()
    pairs, labels = [], []
    for rank, (number, place) in zip(order, places, strict=True):
        labels.append(int(2 * rank >= len(places)))
        wrong = elsewhere(documents, number, generator)
        pairs.append((documents[number][place], wrong if labels[-1] else documents[number][place + 1]))
    return pairs, labels
