"""Small exercises, public builders and helpers that the engine's tests share. None of it is a chapter's."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autograder.exercise import ConceptQuestion, Exercise
from autograder.isolate import reply_path, run_isolated
from autograder.judge import judge
from autograder.key import Key, as_sent, make_key
from autograder.make import Make, Trial
from autograder.runners import Outcome, as_outcome, run
from autograder.serialize import decode, encode
from autograder.verdict import Verdict

SEED = 7


# -- an exercise ---------------------------------------------------------------------------------------------------


def weighted_mean(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted mean of the last dimension, and the shares that sum to 1."""
    ### BEGIN SOLUTION
    shares = weights / weights.sum(dim=-1, keepdim=True)
    return (shares * values).sum(dim=-1), shares
    ### END SOLUTION


def not_divided(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    return (weights * values).sum(dim=-1), weights


def mean_exercise() -> Exercise:
    """One function, a visible case, three hidden ones, two mistakes."""
    exercise = Exercise(weighted_mean, points=4, objectives=["0.1"], title_en="A mean", title_ja="平均")
    exercise.slug = "weighted_mean"

    def draw(*shape: int) -> Callable[[Make], dict[str, Tensor]]:
        return lambda make: {"values": make.normal(*shape), "weights": make.uniform(*shape, low=0.5, high=2.0)}

    exercise.visible(en="a matrix", ja="行列")(draw(2, 3))
    exercise.hidden(en="a row", ja="一つの行")(draw(4))
    exercise.hidden(en="a batch", ja="バッチ", weight=2)(draw(2, 3, 5))
    exercise.hidden(en="its gradient", ja="勾配", gradients=True)(draw(3, 4))
    texts = {"ja": "重みの和で割っていません。", "hint_en": "What do shares sum to?", "hint_ja": "割合の和は?"}
    exercise.mistake(en="The weights are not divided by their sum.", **texts)(not_divided)

    @exercise.mistake(en="The mean is over the first dimension.", ja="最初の次元。", hint_en="Which?", hint_ja="どれ?")
    def over_the_first(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        shares = weights / weights.sum(dim=0, keepdim=True)
        return (shares * values).sum(dim=0), shares

    return exercise


def question(slug: str = "best", answer: str | float = "b", **options: Any) -> ConceptQuestion:
    choices = "abc" if isinstance(answer, str) else None
    titles = {"title_en": "Which is best?", "title_ja": "どれが最良?"}
    made = ConceptQuestion(answer, choices=choices, points=1, objectives=["0.2"], **titles, **options)
    made.slug = slug
    wrong = "a" if choices else 2.5
    made.misconception(wrong, en="That is the first.", ja="最初です。", hint_en="Go on.", hint_ja="先へ。")
    return made


def exercise_of(*references: Any, slug: str = "", **options: Any) -> Exercise:
    """A bare exercise to hang cases on."""
    exercise = Exercise(*references, points=2, objectives=["0.1"], title_en="A toy", title_ja="おもちゃ", **options)
    exercise.slug = slug or references[0].__name__
    return exercise


def mistake_of(exercise: Exercise, wrong: Any, answer: str | None = None) -> None:
    """Register a mistake that says its own name."""
    name = wrong.__name__
    exercise.mistake(en=name, ja=name, hint_en=f"hint {name}", hint_ja=f"hint {name}", answer=answer)(wrong)


# -- asking --------------------------------------------------------------------------------------------------------


def namespace_of(exercise: Exercise, answer: Any = None, **others: Any) -> dict[str, Any]:
    """The notebook's variables: the references, with `answer` in place of the first."""
    names = dict(exercise.answers)
    if answer is not None:
        names[next(iter(names))] = answer
    return {**names, **others}


def ask(key: Key, namespace: Mapping[str, Any]) -> list[Outcome]:
    """The outcomes as a grader gets them, without the second process."""
    return [as_outcome(as_sent(run(trial, namespace)), trial) for trial in key.trials]


def verdict_of(exercise: Exercise, answer: Any = None, seed: int = SEED) -> Verdict:
    """The exam's verdict on an answer (the reference when none is given)."""
    key = make_key(exercise, seed)
    return judge(key.sheet, ask(key, namespace_of(exercise, answer)))


def outcome_of(answer: Any, trial: Trial, name: str = "answer") -> Outcome:
    """Run one answer on one trial, bound as the answer itself would be bound as a reference."""
    return run(trial.bound(name, answer), {name: answer})


def in_child(work: Callable[[], Any], folder: Path, seconds: float = 60.0) -> Any:
    """What `work` gives in a forked child."""
    run_isolated(lambda job: encode(work()), [seconds], folder)
    return decode(reply_path(folder, 0).read_bytes())


# -- public builders, named by recipes -----------------------------------------------------------------------------


def classifier(width: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, 6), nn.Tanh(), nn.Linear(6, classes))


def halving(step: int) -> float:
    """A learning-rate factor: 1, 1/2, 1/4, ..."""
    return float(0.5**step)


def halves() -> Callable[[int], float]:
    return halving


def table_step(table: Tensor) -> Callable[[list[int]], Tensor]:
    """A step function for decoding: the log-probabilities that a table has in the row of the last token."""

    def step(ids: list[int]) -> Tensor:
        return table[ids[-1]]

    return step


def right_mean(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """A stand-in for `weighted_mean`."""
    shares = weights / torch.sum(weights, -1, keepdim=True)
    return torch.einsum("...i,...i->...", shares, values), shares
