"""A tensor made on the wrong device is told without a GPU; what cannot be done without values is nobody's fault."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autograder.devices import stays_on_device
from autograder.make import Make, Trial

MAKE = Make(0)
X = torch.ones(2, 3, dtype=torch.float64)


class Layer(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, size)
        self.register_buffer("table", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear(x) + self.table
        return result


class Forgetful(Layer):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.ones(3)


class Wrapped(nn.Module):
    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear(x)
        return result


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        if self.head.weight is not self.embed.weight:
            return torch.zeros(1)
        result: Tensor = self.head(self.embed(ids))
        return result


def module_trial(kind: type[nn.Module], init: dict[str, Any], **inputs: Any) -> tuple[Trial, dict[str, Any]]:
    return MAKE.module(kind, init, **inputs).bound(kind.__name__, kind), {kind.__name__: kind}


def call_trial(answer: Any, **inputs: Any) -> tuple[Trial, dict[str, Any]]:
    return MAKE.call("answer", **inputs).bound("answer", answer), {"answer": answer}


def uses_lists(rows: list[Tensor], table: dict[str, Tensor]) -> Tensor:
    return torch.stack(rows) + table["a"]


def steps(x: Tensor, step: Callable[[Any], Tensor]) -> Tensor:
    return x[0, :2] + step([1])


def applies(x: Tensor, sublayer: nn.Module) -> Tensor:
    return x + sublayer(x)


def trains(x: Tensor, model: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor:
    model(x).sum().backward()
    optimizer.step()
    return next(iter(model.parameters()))


def yields(x: Tensor) -> Any:
    yield x
    yield x + torch.ones(3)


def caught(x: Tensor) -> Tensor:
    try:
        return x + torch.ones(3)
    except RuntimeError:
        return x + torch.ones(3, device=x.device)


LINEAR = MAKE.recipe("torch.nn:Linear", 3, 3)
STEP = MAKE.recipe("toys:table_step", torch.ones(3, 2))
SGD = MAKE.recipe("autograder.recipes:optimizer", "SGD", MAKE.ref("model"), lr=0.1)

STAYS = {
    "like": call_trial(lambda x: x + torch.ones_like(x), x=X),
    "said": call_trial(lambda x: x + torch.arange(3, device=x.device), x=X),
    "new": call_trial(lambda x: x + x.new_ones(3), x=X),
    "plain numbers": call_trial(lambda x: [x.shape[0], "text"], x=X),
    "a list of tensors": call_trial(uses_lists, rows=[X, X], table={"a": X}),
    "a layer": module_trial(Layer, {"size": 3}, x=X),
    "tied weights": module_trial(Tied, {}, ids=torch.tensor([1, 2])),
    "a module in a module's init": module_trial(Wrapped, {"linear": LINEAR}, x=X),
    "a sublayer": call_trial(applies, x=X, sublayer=LINEAR),
    "a step function": call_trial(steps, x=X, step=STEP),
    "a training step": call_trial(trains, x=X, model=LINEAR, optimizer=SGD),
    "an index on the processor": call_trial(lambda x: x[torch.tensor([1, 0])], x=X),
    "a number as a tensor": call_trial(lambda x: x * torch.tensor(2.0), x=X),
    "moved there": call_trial(lambda x: x + torch.ones(3).to(x), x=X),
    "moved away and back": call_trial(lambda x: x.cpu().to(x.device), x=X),
    "a choice by a mask": call_trial(lambda x: torch.where(torch.ones_like(x) > 0, x, x.new_zeros(())), x=X),
    "attention": call_trial(lambda x: nn.functional.scaled_dot_product_attention(x[None], x[None], x[None]), x=X),
    "a caught error": call_trial(caught, x=X),
    "a loss": call_trial(lambda x, y: nn.functional.cross_entropy(x, y), x=X, y=torch.tensor([0, 2])),
    "no tensor comes in": call_trial(lambda size: torch.arange(size), size=3),
    "a value is read": call_trial(lambda x: torch.ones(2) * x.sum().item(), x=X),
    "a decision by value": call_trial(lambda x: x if x.sum() > 0 else -x, x=X),
    "numpy": call_trial(lambda x: torch.from_numpy(x.numpy() + 1), x=X),
    "an error of its own": call_trial(lambda x: x.no_such_thing, x=X),
}
LEAVES = {
    "arange": call_trial(lambda x: x + torch.arange(3), x=X),
    "a mask": call_trial(lambda x: x.masked_fill(torch.ones(3, dtype=torch.bool), 0.0), x=X),
    "a product": call_trial(lambda x: x @ torch.ones(3, 3, dtype=torch.float64), x=X),
    "a result": call_trial(lambda x: torch.zeros(3), x=X),
    "a move": call_trial(lambda x: x.cpu() + x, x=X),
    "a move of the result": call_trial(lambda x: (x + 1).to("cpu"), x=X),
    "an index there": call_trial(lambda x: torch.ones(3)[torch.ones_like(x[0]) > 0], x=X),
    "a lookup": call_trial(lambda x: nn.functional.embedding(torch.tensor([1]), x), x=X),
    "a choice": call_trial(lambda x: torch.where(torch.ones(2, 3) > 0, x, x), x=X),
    "in place": call_trial(lambda x: x.add_(torch.ones(3)), x=X),
    "a score that trains": call_trial(lambda x, y: nn.functional.mse_loss(x, torch.zeros(2, 3)), x=X, y=X),
    "an index": call_trial(lambda x: torch.cat([x, torch.zeros(1, 3, dtype=x.dtype)]), x=X),
    "in a module": module_trial(Forgetful, {"size": 3}, x=X),
    "in a generator": call_trial(yields, x=X),
}


@pytest.mark.parametrize("name", STAYS)
def test_an_answer_that_stays(name: str) -> None:
    assert stays_on_device(*STAYS[name])


@pytest.mark.parametrize("name", LEAVES)
def test_an_answer_that_leaves(name: str) -> None:
    assert not stays_on_device(*LEAVES[name])
