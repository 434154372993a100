"""What a learning curve is measured on and drawn on: a model that learns in no time, and axes that tell their curve.

`autograder.drawn` tells the cells of a heat map; lines it passes over. `curve_axes` are Matplotlib's axes in all that
is asked of them, and besides, as a mapping, what their first line shows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from autograder.recipes import axes

# -- a model that learns in no time --------------------------------------------------------------------------------


def trainer(x: Tensor, y: Tensor) -> Callable[[Any], Tensor]:
    """`train(indices)`: the mean of each class (classes, features), infinitely far away for a class without examples.

    Args:
        x: (examples, features).
        y: (examples,), whole numbers from 0.
    """
    classes = int(y.max()) + 1

    def train(indices: Any) -> Tensor:
        chosen = torch.as_tensor(indices, device=x.device)
        if chosen.ndim != 1:
            raise ValueError("train takes a row of indices, one for each example to learn from")
        features, labels = x[chosen], y[chosen]
        centres = torch.full((classes, x.size(1)), torch.inf, dtype=x.dtype, device=x.device)
        for each in labels.unique().tolist():
            centres[each] = features[labels == each].mean(dim=0)
        return centres

    return train


def scorer(x: Tensor, y: Tensor) -> Callable[[Tensor], float]:
    """`score(model)`: the share of these examples whose nearest centre is that of their class."""

    def score(model: Tensor) -> float:
        distances = (x[:, None] - model).square().sum(dim=-1)  # not cdist, to which infinities may be nan
        return float((distances.argmin(dim=-1) == y).double().mean())

    return score


# -- axes that tell their curve ------------------------------------------------------------------------------------


def curve_axes(*parts: str) -> "CurveAxes":
    """Empty axes that tell these parts of what is drawn on them, or all: curve, x_scale, x_label, y_label."""
    return CurveAxes(axes(), parts or tuple(_PARTS))


class CurveAxes(Mapping[str, Any]):
    """Matplotlib's axes, and as a mapping what they show.

    curve: {"x": [...], "y": [...]} of the first line that was drawn in the coordinates of the data, or None.
    x_scale: "linear", "log", ...
    x_label, y_label: the labels of the axes, without regard to capitals and surrounding spaces.
    """

    def __init__(self, drawn_on: Axes, parts: Sequence[str]) -> None:
        self._drawn_on, self._parts = drawn_on, tuple(parts)

    def __getattr__(self, name: str) -> Any:
        if name == "_drawn_on":  # asked for before __init__, as a copy does
            raise AttributeError(name)
        return getattr(self._drawn_on, name)

    def __getitem__(self, part: str) -> Any:
        if part not in self._parts:
            raise KeyError(part)
        return _PARTS[part](self._drawn_on)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    __hash__ = object.__hash__  # as axes have it


def _curve(ax: Axes) -> dict[str, list[float]] | None:
    for line in ax.get_lines():
        if line.get_visible() and line.get_transform() is ax.transData:  # not axhline and its like
            x, y = (np.asarray(values, dtype=np.float64).ravel().tolist() for values in line.get_data(orig=False))
            return {"x": x, "y": y}
    return None


def _label(text: Any) -> str:
    return str(text).strip().casefold()


_PARTS: dict[str, Callable[[Axes], Any]] = {
    "curve": _curve,
    "x_scale": lambda ax: str(ax.get_xscale()),
    "x_label": lambda ax: _label(ax.get_xlabel()),
    "y_label": lambda ax: _label(ax.get_ylabel()),
}
