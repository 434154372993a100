"""Answers on a real GPU. Skipped by name where there is none."""

from pathlib import Path

import pytest
import torch

from autograder.exercise import ConceptQuestion, Exercise
from autograder.judge import judge
from autograder.key import as_sent, make_key
from autograder.runners import run
from autograder.selfcheck import judge_here
from autograder.solutions import load_chapter

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")]

SOLUTIONS = Path(__file__).parent.parent / "solutions"


def _exercises() -> list[Exercise]:
    chapters = [load_chapter(folder) for folder in sorted(SOLUTIONS.glob("ch*"))]
    every = [exercise for chapter in chapters for exercise in chapter.values()]
    return [exercise for exercise in every if not isinstance(exercise, ConceptQuestion)]


@pytest.mark.parametrize("exercise", _exercises(), ids=lambda exercise: exercise.slug)
def test_right_answers_are_right_and_mistakes_are_named_on_cuda(exercise: Exercise) -> None:
    key = make_key(exercise, seed=3, device="cuda")

    def verdict_of(answers: dict[str, object]) -> object:
        return judge(key.sheet, [as_sent(run(trial, answers, "cuda")) for trial in key.trials])

    assert verdict_of(exercise.answers).status == "right"
    for alternative in exercise.alternatives:
        assert verdict_of(dict(alternative.answers)).status == "right", alternative.name
    for mistake in exercise.mistakes:
        verdict = verdict_of(dict(mistake.answers))
        assert verdict.fraction < 1
        assert verdict.mistake is not None
        assert verdict.mistake.name == mistake.name


def test_a_tensor_left_on_the_cpu_is_told_on_cuda() -> None:
    exercise = next(each for each in _exercises() if each.slug == "stable_softmax")
    key = make_key(exercise, seed=3, device="cuda")
    answers = {"stable_softmax": lambda x, dim=-1: x.cpu().softmax(dim)}
    verdict = judge(key.sheet, [as_sent(run(trial, answers, "cuda")) for trial in key.trials])
    assert [remark.kind for remark in verdict.remarks] == ["elsewhere"]


def test_the_self_check_runs_beside_a_gpu() -> None:
    exercise = next(each for each in _exercises() if each.slug == "stable_softmax")
    assert judge_here(make_key(exercise, seed=0, hidden=False), dict(exercise.answers)).status == "right"
