"""A few examples of every class, drawn at random: the k-shot subsets on which data efficiency is measured."""

import random
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.inputs import seeded
from autograder.make import Make
from autograder.text import Text


def few_shot_subset(labels: Tensor, per_class: int, generator: torch.Generator) -> list[int]:
    """Draw `per_class` examples of every class, each at most once, all examples of a class being equally likely.

    Args:
        labels: (examples,), integers: the class of each example. The classes stand in any order and need not be
            equally frequent, nor numbered without gaps.
        per_class: how many examples are drawn of each class, 1 or more; a class with fewer gives all it has.
        generator: where all random numbers come from; make them on its device, generator.device.

    Returns:
        the places of the chosen examples in `labels`, in increasing order: a list, as Dataset.select takes it.
    """
    chosen = []
    for label in labels.unique():
        ### BEGIN SOLUTION
        members = (labels == label).nonzero().flatten()
        order = torch.randperm(len(members), generator=generator, device=generator.device)
        chosen.append(members[order[:per_class].to(members.device)])
        ### END SOLUTION
    return sorted(torch.cat(chosen).tolist())


exercise = Exercise(
    few_shot_subset,
    points=3,
    objectives=["3.4"],
    title_en="A few examples of every class",
    title_ja="クラスごとに少数の例を選ぶ",
    equivalent={
        "order = torch.randperm(len(members), generator=generator)": "a generator on the CPU needs no device",
        "chosen.append(members[order[:per_class]])": "all is on the CPU here",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def shuffled(make: Make, sizes: Mapping[int, int]) -> Tensor:
    """Labels in any order; sizes[c] of them are c."""
    labels = torch.cat([torch.full((size,), label) for label, size in sizes.items()])
    return labels[make.normal(len(labels)).argsort()]


@exercise.visible(en="as many as there are of every class", ja="どのクラスも、全部を選ぶことになる場合")
def _(make: Make) -> dict[str, Any]:
    labels = torch.tensor([1, 0, 2, 0, 1, 2])
    return {"labels": labels, "per_class": 2, "generator": make.recipe("autograder.recipes:generator", 11)}


@exercise.visible(en="classes with fewer examples than are asked for", ja="例の数が足りないクラスがある場合")
def _(make: Make) -> dict[str, Any]:
    labels = torch.tensor([4, 7, 4, 9, 4, 9])
    return {"labels": labels, "per_class": 3, "generator": make.recipe("autograder.recipes:generator", 12)}


# Half-width of the interval for a count, in standard deviations: a right answer leaves it less than once in
# 10^11 (the counts are hypergeometric, whose tails are lighter than the normal distribution's).
WIDE = 7.0


def _is_whole(values: Tensor) -> bool:
    return not values.is_floating_point() and values.dtype != torch.bool and values.ndim == 1


def drawn_rightly(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
    """What every right subset has in common, and what right draws almost always have."""
    labels, per_class = inputs["labels"], inputs["per_class"]
    chosen = torch.as_tensor(actual)
    if not _is_whole(chosen) or bool(((chosen < 0) | (chosen >= len(labels))).any()):
        return Text("these are no places in labels.", "labels の中の位置になっていません。")
    if len(chosen.unique()) < len(chosen):
        return Text("an example is chosen twice.", "同じ例が二度選ばれています。")
    counts = [(int((labels[chosen] == label).sum()), int((labels == label).sum())) for label in labels.unique()]
    if any(count != min(per_class, size) for count, size in counts):
        return Text(
            "the classes do not have the number of examples that was asked for.",
            "クラスごとの例の数が、求めた数と違います。",
        )
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        uneven = _unevenness(torch.isin(members, chosen).double())
        if uneven is not None:
            return uneven
    if _drawn_elsewhere(labels, per_class, chosen):
        return Text("the draw does not come from `generator`.", "乱数が generator から引かれていません。")
    return None


def _unevenness(taken: Tensor) -> Text | None:
    """What shows that the members of a class are not equally likely; `taken` is 1 for those that were chosen."""
    n, k = len(taken), int(taken.sum())
    if k in (0, n):
        return None
    half, share = n // 2, k / n
    # of k drawn from n, those in the first half: mean and variance of the hypergeometric distribution
    early, spread = k * half / n, (k * half / n * (1 - half / n) * (n - k) / (n - 1)) ** 0.5
    if abs(float(taken[:half].sum()) - early) > WIDE * spread:
        return Text(
            "early and late examples are not equally likely.",
            "前のほうの例と後ろのほうの例が、同じ確率で選ばれていません。",
        )
    pairs = float((taken[1:] * taken[:-1]).sum())  # neighbours that were both chosen
    if abs(pairs - (n - 1) * share**2) > WIDE * (n * share**2) ** 0.5:
        return Text(
            "the examples are chosen by a pattern, not at random.",
            "ランダムではなく、規則的に選ばれています。",
        )
    return None


def _drawn_elsewhere(labels: Tensor, per_class: int, chosen: Tensor) -> bool:
    """Whether the global generators, which a run seeds with 1, give just this subset in one of the usual ways."""
    members = [(labels == label).nonzero().flatten() for label in labels.unique()]
    with seeded(1):
        usual = [torch.cat([each[torch.randperm(len(each))[:per_class]] for each in members])]
    with seeded(1):
        lists = [each.tolist() for each in members]
        usual.append(torch.tensor([i for each in lists for i in random.sample(each, min(per_class, len(each)))]))
    return any(torch.equal(each.sort().values, chosen.sort().values) for each in usual)


@exercise.hidden(en="many examples of three classes", ja="3 クラス、多数の例", weight=3, judge=drawn_rightly)
def _(make: Make) -> dict[str, Any]:
    labels = shuffled(make, {0: 1200, 1: 700, 2: 900})
    seed = int(make.integers(100, 10_000, 1))
    return {"labels": labels, "per_class": 300, "generator": make.recipe("autograder.recipes:generator", seed)}


@exercise.hidden(en="classes that are not numbered from 0", ja="クラスの番号が 0 からではない場合", judge=drawn_rightly)
def _(make: Make) -> dict[str, Any]:
    labels = shuffled(make, {2: 500, 5: 40, 6: 400, 11: 600})
    seed = int(make.integers(100, 10_000, 1))
    return {"labels": labels, "per_class": 150, "generator": make.recipe("autograder.recipes:generator", seed)}


@exercise.hidden(en="all of every class, in increasing order", ja="全部を選ぶことになる場合（昇順で返す）", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    labels = shuffled(make, {1: 4, 3: 2, 4: 3})
    return {"labels": labels, "per_class": 4, "generator": make.recipe("autograder.recipes:generator", 13)}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The first examples of every class are taken: nothing is drawn.",
    ja="各クラスの先頭の例を取っています。ランダムに選んでいません。",
    hint_en="A file is often sorted by source or by length. What would all your subsets have in common?",
    hint_ja="データは出典や長さの順に並んでいることがよくあります。このやり方だと、どの部分集合にも何が共通しますか。",
)
def takes_the_first(labels: Tensor, per_class: int, generator: torch.Generator) -> Any:
    return torch.cat([(labels == label).nonzero().flatten()[:per_class] for label in labels.unique()]).sort().values


@exercise.mistake(
    en="The draw is from all examples at once: a frequent class gets more of them than a rare one.",
    ja="全体から一度に選んでいます。件数の多いクラスほど多く選ばれてしまいます。",
    hint_en="How many examples of a class with a tenth of the data does a draw of 20 give on average?",
    hint_ja="全体の 1 割を占めるクラスは、20 件を選ぶと平均して何件含まれるでしょうか。",
)
def drawn_from_all(labels: Tensor, per_class: int, generator: torch.Generator) -> Any:
    order = torch.randperm(len(labels), generator=generator, device=generator.device)
    return order[: per_class * len(labels.unique())].sort().values


@exercise.mistake(
    en="The examples are drawn with replacement: some are chosen more than once.",
    ja="重複を許して選んでいます。同じ例が何度も選ばれることがあります。",
    hint_en="Put a drawn card back, and you may draw it again. Which function of PyTorch shuffles instead?",
    hint_ja="引いたカードを山に戻せば、また同じカードを引くかもしれません。代わりに「並べ替える」関数は何でしょうか。",
)
def with_replacement(labels: Tensor, per_class: int, generator: torch.Generator) -> Any:
    chosen = []
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        count = min(per_class, len(members))
        chosen.append(members[torch.randint(len(members), (count,), generator=generator, device=generator.device)])
    return torch.cat(chosen).sort().values


@exercise.mistake(
    en="What is returned are places within a class, not places in `labels`.",
    ja="labels の中の位置ではなく、クラスの中での位置を返しています。",
    hint_en="randperm(5) numbers the five members of a class. Where do these stand in labels?",
    hint_ja="randperm(5) が返すのは、クラスの 5 件につけた番号です。その例は labels のどこにありますか。",
)
def places_within_the_class(labels: Tensor, per_class: int, generator: torch.Generator) -> Any:
    sizes = [int((labels == label).sum()) for label in labels.unique()]
    drawn = [torch.randperm(size, generator=generator, device=generator.device)[:per_class] for size in sizes]
    return torch.cat(drawn).sort().values


@exercise.mistake(
    en="`generator` is not used: every seed gives the same subset, or no seed gives the same one twice.",
    ja="generator を使っていません。シードを変えても同じ部分集合になったり、同じシードでも再現できなかったりします。",
    hint_en="Every random function of PyTorch takes generator=... as an argument.",
    hint_ja="PyTorch の乱数の関数には、どれも generator=... という引数があります。",
)
def generator_ignored(labels: Tensor, per_class: int, generator: torch.Generator) -> Any:
    members = [(labels == label).nonzero().flatten() for label in labels.unique()]
    return torch.cat([each[torch.randperm(len(each))[:per_class]] for each in members]).sort().values


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def shuffled_once(labels: Tensor, per_class: int, generator: torch.Generator) -> Any:
    """All examples in a random order; each is taken if its class is not full yet."""
    taken: dict[int, list[int]] = {}
    known = labels.tolist()
    for index in torch.randperm(len(known), generator=generator, device=generator.device).tolist():
        group = taken.setdefault(known[index], [])
        if len(group) < per_class:
            group.append(index)
    return sorted(index for group in taken.values() for index in group)


@exercise.accepted
def by_random_keys(labels: Tensor, per_class: int, generator: torch.Generator) -> Any:
    """A random number for each example; in each class those with the smallest ones."""
    keys = torch.rand(len(labels), generator=generator, device=generator.device, dtype=torch.float64).to(labels.device)
    same = labels[:, None] == labels
    rank = (same & (keys < keys[:, None])).sum(dim=1)
    return (rank < per_class).nonzero().squeeze(1)


@exercise.accepted
def with_multinomial(labels: Tensor, per_class: int, generator: torch.Generator) -> Any:
    chosen = []
    for label in labels.unique().tolist():
        weight = (labels == label).to(generator.device, torch.float64)
        count = min(per_class, int(weight.sum()))
        chosen.append(torch.multinomial(weight, count, replacement=False, generator=generator).to(labels.device))
    return torch.sort(torch.cat(chosen))[0].numpy()
