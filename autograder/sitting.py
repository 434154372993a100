"""Answers that sit an exam in forked children, each with a time limit and bounded memory: what `proof` asks with."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from autograder.isolate import reply_path, run_isolated
from autograder.judge import judge
from autograder.key import Key, as_sent
from autograder.runners import Outcome, run
from autograder.serialize import decode, encode
from autograder.verdict import Verdict

MEMORY = 4 * 2**30  # bytes that an answer may take on top of what is there when it starts

Answers = Mapping[str, Any]
Result = dict[str, Any]


def in_children(jobs: Sequence[Callable[[], Result]], seconds: float) -> list[Result]:
    """What each job gives; {"failure": ...} for one that took longer than `seconds` or ended its process."""

    def work(index: int) -> bytes:
        with _bounded_memory():
            return encode(jobs[index]())

    with TemporaryDirectory(prefix="verify-") as name:
        folder = Path(name)
        run_isolated(work, [seconds] * len(jobs), folder)
        return [decode(reply_path(folder, index).read_bytes()) for index in range(len(jobs))]


def sit(answers: Answers, key: Key) -> Result:
    """Let answers sit the exam of `key`, and sum up the verdict as plain data."""
    return marked(key, [as_sent(run(trial, answers)) for trial in key.trials])


def marked(key: Key, outcomes: Sequence[Outcome]) -> Result:
    """Judge outcomes, one a case of `key`, and sum up the verdict as plain data."""
    verdict = judge(key.sheet, outcomes)
    return {
        "status": verdict.status,
        "fraction": verdict.fraction,
        "mistake": verdict.mistake.name if verdict.mistake else None,
        "passed": [case.passed for case in verdict.cases],
        "says": _first_finding(verdict),
    }


def sit_detached(answers: Answers, key: Key) -> Result:
    """The answers sit the exam, but no gradients flow through them: what a case with gradients is there to tell."""
    return sit({name: _without_gradients(answer) for name, answer in answers.items()}, key)


def graded_part(key: Key) -> Key:
    """The key with the cases that carry marks, and without mistakes: for answers that only live or die."""
    kept = [i for i, case in enumerate(key.sheet.cases) if not case.visible]
    cases = [replace(key.sheet.cases[i], mistakes=()) for i in kept]
    return replace(key, sheet=replace(key.sheet, cases=cases, mistakes=()), trials=tuple(key.trials[i] for i in kept))


def told(result: Result) -> str:
    """What an answer was told, as a sentence."""
    return result["says"] if "says" in result else f"it {ended(result)}."


def ended(result: Result) -> str:
    """How a job ended that gave nothing."""
    failure = result["failure"]
    if failure["kind"] == "time":
        return f"does not end within {failure['seconds']:.0f} s"
    return "ends the process that it runs in"


def _without_gradients(answer: Any) -> Any:
    if not (inspect.isclass(answer) and issubclass(answer, nn.Module)):
        return torch.no_grad()(answer)
    module: Any = answer
    return type(module.__name__, (module,), {"forward": torch.no_grad()(module.forward)})


def _first_finding(verdict: Verdict) -> str:
    return next((f"case {case.name.en!r}: {case.findings[0].text().en}" for case in verdict.cases if case.findings), "")


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    """A mutant that asks for a tensor of a trillion entries gets an error, and the machine stays as it is."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    except (ImportError, OSError, ValueError):  # not on this system
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
