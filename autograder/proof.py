"""The proof of one exercise: a stub, right answers, known mistakes and mutants sit its exam; what they get is noted.

All of them run in forked children with a time limit, so that an endless loop or a crash stops nothing but itself.
"""

import contextlib
import copy
import inspect
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from autograder.devices import stays_on_device
from autograder.errors import CourseError
from autograder.exercise import ConceptQuestion, Exercise
from autograder.key import Key, as_sent, built_trial, make_key, visible_part
from autograder.mutants import Mutant, mutants_of, solution_lines
from autograder.runners import Outcome, run
from autograder.sitting import Answers, Result, ended, graded_part, in_children, marked, sit, sit_detached, told

SEEDS = (1, 2, 3)  # a right answer must be right under each
MISTAKE_SEEDS = 2  # and a mistake be named under as many of them
KILL_RATE = 0.95
MUTANT_SECONDS = 2.0  # the least that a mutant gets before it counts as one that never ends ...
SLOWER = 20.0  # ... on top of this many times what the reference takes
PATIENCE = 5.0  # how much longer an author's own answers may take than a mutant
REFERENCE = "the reference"
DETACHED = "a result that carries no gradients"


@dataclass(frozen=True)
class Survivor:
    """A mutant that earned full marks; `reason` is the author's word that it is equivalent, if there is one."""

    where: str
    operator: str
    before: str
    after: str
    reason: str | None = None


@dataclass
class Proof:
    """What was found about one exercise. The failures are sentences that name it and say what to do."""

    slug: str
    objectives: tuple[str, ...] = ()
    stub_earns: float | None = None
    right: int = 0  # right answers that earned full marks under every seed ...
    right_of: int = 0  # ... of how many
    named: int = 0  # mistakes that lose marks and are named as themselves in the exam, ...
    named_in_check: int | None = None  # ... in the self-check (None where there is none), ...
    mistakes: int = 0  # ... of how many
    killed: int = 0
    mutants: int = 0  # without those that are waived
    survivors: list[Survivor] = field(default_factory=list)
    waived: list[Survivor] = field(default_factory=list)
    hidden_cases: int = 0
    superfluous: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.failures


def prove(exercise: Exercise, stub: Mapping[str, str]) -> Proof:
    """Examine one exercise. `stub` is the source of each answer's cell as a student gets it."""
    started = time.monotonic()
    proof = Proof(exercise.slug, exercise.objectives)
    try:
        _Examination(exercise, proof).hold(stub)
    except CourseError as error:
        text = str(error)
        proof.failures.append(text if text.startswith(exercise.slug) else f"{exercise.slug}: {text}")
    proof.seconds = time.monotonic() - started
    return proof


class _Examination:
    def __init__(self, exercise: Exercise, proof: Proof) -> None:
        self.exercise, self.proof = exercise, proof
        self.sources = exercise.blank()
        self.hidden = [i for i, case in enumerate(exercise.cases) if not case.visible]
        self.right: list[str] = []
        self.kills: dict[str, set[str]] = {exercise.cases[i].name.en: set() for i in self.hidden}

    def hold(self, stub: Mapping[str, str]) -> None:
        self._blanks()
        self._build()
        self.limit = self._reference_seconds() * SLOWER + MUTANT_SECONDS
        given = self._mistakes_once()
        if self.proof.failures:
            return
        self.keys = self._keys()
        self._stub(stub)
        sound = self._right_answers()
        self._mistakes(given)
        if sound:  # beside a reference that is wrong, mutants say nothing
            self._mutants()
            self._superfluous()
        self._device()

    def fail(self, text: str) -> None:
        self.proof.failures.append(f"{self.exercise.slug}: {text}")

    # -- before anything is judged ---------------------------------------------------------------------------------

    def _blanks(self) -> None:
        for answer, source in self.sources.items():
            if not solution_lines(source):
                self.fail(
                    f"nothing of {answer} is blanked: put ### BEGIN SOLUTION and ### END SOLUTION around the answer"
                )

    def _build(self) -> None:
        """Every case under every seed."""
        for seed in SEEDS:
            for case in self.exercise.cases:
                built_trial(self.exercise, case, seed)

    def _reference_seconds(self) -> float:
        def timed() -> Result:
            started = time.perf_counter()
            self._outcomes(self.exercise.answers)
            return {"seconds": time.perf_counter() - started}

        (result,) = in_children([timed], sum(case.seconds for case in self.exercise.cases))
        if "failure" in result:
            raise CourseError(f"the reference {ended(result)}: mend it, or make the cases smaller")
        return result["seconds"]

    def _mistakes_once(self) -> list[Sequence[Outcome]]:
        """What each mistake gives under the first seed. If all of them end, the keys can be made in this process."""
        mistakes = self.exercise.mistakes
        jobs = [_bound(lambda answers: {"outcomes": self._outcomes(answers)}, each.answers) for each in mistakes]
        results = in_children(jobs, PATIENCE * self.limit)
        for mistake, result in zip(mistakes, results, strict=True):
            if "failure" in result:
                self.fail(f"the mistake {mistake.name!r} {ended(result)}: let it give a wrong result instead")
        return [result.get("outcomes", []) for result in results]

    def _outcomes(self, answers: Answers) -> list[Outcome]:
        trials = [self.exercise.trial(case, SEEDS[0]) for case in self.exercise.cases]
        return [as_sent(run(trial, answers)) for trial in trials]

    def _keys(self) -> list[Key]:
        """The answer key under each seed. The visible cases do not depend on it and are worked out once."""
        first = make_key(self.exercise, SEEDS[0])
        exam = copy.copy(self.exercise)
        exam.cases = [self.exercise.cases[i] for i in self.hidden]
        keys = [first]
        for key in (make_key(exam, seed) for seed in SEEDS[1:]):
            cases, trials = list(first.sheet.cases), list(first.trials)
            for index, case, trial in zip(self.hidden, key.sheet.cases, key.trials, strict=True):
                cases[index], trials[index] = case, trial
            keys.append(replace(first, sheet=replace(first.sheet, cases=cases), trials=tuple(trials)))
        return keys

    # -- the known answers -----------------------------------------------------------------------------------------

    def _stub(self, stub: Mapping[str, str]) -> None:
        (result,) = in_children([lambda: sit(self._written(stub), self.keys[0])], self.limit)
        self.proof.stub_earns = result.get("fraction", 0.0)
        if self.proof.stub_earns:
            passed = [case.name.en for case, right in zip(self.exercise.cases, result["passed"], strict=True) if right]
            self.fail(f"the stub earns {self.proof.stub_earns:.0%} (case {passed[-1]!r}): blank what answers it")
        elif result.get("status") != "not_attempted":
            self.fail(f"the stub is not told 'not attempted' but: {told(result)} Let it reach the blank before that")

    def _right_answers(self) -> bool:
        """Whether the reference is right under every seed."""
        builds: list[tuple[str, Callable[[], Answers]]] = [(REFERENCE, lambda: self._written(self.sources))]
        for right in self.exercise.alternatives:
            builds.append((f"the accepted answer {right.name!r}", _bound(lambda answers: answers, right.answers)))

        def sit_all(build: Callable[[], Answers]) -> Result:
            return {"sat": [sit(build(), key) for key in self.keys]}

        results = in_children([_bound(sit_all, build) for _, build in builds], PATIENCE * self.limit)
        self.proof.right_of = len(builds)
        for (name, _), result in zip(builds, results, strict=True):
            wrong = [
                (seed, exam)
                for seed, exam in zip(SEEDS, result.get("sat", ()), strict=False)
                if exam["status"] != "right"
            ]
            if "failure" in result:
                self.fail(f"{name} {ended(result)}: mend it")
            elif wrong:
                seed, exam = wrong[0]
                self.fail(f"{name} loses marks under seed {seed}: {told(exam)} Mend it, or the case")
            else:
                self.right.append(name)
        self.proof.right = len(self.right)
        return REFERENCE in self.right

    def _mistakes(self, given: Sequence[Sequence[Outcome]]) -> None:
        """`given`: what each mistake gave under the first seed; what it gives under another stands in that key."""
        proof = self.proof
        check = visible_part(self.keys[0])
        proof.mistakes = len(given)
        proof.named_in_check = 0 if check.trials else None
        for number, (mistake, outcomes) in enumerate(zip(self.exercise.mistakes, given, strict=True)):
            exams = [marked(self.keys[0], outcomes)]
            for key in self.keys[1:MISTAKE_SEEDS]:
                exams.append(marked(key, [case.mistakes[number] for case in key.sheet.cases]))
            self._note_kills(mistake.name, [exams[0]["passed"][i] for i in self.hidden])
            faults = [self._misjudged(mistake.name, "in the exam", exam) for exam in exams]
            proof.named += not any(faults)
            if check.trials:
                seen = [outcome for outcome, case in zip(outcomes, self.exercise.cases, strict=True) if case.visible]
                result = marked(check, seen)
                proof.named_in_check = (proof.named_in_check or 0) + (result["mistake"] == mistake.name)
                if result["fraction"] < 1:  # a self-check that the mistake passes cannot tell it
                    faults.append(self._misjudged(mistake.name, "in the self-check", result))
            for fault in [fault for fault in faults if fault][:1]:
                self.fail(fault)

    def _misjudged(self, name: str, where: str, result: Result) -> str | None:
        """What is wrong about how a mistake was judged."""
        if result["fraction"] == 1:
            return f"the mistake {name!r} loses no marks {where}: add a hidden case on which it goes wrong"
        if result["mistake"] == name:
            return None
        as_what = f"is told as {result['mistake']!r}" if result["mistake"] else "is not named"
        return f"the mistake {name!r} {as_what} {where}: change a case, so that it gives a result of its own there"

    # -- mutants -----------------------------------------------------------------------------------------------------

    def _mutants(self) -> None:
        exercise, proof, key = self.exercise, self.proof, graded_part(self.keys[0])
        if isinstance(exercise, ConceptQuestion):
            return
        mutants = [mutant for answer, source in self.sources.items() for mutant in mutants_of(answer, source)]
        jobs = [_bound(self._sit_mutated, mutant, key) for mutant in mutants]
        jobs.append(_bound(sit_detached, exercise.answers, key))
        *results, detached = in_children(jobs, self.limit)
        used = set()
        for mutant, result in zip(mutants, results, strict=True):
            if result.get("fraction") != 1:
                proof.killed += 1
                self._note_kills(
                    f"{mutant.answer}:{mutant.line}:{mutant.operator}:{mutant.after}", result.get("passed")
                )
                continue
            survivor = self._survivor(mutant, exercise.equivalent.get(mutant.after))
            (proof.waived if survivor.reason else proof.survivors).append(survivor)
            used.add(mutant.after)
        self._note_kills(DETACHED, detached.get("passed"))
        proof.mutants = proof.killed + len(proof.survivors)
        if not mutants:
            proof.warnings.append(
                f"{exercise.slug}: no mutant can be made of its blank, so that only its mistakes prove the hidden cases"
            )
        if proof.killed < KILL_RATE * proof.mutants:
            self.fail(
                f"{proof.killed} of {proof.mutants} mutants are killed, {KILL_RATE:.0%} must be: sharpen a hidden case "
                "against those listed, or waive one that is equivalent with Exercise(equivalent={'its line': 'why'})"
            )
        proof.warnings += [
            f"{exercise.slug}: the waiver {line!r} is stale, no surviving mutant reads like that: take it out"
            for line in exercise.equivalent
            if line not in used
        ]

    def _survivor(self, mutant: Mutant, reason: str | None) -> Survivor:
        _, first = inspect.getsourcelines(self.exercise.answers[mutant.answer])
        path = self.exercise.path
        where = f"solutions/{path.parent.name}/{path.name}:{first + mutant.line - 1}"
        return Survivor(where, mutant.operator, mutant.before, mutant.after, reason)

    def _sit_mutated(self, mutant: Mutant, key: Key) -> Result:
        return sit(self._written({**self.sources, mutant.answer: mutant.source}), key)

    def _note_kills(self, name: str, passed: Sequence[bool] | None) -> None:
        """Which hidden cases told a wrong answer; all of them where it did not end, which does not say on which."""
        for place, index in enumerate(self.hidden):
            if passed is None or not passed[place]:
                self.kills[self.exercise.cases[index].name.en].add(name)

    def _superfluous(self) -> None:
        """Hidden cases that could all go without the rest missing anything, the weakest first.

        A case with gradients sees all that a plain one sees. The plain one still has its use, marks for an answer whose
        values are right, and is measured against the other plain ones only.
        """
        with_gradients = {case.name.en for case in self.exercise.cases if case.gradients}
        kept = dict(self.kills)
        for name in sorted(self.kills, key=lambda name: len(self.kills[name])):
            others = [each for each in kept if each != name and (name in with_gradients or each not in with_gradients)]
            rest = [kept[each] for each in others]
            if rest and kept[name] <= set[str]().union(*rest):
                del kept[name]
                self.proof.superfluous.append(name)
        self.proof.hidden_cases = len(self.kills)
        self.proof.warnings += [
            f"{self.exercise.slug}: the hidden case {name!r} tells no mistake or mutant that the others do not tell: "
            "take it out, unless it is there to give a half-right answer its part of the marks"
            for name in self.proof.superfluous
        ]

    def _device(self) -> None:
        if not self.exercise.device:
            return
        answers = [(REFERENCE, self.exercise.answers)]
        answers += [
            (f"the accepted answer {right.name!r}", dict(right.answers)) for right in self.exercise.alternatives
        ]
        answers = [(name, given) for name, given in answers if name in self.right]
        trials = self.keys[0].trials

        def strays(given: Answers) -> Result:
            return {"cases": [i for i, trial in enumerate(trials) if not stays_on_device(trial, given)]}

        jobs = [_bound(strays, given) for _, given in answers]
        for (name, _), result in zip(answers, in_children(jobs, PATIENCE * self.limit), strict=True):
            if result.get("cases"):
                case = self.exercise.cases[result["cases"][0]].name.en
                self.fail(
                    f"{name} leaves its inputs' device on the case {case!r}: make its new tensors with device=..."
                )

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _written(self, sources: Mapping[str, str]) -> dict[str, Any]:
        """What a notebook's variables are when the cells in `sources` have run; a cell that fails defines nothing."""
        module = sys.modules.get(getattr(self.exercise.references[0], "__module__", ""))
        namespace = dict(vars(module)) if module is not None else {}
        for answer in self.exercise.answers:
            namespace.pop(answer, None)
        for answer, source in sources.items():
            with warnings.catch_warnings(), contextlib.suppress(Exception):
                warnings.simplefilter("ignore")
                exec(compile(source, f"<{answer}>", "exec"), namespace)
        return namespace


def _bound(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: function(*arguments)
