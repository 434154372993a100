"""The kernel's side of an exam: it runs what it is asked, and leaves replies; answers change nothing outside."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toys import SEED, mean_exercise, weighted_mean

from autograder import ask
from autograder.ask import answer_question, write_question
from autograder.isolate import reply_path
from autograder.key import make_key
from autograder.make import Make, Trial
from autograder.runners import failure
from autograder.serialize import decode

KEY = make_key(mean_exercise(), SEED)
X = torch.ones(2)


def trial(name: str = "answer", seconds: float = 60.0, **inputs: Any) -> Trial:
    return Make(0).call(name, **(inputs or {"x": X})).bound(name, lambda x: x, seconds=seconds)


def replies(
    folder: Path, trials: list[Trial], stand_ins: dict[str, str], made_up: bool = False, **names: Any
) -> list[Any]:
    write_question(folder, trials, stand_ins, "cpu", made_up)
    answer_question(str(folder), names)
    count = len(trials) * ((2 if stand_ins else 1) + made_up)
    return [decode(reply_path(folder, job).read_bytes()) for job in range(count)]


def test_every_trial_has_a_reply(tmp_path: Path) -> None:
    found = replies(tmp_path, list(KEY.trials), {}, weighted_mean=weighted_mean)
    for expected, reply in zip(KEY.sheet.cases, found, strict=True):
        torch.testing.assert_close(reply["result"][0], expected.outcome["result"][0])


def test_a_question_holds_no_expected_value(tmp_path: Path) -> None:
    write_question(tmp_path, list(KEY.trials), {}, "cpu", made_up=False)
    outline = decode((tmp_path / "outline").read_bytes())
    assert set(outline) == {"seconds", "stand_ins", "device", "made_up"}
    for data in decode((tmp_path / "question").read_bytes(), recipes=True):
        assert set(data) == {"runner", "answer", "fields"}
        assert set(data["fields"]) == {"inputs", "after", "positional", "gradients", "seconds", "again"}


def test_one_bad_trial_costs_no_other(tmp_path: Path) -> None:
    def loops(x: Tensor) -> None:
        while True:
            pass

    def leaves(x: Tensor) -> None:
        os._exit(0)

    trials = [trial("f"), trial("loops", seconds=0.3), trial("leaves"), trial("odd"), trial("gone"), trial("f")]
    cyclic: dict[str, Any] = {}
    cyclic["self"] = cyclic
    names = {"f": lambda x: x + 1, "loops": loops, "leaves": leaves, "odd": lambda x: cyclic}
    found = replies(tmp_path, trials, {}, **names)
    assert found[0]["result"].tolist() == found[5]["result"].tolist() == [2.0, 2.0]
    assert [reply["failure"]["kind"] for reply in found[1:5]] == ["time", "crash", "raised", "missing"]


@pytest.mark.parametrize(
    "value", [torch.ones(1).expand(10**12), ["x" * 20_000] * 500, [0] * 200_000, [[[[X]] * 9] * 99] * 99]
)
def test_too_large_a_result_is_unreadable(tmp_path: Path, value: Any) -> None:
    (found,) = replies(tmp_path, [trial()], {}, answer=lambda x: value)
    assert found == failure("unreadable")


def test_each_trial_is_asked_again_with_the_stand_ins(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec("def weighted_mean(v, w): return 0, 0\ndef answer(x): return weighted_mean(x, x)[0]", names)
    found = replies(tmp_path, [trial(), trial()], {"weighted_mean": "toys:right_mean"}, **{"__builtins__": {}})
    assert [reply["failure"]["kind"] for reply in found] == ["missing"] * 4
    write_question(tmp_path, [trial(), trial()], {"weighted_mean": "toys:right_mean"}, "cpu", made_up=False)
    helper = names["weighted_mean"]
    for path in tmp_path.glob("reply-*"):
        path.unlink()
    answer_question(str(tmp_path), names)
    results = [decode(reply_path(tmp_path, job).read_bytes())["result"] for job in range(4)]
    assert [float(result) for result in results] == [0.0, 0.0, 1.0, 1.0]
    assert names["weighted_mean"] is helper


def test_nothing_comes_back_but_the_replies(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[Tensor] = []

    def spies(x: Tensor) -> Tensor:
        seen.append(x)
        print(x)
        torch.manual_seed(1)
        return x

    before = torch.random.get_rng_state()
    replies(tmp_path, [trial(), trial()], {}, answer=spies)
    assert seen == []
    assert capfd.readouterr() == ("", "")
    assert torch.equal(before, torch.random.get_rng_state())


def test_where_there_is_no_fork_the_kernel_runs_it_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "_can_fork", lambda: False)
    pid = os.getpid()
    (found,) = replies(tmp_path, [trial()], {}, answer=lambda x: os.getpid())
    assert found["result"] == pid


# -- the made-up device --------------------------------------------------------------------------------------------


def without_device(x: Tensor) -> Tensor:
    return x + torch.arange(2)


def with_device(x: Tensor) -> Tensor:
    return x + torch.arange(2, device=x.device)


def aborts_on_a_device_it_does_not_know(x: Tensor) -> Tensor:
    if x.device.type not in ("cpu", "cuda"):
        os._exit(1)
    return x + torch.arange(2)


def hangs_on_a_device_it_does_not_know(x: Tensor) -> Tensor:
    while x.device.type not in ("cpu", "cuda"):
        pass
    return x


def test_whether_answers_leave_their_device_is_asked_last_and_costs_nothing(tmp_path: Path) -> None:
    def fails(x: Tensor) -> None:
        raise ValueError

    named = (without_device, with_device, aborts_on_a_device_it_does_not_know, with_device, fails)
    names = {f"f{number}": answer for number, answer in enumerate(named)}
    found = replies(tmp_path, [trial(name) for name in names], {}, made_up=True, **names)
    assert ["failure" in reply for reply in found[:5]] == [False, False, False, False, True]
    assert found[5:7] == [True, False]
    assert found[7]["failure"]["kind"] == "crash"
    assert found[8:] == [False, False]


def test_a_made_up_device_that_hangs_an_answer_costs_nothing(tmp_path: Path) -> None:
    (reply, device) = replies(tmp_path, [trial(seconds=1.5)], {}, True, answer=hangs_on_a_device_it_does_not_know)
    assert reply["result"].tolist() == [1.0, 1.0]
    assert device["failure"]["kind"] == "time"
