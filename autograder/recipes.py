"""Public builders of what is not data: named by `make.recipe("autograder.recipes:...")` and run on both sides."""

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
