"""What a picture shows, as plain data: the cells of a heat map where the eye sees them, and the labels beside them.

How it was drawn does not matter. An image with its origin above or below, a mesh with its y axis turned round, a mesh
over transposed coordinates: each is told by where its cells come to lie on the canvas. Nothing is rendered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis, Tick
from matplotlib.image import AxesImage
from matplotlib.ticker import LogFormatter, ScalarFormatter
from numpy.typing import NDArray

Floats = NDArray[np.float64]
T = TypeVar("T")

NEAR = 0.25  # of a cell's width: a label further from the cell's centre belongs to no cell (an edge is 0.5 away)
SLACK = 1e-3  # pixels by which something may lie outside the axes and still be seen


def drawn(ax: Axes) -> dict[str, Any]:
    """Describe what `ax` shows. Never raises: what cannot be told counts as not there.

    Returns:
        image: float64 (rows, columns), the cells as displayed, top row first and leftmost column first, nan where
            a cell is masked; (rows, columns, 3 or 4) when colours were drawn instead of values; None when no image or
            mesh is to be seen. Cells outside the limits of the axes are not seen.
        x_labels, y_labels: the tick label of each column from left to right and of each row from top to bottom, ""
            where none stands at the cell's centre. The numbers that Matplotlib writes by itself are no labels.
            Without a picture: the labels that are there, in that order.
        x_label, y_label: the labels of the axes, without regard to capitals and surrounding spaces.
    """
    cells = _tried(lambda: _cells(ax), None)
    return {
        "image": None if cells is None else torch.from_numpy(cells.values),
        "x_labels": _tried(lambda: _tick_labels(ax, "x", None if cells is None else cells.x), list[str]()),
        "y_labels": _tried(lambda: _tick_labels(ax, "y", None if cells is None else cells.y), list[str]()),
        "x_label": _tried(lambda: _axis_label(ax, ax.xaxis), ""),
        "y_label": _tried(lambda: _axis_label(ax, ax.yaxis), ""),
    }


def _tried(ask: Callable[[], T], otherwise: T) -> T:
    try:
        with np.errstate(all="ignore"):
            return ask()
    except Exception:  # axes of another projection, artists without data: they show no heat map
        return otherwise


# -- cells ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cells:
    """Values by row from the top and by column from the left, and the pixels at which rows and columns are centred."""

    values: Floats
    x: Floats
    y: Floats


def _cells(ax: Axes) -> _Cells | None:
    """The picture on top, or None. Artists that show no cells (lines, a grid, a mesh of edges) are passed over."""
    beneath_first = sorted(ax.get_children(), key=lambda artist: artist.get_zorder())  # of equals, the later is on top
    for artist in reversed(beneath_first):
        if artist.get_visible() and ax.get_visible():
            cells = _tried(lambda artist=artist: _seen(ax, artist), None)  # type: ignore[misc]
            if cells is not None:
                return cells
    return None


def _seen(ax: Axes, artist: Artist) -> _Cells | None:
    """The cells of one artist that lie within the axes, in the order in which they are seen."""
    if isinstance(artist, AxesImage):
        found = _image(artist)
    elif hasattr(artist, "get_coordinates") and hasattr(artist, "get_array"):
        found = _mesh(artist)
    else:
        return None
    if found is None:
        return None
    values, corners = found
    ax.get_xlim(), ax.get_ylim()  # the limits are worked out when somebody asks for them, and the transform by them
    pixels: Floats = np.reshape(artist.get_transform().transform(corners.reshape(-1, 2)), corners.shape)
    if pixels.shape[0] > values.shape[0]:
        pixels = (pixels[:-1, :-1] + pixels[1:, :-1] + pixels[:-1, 1:] + pixels[1:, 1:]) / 4
    x, y = pixels[..., 0], pixels[..., 1]
    if np.ptp(x, axis=0).max() > np.ptp(x, axis=1).max():  # the array's rows run across the picture
        values, x, y = values.swapaxes(0, 1), x.T, y.T
    return _within(ax, values, x.mean(axis=0), y.mean(axis=1))


def _within(ax: Axes, values: Floats, x: Floats, y: Floats) -> _Cells | None:
    columns = [int(i) for i in np.argsort(x) if ax.bbox.x0 - SLACK <= x[i] <= ax.bbox.x1 + SLACK]
    rows = [int(i) for i in np.argsort(-y) if ax.bbox.y0 - SLACK <= y[i] <= ax.bbox.y1 + SLACK]
    if not rows or not columns:
        return None
    return _Cells(np.ascontiguousarray(values[rows][:, columns]), x[columns], y[rows])


def _image(image: AxesImage) -> tuple[Floats, Floats] | None:
    """The values and the corners of the cells, in the coordinates of the image."""
    values = _filled(image.get_array())
    if values is None:
        return None
    left, right, bottom, top = image.get_extent()
    first, last = (top, bottom) if image.origin == "upper" else (bottom, top)
    across, down = np.linspace(left, right, values.shape[1] + 1), np.linspace(first, last, values.shape[0] + 1)
    return values, np.stack(np.meshgrid(across, down), axis=-1)


def _mesh(mesh: Any) -> tuple[Floats, Floats] | None:
    """The values and the corners of the cells; the centres where the shading puts the values on the corners."""
    corners = np.ma.filled(np.ma.asarray(mesh.get_coordinates(), dtype=np.float64), np.nan)
    values = _filled(mesh.get_array(), (corners.shape[0] - 1, corners.shape[1] - 1))
    return None if values is None else (values, corners)


def _filled(array: Any, shape: tuple[int, int] | None = None) -> Floats | None:
    """Values as float64, nan where masked; None when there are none."""
    if array is None:
        return None
    values = np.ma.filled(np.ma.asarray(array).astype(np.float64), np.nan)
    if values.ndim == 1 and shape is not None:
        values = values.reshape(shape)
    return values if values.ndim >= 2 and values.size else None


# -- labels --------------------------------------------------------------------------------------------------------


def _tick_labels(ax: Axes, name: str, centres: Floats | None) -> list[str]:
    """The labels beside the cells that are centred at these pixels, or all labels when there are no cells."""
    axis: Axis = getattr(ax, f"{name}axis")
    labels = _labels(ax, axis, name)
    if centres is None:
        return [text for _, text in sorted(labels, key=lambda label: label[0], reverse=name == "y")]
    near = NEAR * _cell_width(ax, name, centres)
    return [_nearest(labels, float(centre), near) for centre in centres]


def _labels(ax: Axes, axis: Axis, name: str) -> list[tuple[float, str]]:
    """The written labels within the axes, each with the pixel at which its tick stands."""
    if not _is_shown(ax, axis):
        return []
    axis.get_ticklabels(which="both")  # brings places and texts of the ticks up to date
    written: list[Tick] = []
    if not _only_counts(axis.get_major_formatter()):
        written += axis.get_major_ticks()
    if not _only_counts(axis.get_minor_formatter()):
        written += axis.get_minor_ticks()
    low, high = ax.bbox.intervalx if name == "x" else ax.bbox.intervaly
    places = [(_pixel(ax, name, tick.get_loc()), _text(tick)) for tick in written]
    return [(pixel, text) for pixel, text in places if text and low - SLACK <= pixel <= high + SLACK]


def _only_counts(formatter: Any) -> bool:
    """Whether these are the numbers that Matplotlib writes when nobody has asked for labels."""
    return isinstance(formatter, ScalarFormatter | LogFormatter)


def _text(tick: Tick) -> str:
    """What is written at the tick, on either side of the axes."""
    labels = [label for label in (tick.label1, tick.label2) if label.get_visible()] if tick.get_visible() else []
    return next((str(label.get_text()) for label in labels if label.get_text()), "")


def _pixel(ax: Axes, name: str, place: Any) -> float:
    x, y = ax.get_xlim()[0], ax.get_ylim()[0]
    point = ax.transData.transform((place, y) if name == "x" else (x, place))
    return float(point[0 if name == "x" else 1])


def _cell_width(ax: Axes, name: str, centres: Floats) -> float:
    """Pixels from one centre to the next; a single cell is as wide as the axes."""
    if len(centres) > 1:
        return float(np.abs(np.diff(centres)).min())
    return float(ax.bbox.width if name == "x" else ax.bbox.height)


def _nearest(labels: Sequence[tuple[float, str]], centre: float, near: float) -> str:
    distances = [(abs(pixel - centre), text) for pixel, text in labels if abs(pixel - centre) <= near]
    return min(distances, key=lambda label: label[0])[1] if distances else ""


def _axis_label(ax: Axes, axis: Axis) -> str:
    shown = _is_shown(ax, axis) and axis.label.get_visible()
    return str(axis.label.get_text()).strip().casefold() if shown else ""


def _is_shown(ax: Axes, axis: Axis) -> bool:
    return bool(ax.get_visible() and ax.axison and axis.get_visible())
