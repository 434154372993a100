"""What a case is made of: seeded tensors, recipes for things that are not data, and the trial that carries them."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from autograder.inputs import Recipe, Ref, build_inputs


@dataclass(frozen=True)
class Trial:
    """One run of one answer, as data: what a runner (`autograder.runners`) is handed."""

    runner: str
    answer: str | None
    fields: Mapping[str, Any]

    def bound(self, answer: str, reference: Any, **options: Any) -> "Trial":
        """Put the inputs in the order of the reference's signature.

        Leading inputs are handed over by position, so that an answer whose parameters were renamed still runs.
        """
        fields = {**self.fields, **options}
        if "inputs" in fields:
            is_module = isinstance(reference, type) and issubclass(reference, nn.Module)
            method = fields.get("method") or ("forward" if is_module else None)
            called = getattr(reference, method) if method else reference
            names = [name for name in inspect.signature(called).parameters if name != "self"]
            inputs = dict(fields["inputs"])
            ordered = {name: inputs.pop(name) for name in names if name in inputs}
            fields["positional"] = next((i for i, name in enumerate(names) if name not in ordered), len(names))
            fields["inputs"] = {**ordered, **inputs}
        return replace(self, answer=answer, fields=fields)

    def as_data(self) -> dict[str, Any]:
        return {"runner": self.runner, "answer": self.answer, "fields": dict(self.fields)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Trial":
        return cls(data["runner"], data["answer"], data["fields"])


class Make:
    """Draws a case's inputs from one seed. Everything is float64 on the CPU unless it says otherwise."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> Tensor:
        """Normal draws of mean 0 and standard deviation `scale`."""
        return (torch.randn(shape, generator=self.generator, dtype=torch.float64) * scale).to(dtype)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0, dtype: torch.dtype = torch.float64) -> Tensor:
        """Uniform draws from [low, high)."""
        return (low + (high - low) * torch.rand(shape, generator=self.generator, dtype=torch.float64)).to(dtype)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Integers from [low, high), int64."""
        return torch.randint(low, high, shape, generator=self.generator)

    def keep_mask(self, *shape: int, keep: float = 0.6) -> Tensor:
        """A boolean mask, True = keep; every row of the last dimension keeps at least one and forbids at least one."""
        mask = torch.rand(shape, generator=self.generator) < keep
        chosen = torch.rand(shape, generator=self.generator).argsort(dim=-1)
        return mask.scatter(-1, chosen[..., :1], True).scatter(-1, chosen[..., 1:2], False)

    def state(self, module: nn.Module, std: float = 0.2) -> dict[str, Tensor]:
        """A state dict for `module`, float64, whose parameters are redrawn at a visible scale; tied ones stay equal."""
        drawn: dict[int, Tensor] = {}
        redrawn = {}
        for name, parameter in module.named_parameters(remove_duplicate=False):
            if id(parameter) not in drawn:
                drawn[id(parameter)] = self.normal(*parameter.shape, scale=std)
            redrawn[name] = drawn[id(parameter)]
        return {
            name: redrawn[name] if name in redrawn else value.double() if value.is_floating_point() else value.clone()
            for name, value in module.state_dict().items()
        }

    def recipe(self, target: str, *args: Any, seed: int = 0, **kwargs: Any) -> Recipe:
        """Something that is not data; see `Recipe`."""
        return Recipe(target, args, kwargs, seed)

    def ref(self, name: str) -> Ref:
        """In a recipe's arguments: the input of that name; see `Ref`."""
        return Ref(name)

    def call(self, answer: str | None = None, /, *, after: tuple[str, ...] = (), **inputs: Any) -> Trial:
        """Call a function. `after` names inputs (a model, an optimizer) whose state is compared after the call."""
        return Trial("call", answer, {"inputs": inputs, "after": list(after)})

    def module(
        self,
        reference: type[nn.Module],
        init: Mapping[str, Any],
        /,
        *,
        train: bool = False,
        method: str | None = None,
        after: tuple[str, ...] = (),
        **inputs: Any,
    ) -> Trial:
        """Build a module with `init`, load weights redrawn at std 0.2, and call it (or `method`) on the inputs."""
        torch.manual_seed(0)
        state = self.state(reference(**build_inputs(init, "cpu")))
        fields = {"init": dict(init), "state": state, "train": train, "method": method}
        return Trial("module", reference.__name__, {**fields, "inputs": inputs, "after": list(after)})
