"""The answer key: the trials of an exercise, and the sheet with what the reference and each mistake give on them.

Made on the trusted side from an exercise file; the visible part of it travels to the student in a checks file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from autograder.errors import CourseError, DataError
from autograder.exercise import Case, ConceptQuestion, Exercise
from autograder.judge import Expected, Sheet, Tolerance
from autograder.make import Trial
from autograder.runners import run
from autograder.serialize import Opaque, decode, encode
from autograder.text import Text
from autograder.verdict import Named


@dataclass(frozen=True)
class Key:
    """What an exercise is asked and judged by: one trial and one expected outcome for each case."""

    sheet: Sheet
    trials: tuple[Trial, ...]
    stand_ins: Mapping[str, str]
    device: bool  # whether the answer is also tried on a made-up device
    answers: tuple[str, ...]  # the names that a student gives
    objectives: tuple[str, ...]
    form: Trial | None = None  # a concept question: how its answer is read, so that a self-check can say 'recorded'

    @property
    def rounds(self) -> int:
        """How often an answer is asked: once as it is, and once with the stand-ins where there are any."""
        return 2 if self.stand_ins else 1

    @property
    def visible(self) -> list[int]:
        """The indices of the visible cases."""
        return [i for i, case in enumerate(self.sheet.cases) if case.visible]

    @property
    def hidden(self) -> list[int]:
        """The indices of the hidden cases."""
        return [i for i, case in enumerate(self.sheet.cases) if not case.visible]


def make_key(exercise: Exercise, seed: int, *, device: str = "cpu", hidden: bool = True) -> Key:
    """Run the reference and every mistake on the exercise's cases; without the hidden ones for a self-check.

    Args:
        exercise: the exercise.
        seed: the course's exam seed; the visible cases do not depend on it.
        device: where answers will be run; it sets the tolerances. Expected values are computed on the CPU.
        hidden: whether hidden cases are wanted.
    """
    cases = [case for case in exercise.cases if hidden or case.visible]
    trials = [built_trial(exercise, case, seed) for case in cases]
    # Without a case there is nothing to diagnose: a question's wrong choices, all named, would tell the right one.
    mistakes = exercise.mistakes if cases else []
    named = [Named(mistake.name, mistake.says, mistake.hint) for mistake in mistakes]
    expected = [_expected(exercise, case, trial, device) for case, trial in zip(cases, trials, strict=True)]
    sheet = Sheet(exercise.slug, exercise.title, exercise.points, named, expected)
    form = None
    if isinstance(exercise, ConceptQuestion):
        form = Trial("value", exercise.slug, {"choices": exercise.choices})
    return Key(
        sheet,
        tuple(trials),
        stand_ins=dict(exercise.stand_ins),
        device=exercise.device,
        answers=tuple(exercise.answers),
        objectives=exercise.objectives,
        form=form,
    )


def built_trial(exercise: Exercise, case: Case, seed: int) -> Trial:
    """A case's trial. Raises CourseError where it cannot be built."""
    try:
        return exercise.trial(case, seed)
    except CourseError:
        raise
    except Exception as error:  # what an author wrote may raise anything
        raise CourseError(
            f"{exercise.slug}: the case {case.name.en!r} cannot be built under seed {seed} "
            f"({type(error).__name__}: {error}): mend it, so that it works for every seed"
        ) from None


def _expected(exercise: Exercise, case: Case, trial: Trial, device: str) -> Expected:
    outcome = run(trial, exercise.answers)
    if "failure" in outcome:
        raise CourseError(
            f"{exercise.slug}: the reference fails on the case {case.name.en!r}: {outcome['failure']}: "
            "mend the reference or the case"
        )
    sent = as_sent(outcome)
    odd = "more than can be sent" if "failure" in sent else _no_data(sent)
    if odd is not None:
        raise CourseError(
            f"{exercise.slug}: on the case {case.name.en!r} the reference gives {odd}, which cannot be compared: "
            "let it return tensors, numbers, texts, lists or dicts"
        )
    mistakes = [_without_source(as_sent(run(trial, mistake.answers))) for mistake in exercise.mistakes]
    judge = partial(case.judge, trial.fields.get("inputs", {})) if case.judge is not None else None
    tolerance = Tolerance(case.rtol, case.atol, device)
    return Expected(case.name, case.visible, case.weight, sent, mistakes, tolerance, judge)


def _no_data(tree: Any) -> str | None:
    """What in an outcome is no data, by the name of its type: two of that type would count as equal."""
    if isinstance(tree, Opaque):
        return f"a value of type {tree.type_name}"
    parts = list(tree.values()) if isinstance(tree, Mapping) else tree if isinstance(tree, list | tuple) else ()
    return next((found for found in map(_no_data, parts) if found is not None), None)


def _without_source(outcome: Any) -> Any:
    """A mistake's outcome as a student may read it in a checks file: where it failed is a line of its source."""
    if "failure" not in outcome:
        return outcome
    return {**outcome, "failure": {k: v for k, v in outcome["failure"].items() if k not in ("line", "source")}}


def as_sent(outcome: Any) -> Any:
    """The outcome as it arrives from another process, so that both sides are compared in the same form."""
    try:
        return decode(encode(outcome))
    except DataError:
        return {"failure": {"kind": "unreadable"}}


# -- as data, for a checks file ------------------------------------------------------------------------------------


def key_as_data(key: Key) -> dict[str, Any]:
    """The key as plain data. Only a key without hidden cases may leave the trusted side; ValueError otherwise."""
    if not all(case.visible for case in key.sheet.cases):
        raise ValueError(f"{key.sheet.slug}: a key with hidden cases must not be written out")
    sheet = key.sheet
    return {
        "slug": sheet.slug,
        "title": sheet.title.as_data(),
        "points": sheet.points,
        "stand_ins": dict(key.stand_ins),
        "device": key.device,
        "answers": list(key.answers),
        "objectives": list(key.objectives),
        "form": key.form.as_data() if key.form is not None else None,
        "mistakes": [
            {"name": named.name, "says": named.says.as_data(), "hint": named.hint.as_data()} for named in sheet.mistakes
        ],
        "cases": [
            {
                "name": case.name.as_data(),
                "outcome": case.outcome,
                "mistakes": list(case.mistakes),
                "rtol": case.tolerance.rtol,
                "atol": case.tolerance.atol,
                "trial": trial.as_data(),
            }
            for case, trial in zip(sheet.cases, key.trials, strict=True)
        ],
    }


def key_from_data(data: Mapping[str, Any]) -> Key:
    """The key that `key_as_data` wrote. Raises DataError when something is missing."""
    try:
        cases = [_case_from_data(case) for case in data["cases"]]
        named = [Named(m["name"], Text(**m["says"]), Text(**m["hint"])) for m in data["mistakes"]]
        sheet = Sheet(data["slug"], Text(**data["title"]), data["points"], named, cases)
        trials = tuple(Trial.from_data(case["trial"]) for case in data["cases"])
        form = Trial.from_data(data["form"]) if data["form"] is not None else None
        answers, objectives = tuple(data["answers"]), tuple(data["objectives"])
        return Key(sheet, trials, data["stand_ins"], data["device"], answers, objectives, form)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"an exercise in the file is incomplete ({error})") from None


def _case_from_data(data: Mapping[str, Any]) -> Expected:
    tolerance = Tolerance(data["rtol"], data["atol"])
    return Expected(Text(**data["name"]), True, 0.0, data["outcome"], data["mistakes"], tolerance)


def visible_part(key: Key) -> Key:
    """The key of the self-check: the cases that a student may see."""
    kept = [i for i, case in enumerate(key.sheet.cases) if case.visible]
    cases: Sequence[Expected] = tuple(key.sheet.cases[i] for i in kept)
    return replace(key, sheet=replace(key.sheet, cases=cases), trials=tuple(key.trials[i] for i in kept))
