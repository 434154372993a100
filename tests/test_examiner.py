"""The trusted side: it judges what a kernel left behind, whatever that is."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from toys import SEED, exercise_of, mean_exercise, not_divided, question, weighted_mean
from traitlets import TraitError
from traitlets.config import Config

from autograder.ask import answer_question, write_question
from autograder.examiner import Exam, mark, read, seconds_for
from autograder.exercise import Exercise
from autograder.isolate import reply_path
from autograder.key import Key, make_key
from autograder.render import as_html, as_text
from autograder.runners import failure
from autograder.serialize import MAX_BYTES, encode
from autograder.verdict import Verdict

EXERCISE = mean_exercise()
KEY = make_key(EXERCISE, SEED)


def examined(key: Key, folder: Path, made_up: bool = False, **names: Any) -> Verdict:
    """The whole way: question, kernel's side, judgement."""
    write_question(folder, list(key.trials), dict(key.stand_ins), "cpu", made_up)
    answer_question(str(folder), names)
    return mark(key, read(key, range(len(key.trials)), folder))


def test_a_right_and_a_mistaken_answer(tmp_path: Path) -> None:
    right = examined(KEY, tmp_path, weighted_mean=weighted_mean)
    assert (right.score, right.status, right.remarks) == (4.0, "right", ())
    for path in tmp_path.iterdir():
        path.unlink()
    wrong = examined(KEY, tmp_path, weighted_mean=not_divided)
    assert wrong.score == 0.0
    assert wrong.mistake is not None
    assert wrong.mistake.name == "not_divided"


def test_a_question_about_a_value(tmp_path: Path) -> None:
    assert examined(make_key(question(), SEED), tmp_path, best=" B ").score == 1.0


def test_an_answer_that_leaves_its_device_is_remarked_and_loses_nothing(tmp_path: Path) -> None:
    def without_device(values: Tensor, weights: Tensor) -> Any:
        return weighted_mean(values + torch.zeros(values.shape[-1]), weights)

    verdict = examined(KEY, tmp_path, made_up=True, weighted_mean=without_device)
    assert verdict.score == 4.0
    assert [remark.kind for remark in verdict.remarks] == ["device"]
    assert "device=x.device" in as_text(verdict, "en")


# -- errors carried forward ----------------------------------------------------------------------------------------


def centred(values: Tensor, weights: Tensor) -> Tensor:
    return values - weighted_mean(values, weights)[0].unsqueeze(-1)


def carrying() -> Key:
    exercise = exercise_of(centred, stand_ins={"weighted_mean": "toys:right_mean"})
    exercise.hidden(en="a matrix", ja="行列")(
        lambda make: {"values": make.normal(2, 3), "weights": make.uniform(2, 3, low=0.5)}
    )
    exercise.device = False
    return make_key(exercise, SEED)


CENTRED = "def centred(values, weights):\n    return values - weighted_mean(values, weights)[0].unsqueeze(-1)\n"


@pytest.mark.parametrize(
    ("source", "score", "carried"),
    [
        (CENTRED, 2.0, True),
        ("def weighted_mean(values, weights): return values, weights\n" + CENTRED, 2.0, True),
        ("def weighted_mean(values, weights): raise NotImplementedError()\n" + CENTRED, 2.0, True),
        ("import os\ndef weighted_mean(values, weights): os._exit(0)\n" + CENTRED, 2.0, True),
        ("from toys import right_mean as weighted_mean\n" + CENTRED, 2.0, False),
        (CENTRED.replace("values - ", "values + "), 0.0, False),
        ("", 0.0, False),
    ],
)
def test_an_error_in_a_helper_costs_marks_once(tmp_path: Path, source: str, score: float, carried: bool) -> None:
    names: dict[str, Any] = {}
    exec(source, names)
    verdict = examined(carrying(), tmp_path, **{}) if not source else _with(names, tmp_path)
    assert verdict.score == score
    assert ([remark.kind for remark in verdict.remarks] == ["carried"]) == carried
    if carried:
        assert "a right weighted_mean in place of yours" in as_text(verdict, "en")


def _with(names: dict[str, Any], folder: Path) -> Verdict:
    key = carrying()
    write_question(folder, list(key.trials), dict(key.stand_ins), "cpu", made_up=False)
    answer_question(str(folder), names)
    return mark(key, read(key, range(len(key.trials)), folder))


# -- what may lie in the folder ------------------------------------------------------------------------------------

COUNT = len(KEY.trials)


def leave_right_replies(folder: Path) -> None:
    for number, case in enumerate(KEY.sheet.cases):
        reply_path(folder, number).write_bytes(encode(case.outcome))


def elsewhere(path: Path) -> None:
    other = path.parent / "secret"
    path.rename(other)
    path.symlink_to(other)


def folder_there(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe_there(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def unreadable(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-3]),
        lambda path: path.write_bytes(b"\x80\x04K\x01."),
        lambda path: path.write_bytes(encode("text")),
        lambda path: path.write_bytes(encode({"score": 4.0})),
        lambda path: path.write_bytes(encode({"failure": {"kind": ["raised"]}})),
        lambda path: path.write_bytes(encode({"failure": "none", "result": 1})),
        lambda path: os.truncate(path, MAX_BYTES + 1),
        elsewhere,
        folder_there,
        pipe_there,
        unreadable,
    ],
)
def test_a_spoiled_reply_costs_its_case_and_no_other(tmp_path: Path, spoil: Callable[[Path], Any]) -> None:
    leave_right_replies(tmp_path)
    assert mark(KEY, read(KEY, range(COUNT), tmp_path)).score == 4.0
    spoil(reply_path(tmp_path, 2))
    verdict = mark(KEY, read(KEY, range(COUNT), tmp_path))
    assert [case.passed for case in verdict.cases] == [True, True, False, True]
    assert verdict.score == 2.0
    assert as_html(verdict, "ja")


def test_a_spoiled_folder_leaves_no_open_files(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for number in range(COUNT):
        reply_path(tmp_path, number).mkdir()
    for _ in range(5):
        assert mark(KEY, read(KEY, range(COUNT), tmp_path)).score == 0.0
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    assert after == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.integers(0, 2 * COUNT - 1), st.binary(max_size=64), st.integers(0, 10**6))
def test_any_bytes_in_any_reply(tmp_path: Path, number: int, data: bytes, place: int) -> None:
    leave_right_replies(tmp_path)
    path = reply_path(tmp_path, number)
    whole = path.read_bytes() if path.exists() and number < COUNT else b"x" * 64
    at = place % len(whole)
    path.write_bytes(whole[:at] + data + whole[at + len(data) :])
    verdict = mark(KEY, read(KEY, range(COUNT), tmp_path))
    assert 2.0 <= verdict.score <= 4.0
    assert as_text(verdict, "en")
    path.unlink()


def test_what_a_reply_claims_of_the_device_is_a_remark_at_most(tmp_path: Path) -> None:
    leave_right_replies(tmp_path)
    for claim, remarks in ((True, ["device"]), (1, []), ("<b>", []), (failure("crash"), [])):
        reply_path(tmp_path, COUNT).write_bytes(encode(claim))
        verdict = mark(KEY, read(KEY, range(COUNT), tmp_path))
        assert verdict.score == 4.0
        assert [remark.kind for remark in verdict.remarks] == remarks


def test_nothing_was_asked() -> None:
    verdict = mark(KEY)
    assert (verdict.score, verdict.status) == (0.0, "wrong")
    assert "could not be asked" in as_text(verdict, "en")


# -- configuration -------------------------------------------------------------------------------------------------


def test_the_exams_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    exam = Exam(config=Config({"Exam": {"device": "CPU", "seed": 5}}))
    assert (exam.place, exam.seed) == ("cpu", 5)
    with pytest.raises(TraitError):
        Exam(device="tpu")
    for there, place in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert Exam(device="auto").place == place


def test_a_key_is_made_once_and_follows_the_seed() -> None:
    exercise: Exercise = mean_exercise()
    first = Exam(device="cpu", seed=5).key(exercise)
    assert Exam(device="cpu", seed=5).key(exercise) is first
    other = Exam(device="cpu", seed=6).key(exercise)
    values = [key.trials[1].fields["inputs"]["values"] for key in (first, other)]
    assert not torch.equal(*values)


def test_time_for_a_question() -> None:
    assert seconds_for(replace(KEY, stand_ins={"earlier": "toys:right_mean"}), range(COUNT)) == 30.0 + 2 * 10.0 * COUNT


def test_a_question_in_another_thread_runs_in_the_kernel_itself(tmp_path: Path) -> None:
    found: list[Verdict] = []
    ask = threading.Thread(target=lambda: found.append(examined(KEY, tmp_path, weighted_mean=weighted_mean)))
    ask.start()
    ask.join()
    assert found[0].score == 4.0
