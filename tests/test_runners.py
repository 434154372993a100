"""How an answer is run: on fresh inputs, twice, seeded; whatever it does, what comes out is an outcome."""

import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from toys import classifier, outcome_of

from autograder.inputs import Ref, build_inputs
from autograder.make import Make, Trial
from autograder.messages import FINDINGS
from autograder.runners import MAX_ITEMS, as_data, as_outcome, run, standing_in
from autograder.serialize import Opaque


@pytest.fixture
def make() -> Make:
    return Make(5)


def failure_of(outcome: dict[str, Any]) -> dict[str, Any]:
    assert set(outcome) == {"failure"}
    details: dict[str, Any] = outcome["failure"]
    assert details["kind"] in FINDINGS
    return details


# -- calls ---------------------------------------------------------------------------------------------------------


def test_a_call_gives_result_and_second_result(make: Make) -> None:
    outcome = outcome_of(lambda x: x + 1, make.call(x=torch.tensor([1.0])))
    assert outcome["result"].tolist() == outcome["again"].tolist() == [2.0]
    assert (outcome["changed"], outcome["elsewhere"], outcome["after"]) == ([], [], {})
    assert "gradients" not in outcome


def test_every_call_gets_fresh_inputs(make: Make) -> None:
    def answer(x: Tensor, rows: list[Tensor]) -> Tensor:
        rows[0].zero_()
        return x.mul_(2)

    x = torch.ones(2)
    rows = [torch.ones(1)]
    outcome = outcome_of(answer, make.call(x=x, rows=rows))
    assert outcome["result"].tolist() == outcome["again"].tolist() == [2.0, 2.0]
    assert outcome["changed"] == ["x"]
    assert (x.tolist(), rows[0].tolist()) == ([1.0, 1.0], [1.0])


@pytest.mark.parametrize(
    "x",
    [torch.tensor([True, False]), torch.tensor([1 + 2j]), torch.tensor([float("nan"), 1.0]), torch.tensor([3])],
)
def test_an_input_of_any_kind_that_stays_is_not_called_changed(make: Make, x: Tensor) -> None:
    assert outcome_of(lambda x: x.clone(), make.call(x=x))["changed"] == []


def test_parameters_may_be_called_otherwise(make: Make) -> None:
    def reference(query: Tensor, scale: float = 1.0) -> Tensor:
        return query * scale

    trial = make.call("answer", query=torch.ones(1), scale=3.0).bound("answer", reference)
    assert run(trial, {"answer": lambda q, s: q * s})["result"].tolist() == [3.0]


def draws(x: Tensor) -> tuple[Tensor, float, float]:
    return torch.rand(2), random.random(), float(np.random.rand())  # noqa: NPY002


def test_global_generators_are_seeded_for_a_run_and_put_back(make: Make) -> None:
    torch.manual_seed(3), random.seed(3), np.random.seed(3)  # noqa: NPY002
    before = draws(torch.ones(1))
    torch.manual_seed(3), random.seed(3), np.random.seed(3)  # noqa: NPY002
    trial = make.call(x=torch.ones(1))
    first, second = outcome_of(draws, trial), outcome_of(draws, trial)
    assert torch.equal(first["result"][0], second["again"][0])
    assert first["result"][1:] == first["again"][1:] == second["result"][1:]
    after = draws(torch.ones(1))
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_an_answer_with_a_memory_gives_something_else_the_second_time(make: Make) -> None:
    calls: list[int] = []

    def counts(x: Tensor) -> int:
        calls.append(1)
        return len(calls)

    outcome = outcome_of(counts, make.call(x=torch.ones(1)))
    assert (outcome["result"], outcome["again"]) == (1, 2)


def test_modes_of_the_notebook_do_not_matter(make: Make) -> None:
    with torch.no_grad():
        outcome = outcome_of(lambda x: x * 2, make.call(x=torch.ones(2)).bound("a", lambda x: x, gradients=True))
    assert outcome["gradients"]["x"] is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "result" in outcome_of(lambda x: warnings.warn("careful", stacklevel=1), make.call(x=1))


# -- gradients -----------------------------------------------------------------------------------------------------


def gradients_of(answer: Any, **inputs: Any) -> dict[str, Any]:
    trial = Make(0).call("answer", **inputs).bound("answer", answer, gradients=True)
    found: dict[str, Any] = run(trial, {"answer": answer})["gradients"]
    return found


def test_gradients_by_input_and_none_where_nothing_flows() -> None:
    x, ids = torch.ones(2, 3, dtype=torch.float64), torch.tensor([1, 2])
    found = gradients_of(lambda x, y, ids: x * 2 + y.detach(), x=x, y=x, ids=ids)
    assert list(found) == ["x", "y"]
    assert found["y"] is None
    assert len(found["x"].unique()) == 6  # every entry of the result counts differently
    assert gradients_of(lambda x: x.detach(), x=x) == {"x": None}
    assert gradients_of(lambda x: 3, x=x) == {"x": None}
    assert gradients_of(lambda ids: ids, ids=ids) == {}


def test_gradients_count_every_result_and_in_place_is_allowed() -> None:
    x = torch.ones(3, dtype=torch.float64)
    both = gradients_of(lambda x: {"a": [x * 2], "b": (x.mul_(3), "text", x.int())}, x=x)["x"]
    assert not torch.equal(both, gradients_of(lambda x: x * 2, x=x)["x"])


class Embedder(nn.Module):
    """Whole numbers come in: there are gradients of parameters alone, and one parameter is frozen."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(size, 2)
        self.scale = nn.Parameter(torch.ones(2), requires_grad=False)

    def forward(self, ids: Tensor) -> Tensor:
        result: Tensor = self.embed(ids) * self.scale
        return result


def test_gradients_of_parameters_alone(make: Make) -> None:
    trial = make.module(Embedder, {"size": 4}, ids=torch.tensor([1, 3])).bound("Embedder", Embedder, gradients=True)
    found = run(trial, {"Embedder": Embedder})["gradients"]
    assert found["scale"] is None
    assert found["embed.weight"].abs().sum(dim=-1).gt(0).tolist() == [False, True, False, True]


# -- modules -------------------------------------------------------------------------------------------------------


class Scale(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, size)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.dropout(self.linear(x))
        return result

    def twice(self, x: Tensor) -> Tensor:
        return self(self(x))


def module_outcome(answer: Any, **options: Any) -> dict[str, Any]:
    trial = Make(2).module(Scale, {"size": 3}, x=torch.ones(2, 3, dtype=torch.float64), **options).bound("Scale", Scale)
    return run(trial, {"Scale": answer})


def test_a_module_gets_its_weights_and_its_mode() -> None:
    outcome = module_outcome(Scale)
    state = Make(2).state(Scale(3))
    expected = torch.ones(2, 3, dtype=torch.float64) @ state["linear.weight"].T + state["linear.bias"]
    torch.testing.assert_close(outcome["result"], expected)
    dropped = module_outcome(Scale, train=True)["result"]
    assert bool((dropped == 0).any())
    assert "result" in module_outcome(Scale, method="twice")


class Renamed(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(size, size)


class KeepsMasks(Scale):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.register_buffer("mask", torch.ones(size, size).tril())
        self.register_buffer("scratch", torch.ones(1), persistent=False)


class LearnsMore(Scale):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.gain = nn.Parameter(torch.ones(1))


class Complains(Scale):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("the state of x is odd")


def test_buffers_of_its_own_cost_a_module_nothing() -> None:
    torch.testing.assert_close(module_outcome(KeepsMasks)["result"], module_outcome(Scale)["result"])


def test_modules_that_do_not_fit() -> None:
    assert failure_of(module_outcome(LearnsMore))["kind"] == "parameters"
    assert failure_of(module_outcome(Renamed))["kind"] == "parameters"
    assert failure_of(module_outcome(Scale(3)))["kind"] == "not_a_module"
    assert failure_of(module_outcome(lambda size: Scale(size)))["kind"] == "not_a_module"
    assert failure_of(module_outcome(Complains))["message"] == "the state of x is odd"


def test_a_blank_in_a_module_is_not_attempted() -> None:
    source = "class Scale(nn.Module):\n    def __init__(self, size):\n        raise NotImplementedError()\n"
    names: dict[str, Any] = {"nn": nn}
    exec(source, names)
    assert failure_of(module_outcome(names["Scale"]))["kind"] == "not_attempted"
    names["Base"] = Scale
    exec("class Scale(Base):\n    def forward(self, x):\n        raise NotImplementedError()\n", names)
    assert failure_of(module_outcome(names["Scale"]))["kind"] == "not_attempted"


# -- failures ------------------------------------------------------------------------------------------------------


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def raising(error: BaseException) -> Callable[..., Any]:
    def answer(x: Any) -> Any:
        raise error

    return answer


@pytest.mark.parametrize(
    ("error", "type_name", "message"),
    [
        (ValueError("odd"), "ValueError", "odd"),
        (SystemExit(1), "SystemExit", "1"),
        (RecursionError("deep"), "RecursionError", "deep"),
        (NotImplementedError("not for CPU"), "NotImplementedError", "not for CPU"),
        (MemoryError(), "MemoryError", ""),
        (GeneratorExit(), "GeneratorExit", ""),
        (StopIteration(), "StopIteration", ""),
        (Unprintable(), "Unprintable", ""),
        (ValueError("x" * 5000), "ValueError", "x" * 400),
    ],
)
def test_whatever_is_raised_is_an_outcome(make: Make, error: BaseException, type_name: str, message: str) -> None:
    found = failure_of(outcome_of(raising(error), make.call(x=1)))
    assert (found["kind"], found["type"], found["message"]) == ("raised", type_name, message)


def test_an_interrupt_is_the_persons_own(make: Make) -> None:
    with pytest.raises(KeyboardInterrupt):
        outcome_of(raising(KeyboardInterrupt()), make.call(x=1))


def in_notebook(source: str, **trial: Any) -> dict[str, Any]:
    """The outcome of `answer` as a cell of a notebook defines it."""
    names: dict[str, Any] = {}
    exec(compile(source, "<cell>", "exec"), names)
    return run(Make(0).call("answer", x=1).bound("answer", lambda x: x, **trial), names)


def test_the_line_is_the_students_own() -> None:
    source = "import json\ndef helper(x):\n    return json.loads('{')\ndef answer(x):\n    return helper(x)"
    found = failure_of(in_notebook(source))
    assert (found["type"], found["line"]) == ("JSONDecodeError", 3)


def test_a_blank_is_not_attempted_but_a_blank_helper_is_an_error() -> None:
    assert failure_of(in_notebook("def answer(x):\n    raise NotImplementedError()"))["kind"] == "not_attempted"
    nested = "def answer(x):\n    def inner(): raise NotImplementedError\n    return inner()"
    assert failure_of(in_notebook(nested))["kind"] == "not_attempted"
    helper = "def helper(): raise NotImplementedError()\ndef answer(x):\n    return helper()"
    assert failure_of(in_notebook(helper))["kind"] == "raised"
    lazy = "def answer(x):\n    yield 1\n    raise NotImplementedError()"
    assert failure_of(in_notebook(lazy))["kind"] == "not_attempted"


def test_names_that_are_missing_or_no_function() -> None:
    assert failure_of(in_notebook("other = 1"))["kind"] == "missing"
    found = failure_of(in_notebook("answer = 3"))
    assert (found["kind"], found["type"]) == ("not_callable", "int")
    assert failure_of(in_notebook("def answer(): return 1"))["type"] == "TypeError"


def test_a_value_whose_parts_fail_is_an_outcome(make: Make) -> None:
    class Trap(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            raise ValueError("trap")

    cyclic: list[Any] = []
    cyclic.append(cyclic)
    assert failure_of(outcome_of(lambda x: Trap(a=1), make.call(x=1)))["message"] == "trap"
    assert failure_of(outcome_of(lambda x: cyclic, make.call(x=1)))["type"] == "RecursionError"


# -- results that are no data --------------------------------------------------------------------------------------


def test_a_model_is_its_state_and_what_is_trainable() -> None:
    model = classifier(2, 3)
    model[0].weight.requires_grad_(False)
    found = as_data(model)
    assert list(found["state"]) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert found["trainable"] == ["0.bias", "2.weight", "2.bias"]
    model.eval()
    assert as_data(model)["trainable"] == found["trainable"]
    assert "training" not in as_data(model)


def test_an_optimizer_is_its_state() -> None:
    model = classifier(2, 3)
    found = as_data(torch.optim.SGD(model.parameters(), lr=0.5))
    assert found["param_groups"][0]["lr"] == 0.5
    assert found["what"] == "Optimizer"


def test_an_iterator_is_what_it_yields(make: Make) -> None:
    def counts(x: Tensor) -> Any:
        for _ in range(3):
            yield x.mul_(2).clone(), float(torch.rand(()))

    outcome = outcome_of(counts, make.call(x=torch.ones(1)))
    assert [float(x) for x, _ in outcome["result"]["yields"]] == [2.0, 4.0, 8.0]
    assert [r for _, r in outcome["result"]["yields"]] == [r for _, r in outcome["again"]["yields"]]
    assert outcome["changed"] == ["x"]

    def endless(x: Tensor) -> Any:
        while True:
            yield 1

    assert len(outcome_of(endless, make.call(x=1))["result"]["yields"]) == MAX_ITEMS
    assert gradients_of(lambda x: (x * n for n in (1, 2)), x=torch.ones(1))["x"] is not None


def test_texts_of_other_kinds_are_texts() -> None:
    found = as_data([np.str_("word"), {"a": ("b", 1)}])
    assert found == ["word", {"a": ["b", 1]}]
    assert type(found[0]) is str


# -- inputs --------------------------------------------------------------------------------------------------------


def test_recipes_are_built_in_float64_seeded_and_after_what_they_refer_to(make: Make) -> None:
    inputs = {
        "optimizer": make.recipe("autograder.recipes:optimizer", "SGD", make.ref("model"), lr=0.5),
        "model": make.recipe("toys:classifier", 2, 3, seed=4),
        "again": Ref("model"),
    }
    built, other = build_inputs(inputs, "cpu"), build_inputs(inputs, "cpu")
    assert list(built) == ["optimizer", "model", "again"]
    assert built["optimizer"].param_groups[0]["params"][0] is built["model"][0].weight
    assert built["again"] is built["model"]
    assert built["model"][0].weight.dtype == torch.float64
    assert torch.equal(built["model"][0].weight, other["model"][0].weight)
    assert built["model"] is not other["model"]
    assert torch.get_default_dtype() == torch.float32


def test_a_recipe_that_fails_leaves_the_default_dtype(make: Make) -> None:
    with pytest.raises(TypeError):
        build_inputs({"x": make.recipe("toys:classifier", "two", 3)}, "cpu")
    assert torch.get_default_dtype() == torch.float32


def test_a_recipe_in_a_recipe(make: Make) -> None:
    halves = make.recipe("toys:halves")
    inputs = {
        "model": make.recipe("torch.nn:Linear", 2, 3),
        "optimizer": make.recipe("autograder.recipes:optimizer", "SGD", make.ref("model"), lr=1.0),
        "schedule": make.recipe("torch.optim.lr_scheduler:LambdaLR", make.ref("optimizer"), lr_lambda=halves),
    }
    schedule = build_inputs(inputs, "cpu")["schedule"]
    schedule.optimizer.step(), schedule.step()
    assert schedule.get_last_lr() == [0.5]


def test_standing_in_puts_names_back() -> None:
    names: dict[str, Any] = {"weighted_mean": 1, "other": 2}
    with standing_in(names, {"weighted_mean": "toys:right_mean", "new": "toys:halving"}):
        assert names["weighted_mean"].__name__ == "right_mean"
        assert names["new"](1) == 0.5
    assert names == {"weighted_mean": 1, "other": 2}


# -- outcomes from another process ---------------------------------------------------------------------------------

TRIAL = Trial("call", "answer", {"inputs": {"x": 1, "mask": 2}, "positional": 2, "seconds": 3.0})
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.builds(Opaque, st.just("Odd")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(junk | st.dictionaries(st.sampled_from(["failure", "result", "changed", "elsewhere", "after"]), junk))
def test_as_outcome_takes_anything(data: Any) -> None:
    outcome = as_outcome(data, TRIAL)
    assert ("failure" in outcome) != ("result" in outcome)
    assert set(outcome.get("changed", ())) <= {"x", "mask"}


@given(st.sampled_from(["raised", "time", "not_callable", "crash", "missing", "x"]) | junk, junk, junk)
def test_as_outcome_takes_any_failure(kind: Any, text: Any, line: Any) -> None:
    details = {"kind": kind, "type": text, "message": text, "answer": text, "seconds": text, "line": line}
    found = failure_of(as_outcome({"failure": details}, TRIAL))
    if found["kind"] != "unreadable":
        assert (found["answer"], found["seconds"]) == ("answer", 3.0)
        assert "line" not in found or type(found["line"]) is int


def test_what_is_told_beside_the_answer_is_kept_only_where_it_fits() -> None:
    told = {
        "result": 1,
        "changed": ["x", "secret", 5],
        "elsewhere": ["cuda", "secret"],
        "device": True,
        "more": "secret",
    }
    assert as_outcome(told, TRIAL) == {"result": 1, "changed": ["x"], "elsewhere": ["cuda"]}


@pytest.mark.parametrize("answer", ["b", "B", " b ", "(b)", "b.", "(B)"])
def test_a_choice_may_be_written_in_any_way(answer: str) -> None:
    assert run(Trial("value", "q", {"choices": "abc"}), {"q": answer}) == {"result": "b"}


@pytest.mark.parametrize("answer", [9408, 9408.0, "9408", "9,408", torch.tensor(9408)])
def test_a_number_may_be_written_in_any_way(answer: Any) -> None:
    assert run(Trial("value", "q", {"choices": None}), {"q": answer}) == {"result": 9408.0}
