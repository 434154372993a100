"""What an answer is handed: data as it is, and recipes for what is not data, built anew for every run."""

import contextlib
import importlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Recipe:
    """Something that is not data (a model, an optimizer, axes), to be built on both sides from a public builder.

    `target` is "package.module:name"; `seed` is set before building, so that random weights are equal. What is built
    is float64 as all inputs are, unless the builder itself says otherwise.
    """

    target: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Ref:
    """In a recipe's arguments: the input of that name (an optimizer's model)."""

    name: str


def build_inputs(inputs: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Fresh inputs on `device`: tensors cloned, recipes built, each seeded by itself and after what it refers to."""
    built: dict[str, Any] = {}

    def of(name: str) -> Any:
        if name not in built:
            built[name] = _fresh(inputs[name], device, of)
        return built[name]

    return {name: of(name) for name in inputs}


def _fresh(value: Any, device: str, of: Callable[[str], Any]) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone().to(device)
    if isinstance(value, Ref):
        return of(value.name)
    if isinstance(value, Recipe):
        args = [_fresh(item, device, of) for item in value.args]
        kwargs = {name: _fresh(item, device, of) for name, item in value.kwargs.items()}
        with seeded(value.seed), _float64():
            made = resolve(value.target)(*args, **kwargs)
        return made.to(device) if isinstance(made, nn.Module) else made
    if isinstance(value, Mapping):
        return {name: _fresh(item, device, of) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_fresh(item, device, of) for item in value)
    return value


@contextlib.contextmanager
def _float64() -> Iterator[None]:
    """Make what is built here float64, as the inputs that it meets are."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(usual)


def resolve(target: str) -> Any:
    """The object that "package.module:name" stands for."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed every generator that an answer may use, for a while."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (answers may use the global generator)
    with torch.random.fork_rng(devices=[]):
        reseed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def reseed(seed: int) -> None:
    """Seed every generator that an answer may use: within `seeded`, which puts them back."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed queues a call for a GPU that nobody has asked for
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
