"""Public builders of what is not data: named by `make.recipe("autograder.recipes:...")` and run on both sides."""

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import nn


def axes() -> Axes:
    """Empty axes on a figure of their own.

    pyplot does not know the figure: nothing is shown beneath the cell that asks, and no figure is left behind.
    """
    figure = Figure()
    FigureCanvasAgg(figure)  # says so itself, whatever backend the notebook has chosen
    return figure.add_subplot()


def optimizer(name: str, model: nn.Module, **options: Any) -> torch.optim.Optimizer:
    """An optimizer of `torch.optim` over all parameters of a model: `make.recipe(..., "AdamW", make.ref("model"))`."""
    kind: type[torch.optim.Optimizer] = getattr(torch.optim, name)
    return kind(model.parameters(), **options)


def generator(seed: int) -> torch.Generator:
    """A random number generator on the CPU, for procedures that draw."""
    return torch.Generator().manual_seed(seed)


def under_way(
    name: str, optimizer: torch.optim.Optimizer, steps: int, **options: Any
) -> torch.optim.lr_scheduler.LRScheduler:
    """A schedule of `torch.optim.lr_scheduler` in the middle of a training: `steps` steps have been made.

    Its optimizer made as many, on gradients that are the same everywhere, so that it has a state of its own; and the
    parameters still hold the last gradients, which nobody has cleared.
    """
    kind: type[torch.optim.lr_scheduler.LRScheduler] = getattr(torch.optim.lr_scheduler, name)
    schedule = kind(optimizer, **options)
    for step in range(steps):
        for parameter in (each for group in optimizer.param_groups for each in group["params"]):
            angles = torch.arange(parameter.numel(), dtype=parameter.dtype, device=parameter.device) + step
            parameter.grad = torch.cos(angles).view_as(parameter)
        optimizer.step()
        schedule.step()
    return schedule


class _Watched(torch.Generator):
    """A generator that can be read as data: {"used": "yes"} once something was drawn from it, "no" before."""

    untouched: torch.Tensor

    def items(self) -> list[tuple[str, str]]:
        return [("used", "no" if torch.equal(self.get_state(), self.untouched) else "yes")]

    def values(self) -> list[str]:
        return [used for _, used in self.items()]


Mapping.register(_Watched)  # a runner reads it as the data that it shows


def watched_generator(seed: int) -> torch.Generator:
    """A generator that tells, when a case names it in `after`, whether the answer has drawn from it at all.

    Procedures that draw are judged by what all right answers have in common. One that draws from the global generator
    has it, too: only its generator, left as it was, gives it away.
    """
    made = _Watched()
    made.manual_seed(seed)
    made.untouched = made.get_state()
    return made
