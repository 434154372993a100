"""The vocabulary that an exercise file is written in: Exercise, ConceptQuestion, Case, Mistake.

An exercise file (`solutions/<chapter>/<slug>.py`) holds the reference, the cases that it is compared on, the wrong
answers that learners really give, and right answers written another way. See CONTRIBUTING.md for a walk through one.
"""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.errors import CourseError
from autograder.make import Make, Trial
from autograder.text import Text

VISIBLE_SEED = 0  # the visible cases never change: the checks file of a release is the same on every machine
ANSWER_SECONDS = 10.0  # how long one case may run before it is stopped
Judge = Callable[[Mapping[str, Any], Any, Any], Text | None]


@dataclass(frozen=True)
class Case:
    """One situation in which the answer is run and compared with the reference."""

    name: Text
    build: Callable[[Make], Mapping[str, Any] | Trial]
    visible: bool
    weight: float
    gradients: bool = False
    rtol: float | None = None
    atol: float | None = None
    seconds: float = ANSWER_SECONDS
    judge: Judge | None = None
    again: bool = True  # whether a second call must give the same; not worth the time where everything is made anew


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that learners really give, under the name of the answer that it stands in for."""

    name: str
    says: Text
    hint: Text
    answers: Mapping[str, Any]


@dataclass(frozen=True)
class Accepted:
    """A right answer written another way: it must get full marks."""

    name: str
    answers: Mapping[str, Any]


class Exercise:
    """One exercise: one exam cell in a notebook, one row of a report.

    Args:
        references: the model answers, functions or classes. Their `### BEGIN SOLUTION` regions are what is blanked.
        points: marks for a right answer.
        objectives: the topics of the syllabus that it assesses, such as "1.3".
        title: what a report and `progress()` call it, in both languages.
        stand_ins: earlier answers that this one calls, and the public builtin that replaces each (see
            `autograder.course.standins`) so that an error made there costs nothing here.
        equivalent: mutants of the reference that behave like it, as {changed line: reason}; `verify` waives them.
        device: whether an answer is also tried on a made-up device, to tell a tensor made on the wrong one.
    """

    def __init__(
        self,
        *references: Any,
        points: float,
        objectives: Sequence[str],
        title_en: str,
        title_ja: str,
        stand_ins: Mapping[str, str] | None = None,
        equivalent: Mapping[str, str] | None = None,
        device: bool = True,
    ) -> None:
        self.references, self.points, self.objectives = references, float(points), tuple(objectives)
        self.title = Text(title_en, title_ja)
        self.stand_ins, self.equivalent, self.device = dict(stand_ins or {}), dict(equivalent or {}), device
        self.cases: list[Case] = []
        self.mistakes: list[Mistake] = []
        self.alternatives: list[Accepted] = []
        self.slug, self.path = "", Path()  # set by the course that reads the file

    # -- what an exercise file says ---------------------------------------------------------------------------------

    def visible(self, *, en: str, ja: str, **options: Any) -> Callable[[Callable[[Make], Any]], Any]:
        """The student's self-check sees this case; it carries no marks. Options are the fields of `Case`."""
        return self._case(Text(en, ja), visible=True, weight=0.0, **options)

    def hidden(
        self, *, en: str, ja: str, weight: float = 1.0, **options: Any
    ) -> Callable[[Callable[[Make], Any]], Any]:
        """The grader alone sees this case, and it carries `weight` of the marks. Options are the fields of `Case`."""
        return self._case(Text(en, ja), visible=False, weight=weight, **options)

    def _case(self, name: Text, **options: Any) -> Callable[[Callable[[Make], Any]], Any]:
        def register(build: Callable[[Make], Any]) -> Callable[[Make], Any]:
            self.cases.append(Case(name, build, **options))
            return build

        return register

    def mistake(
        self, *, en: str, ja: str, hint_en: str, hint_ja: str, answer: str | None = None
    ) -> Callable[[Any], Any]:
        """Decorates a wrong answer. `answer` names the reference it replaces, where the exercise has several."""

        def register(wrong: Any) -> Any:
            answers = self._instead(wrong, answer)
            self.mistakes.append(Mistake(wrong.__name__, Text(en, ja), Text(hint_en, hint_ja), answers))
            return wrong

        return register

    def accepted(self, right: Any = None, *, answer: str | None = None) -> Any:
        """Decorates a right answer written another way."""

        def register(right: Any) -> Any:
            self.alternatives.append(Accepted(right.__name__, self._instead(right, answer)))
            return right

        return register(right) if right is not None else register

    def _instead(self, other: Any, answer: str | None) -> dict[str, Any]:
        if answer is None and len(self.references) > 1:
            raise CourseError(
                f"{other.__name__}: the exercise has several answers ({', '.join(self.answers)}): "
                "say which one this replaces with answer=..."
            )
        name = answer or next(iter(self.answers))
        if name not in self.answers:
            raise CourseError(f"{other.__name__}: answer={name!r} is not an answer of this exercise")
        return {**self.answers, name: other}

    # -- what the engine asks of it ---------------------------------------------------------------------------------

    @property
    def answers(self) -> dict[str, Any]:
        """The references by the names that a student gives them."""
        return {reference.__name__: reference for reference in self.references}

    def cell_id(self, answer: str) -> str:
        """The grade_id of an answer's cell; the exam cell's grade_id is the slug."""
        return f"{self.slug}-{answer}"

    def blank(self) -> dict[str, str]:
        """The source of each answer's cell, solution regions included."""
        return {name: inspect.getsource(reference).rstrip() + "\n" for name, reference in self.answers.items()}

    def trial(self, case: Case, seed: int) -> Trial:
        """The data of one case: drawn from `seed` and from the exercise's and the case's names."""
        text = f"{VISIBLE_SEED if case.visible else seed}/{self.slug}/{case.name.en}"
        make = Make(int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big"))
        built = case.build(make)
        trial = built if isinstance(built, Trial) else make.call(**built)
        name = trial.answer or next(iter(self.answers))
        if name not in self.answers:
            raise CourseError(f"{self.slug}: the case {case.name.en!r} asks for {name!r}, which is not an answer here")
        return trial.bound(name, self.answers[name], gradients=case.gradients, seconds=case.seconds, again=case.again)

    def problems(self) -> list[str]:
        """What an author has left out, a sentence each; empty when the file is whole."""
        found = []
        if not self.references:
            found.append("no reference is given")
        if not self.points > 0:
            found.append("points must be above 0")
        if not self.objectives:
            found.append("objectives is empty: name the topics it assesses, such as '1.3'")
        if not any(case.visible for case in self.cases) and not isinstance(self, ConceptQuestion):
            found.append("there is no visible case: add one with @exercise.visible")
        if not sum(case.weight for case in self.cases if not case.visible) > 0:
            found.append("there is no hidden case with weight: add one with @exercise.hidden")
        if any(case.judge for case in self.cases if case.visible):
            found.append("a visible case cannot have its own judge: a student's machine does not hold it")
        if any(not case.weight >= 0 for case in self.cases):
            found.append("a case has a weight below 0")
        names = [case.name.en for case in self.cases]
        found += [f"two cases are called {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
        texts = [self.title, *(case.name for case in self.cases)]
        texts += [text for mistake in self.mistakes for text in (mistake.says, mistake.hint)]
        found += [f"a text lacks one of the two languages: {text}" for text in texts if not text.is_whole]
        return found


class ConceptQuestion(Exercise):
    """A question with a short answer: a choice or a number. The answer is a variable that bears the file's name.

    Args:
        answer: the right answer, a letter among `choices` or a number.
        choices: the letters to choose from; None for a number.
    """

    def __init__(
        self,
        answer: str | float,
        *,
        choices: str | None = None,
        points: float,
        objectives: Sequence[str],
        title_en: str,
        title_ja: str,
        rtol: float = 1e-3,
    ) -> None:
        super().__init__(answer, points=points, objectives=objectives, title_en=title_en, title_ja=title_ja)
        self.choices, self.device = choices, False
        name = Text("the answer", "答え")
        self.cases.append(Case(name, self._ask, visible=False, weight=1.0, rtol=rtol, atol=0.0))
        if choices is not None:
            self.alternatives.append(Accepted("capital letter and spaces", _Named(self, f" {str(answer).upper()} ")))

    def _ask(self, make: Make) -> Trial:
        return Trial("value", self.slug, {"choices": self.choices})

    def misconception(self, answer: str | float, *, en: str, ja: str, hint_en: str, hint_ja: str) -> None:
        """A wrong answer, and what whoever gives it may be thinking. The hint must not give the right one away."""
        says, hint = Text(en, ja), Text(hint_en, hint_ja)
        self.mistakes.append(Mistake(f"answered {answer}", says, hint, _Named(self, answer)))

    @property
    def answers(self) -> dict[str, Any]:
        return {self.slug: self.references[0]}

    def blank(self) -> dict[str, str]:
        given = '""' if self.choices else "None"
        shown = f"one of {', '.join(self.choices)}" if self.choices else "a number"
        source = f"{self.slug} = {given}  # {shown}\n"
        return {self.slug: f"{source}### BEGIN SOLUTION\n{self.slug} = {self.references[0]!r}\n### END SOLUTION\n"}


class _Named(Mapping[str, Any]):
    """A value under its question's slug, which is known only when the file has been read."""

    def __init__(self, question: ConceptQuestion, value: Any) -> None:
        self.question, self.value = question, value

    def __getitem__(self, name: str) -> Any:
        if name != self.question.slug:
            raise KeyError(name)
        return self.value

    def __iter__(self) -> Any:
        return iter((self.question.slug,))

    def __len__(self) -> int:
        return 1
