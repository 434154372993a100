"""drawn() tells what a picture shows, however it was drawn, and never raises."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

from autograder.drawn import drawn
from autograder.recipes import axes
from autograder.runners import as_data
from autograder.serialize import decode, encode

WEIGHTS = torch.tensor([[0.1, 0.2, 0.7, 0.0], [0.3, 0.4, 0.1, 0.2], [0.6, 0.05, 0.15, 0.25]], dtype=torch.float64)
VALUES = WEIGHTS.numpy()
ROWS, COLUMNS = ["up", "mid", "down"], ["a", "b", "c", "d"]
SHOWN = {"image": WEIGHTS, "x_labels": COLUMNS, "y_labels": ROWS, "x_label": "key", "y_label": "query"}
Draw = Callable[[Axes], Any]


def same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    image, other = found["image"], expected["image"]
    if image is None or other is None:
        alike = image is other
    else:
        alike = image.shape == other.shape and torch.allclose(image, other, equal_nan=True)
    return alike and all(found[key] == expected[key] for key in expected if key != "image")


def show(draw: Draw) -> dict[str, Any]:
    ax = axes()
    draw(ax)
    return drawn(ax)


def steps(*draws: Draw) -> Draw:
    def draw(ax: Axes) -> None:
        for step in draws:
            step(ax)

    return draw


def label(ax: Axes, x: float = 0.0, y: float = 0.0, **options: Any) -> None:
    ax.set_xticks([place + x for place in range(4)], COLUMNS, **options)
    ax.set_yticks([place + y for place in range(3)], ROWS)
    ax.set(xlabel="key", ylabel="query")


# -- many ways to draw the same ------------------------------------------------------------------------------------


def imshow(ax: Axes) -> None:
    ax.imshow(VALUES)
    label(ax)


def imshow_with_rotated_labels(ax: Axes) -> None:
    ax.imshow(VALUES, cmap="gray", vmin=0, vmax=1, aspect="auto")
    label(ax, rotation=45, ha="right", rotation_mode="anchor")


def imshow_with_labels_set_afterwards(ax: Axes) -> None:
    ax.imshow(VALUES)
    ax.set_xticks(np.arange(4))
    ax.set_xticklabels(COLUMNS)
    ax.set_yticks(np.arange(3))
    ax.set_yticklabels(ROWS)
    ax.set_xlabel("key")
    ax.set_ylabel("query")


def imshow_from_below(ax: Axes) -> None:
    ax.imshow(VALUES[::-1], origin="lower")
    label(ax)
    ax.set_yticks(range(3), ROWS[::-1])


def imshow_from_below_turned_round(ax: Axes) -> None:
    ax.imshow(VALUES, origin="lower")
    ax.invert_yaxis()
    label(ax)


def imshow_with_an_extent(ax: Axes) -> None:
    ax.imshow(VALUES, extent=(0, 4, 3, 0))
    label(ax, 0.5, 0.5)


def imshow_with_an_extent_upwards(ax: Axes) -> None:
    ax.imshow(VALUES, extent=(0, 8, 0, 6))
    ax.set_xticks([1, 3, 5, 7], COLUMNS)
    ax.set_yticks([5, 3, 1], ROWS)
    ax.set(xlabel="key", ylabel="query")


def imshow_mirrored_twice(ax: Axes) -> None:
    ax.imshow(VALUES[:, ::-1])
    label(ax)
    ax.set_xticks(range(4), COLUMNS[::-1])
    ax.invert_xaxis()


def imshow_ticks_in_another_order(ax: Axes) -> None:
    ax.imshow(VALUES)
    label(ax)
    ax.set_xticks([3, 1, 0, 2], ["d", "b", "a", "c"])
    ax.set_yticks([2, 0, 1], ["down", "up", "mid"])


def matshow(ax: Axes) -> None:
    ax.matshow(VALUES)
    label(ax)


def matshow_with_ticks_below(ax: Axes) -> None:
    ax.matshow(VALUES)
    ax.xaxis.tick_bottom()
    label(ax)


def imshow_with_ticks_on_top_and_right(ax: Axes) -> None:
    ax.imshow(VALUES)
    ax.xaxis.tick_top()
    ax.yaxis.tick_right()
    ax.xaxis.set_label_position("top")
    label(ax)


def pcolormesh_turned_round(ax: Axes) -> None:
    ax.pcolormesh(VALUES)
    ax.invert_yaxis()
    label(ax, 0.5, 0.5)


def pcolormesh_with_limits_turned_round(ax: Axes) -> None:
    ax.pcolormesh(VALUES, edgecolors="white")
    ax.set_ylim(3, 0)
    label(ax, 0.5, 0.5)


def pcolormesh_of_flipped_rows(ax: Axes) -> None:
    ax.pcolormesh(VALUES[::-1])
    label(ax, 0.5)
    ax.set_yticks(np.arange(3) + 0.5, ROWS[::-1])


def pcolormesh_at_centres(ax: Axes) -> None:
    ax.pcolormesh(np.arange(4), np.arange(3), VALUES, shading="nearest")
    ax.invert_yaxis()
    label(ax)


def pcolormesh_of_corners(ax: Axes) -> None:
    ax.pcolormesh(np.arange(4), np.arange(3), VALUES, shading="gouraud")
    ax.invert_yaxis()
    label(ax)


def pcolormesh_with_edges_that_fall(ax: Axes) -> None:
    ax.pcolormesh(np.arange(5), [3, 2, 1, 0], VALUES)
    label(ax, 0.5)
    ax.set_yticks([2.5, 1.5, 0.5], ROWS)


def pcolormesh_over_transposed_coordinates(ax: Axes) -> None:
    across, down = np.meshgrid(np.arange(5), np.arange(4), indexing="ij")
    ax.pcolormesh(across, down, VALUES.T)
    ax.invert_yaxis()
    label(ax, 0.5, 0.5)


def pcolormesh_of_words(ax: Axes) -> None:
    ax.pcolormesh(COLUMNS, ROWS, VALUES)
    ax.invert_yaxis()
    ax.set(xlabel="key", ylabel="query")


def pcolor(ax: Axes) -> None:
    ax.pcolor(VALUES)
    ax.invert_yaxis()
    label(ax, 0.5, 0.5)


def pcolorfast(ax: Axes) -> None:
    ax.pcolorfast(VALUES)
    ax.invert_yaxis()
    label(ax, 0.5, 0.5)


def as_seaborn_does(ax: Axes) -> None:
    """A mesh, limits, an axis turned round, and labels in two steps on ticks at the halves; numbers in the cells."""
    mesh = ax.pcolormesh(np.ma.masked_where(np.zeros((3, 4), dtype=bool), VALUES), cmap="magma")
    ax.set(xlim=(0, 4), ylim=(0, 3))
    ax.figure.colorbar(mesh, ax=ax)
    ax.invert_yaxis()
    ax.set(xticks=np.arange(4) + 0.5, yticks=np.arange(3) + 0.5)
    ax.set_xticklabels(COLUMNS)
    ax.set_yticklabels(ROWS, rotation="vertical", va="center")
    ax.set(xlabel="key", ylabel="query")
    for row in range(3):
        for column in range(4):
            ax.text(column + 0.5, row + 0.5, f"{WEIGHTS[row, column]:.2f}", ha="center")


def with_locators_and_formatters(ax: Axes) -> None:
    ax.imshow(VALUES)
    ax.xaxis.set_major_locator(FixedLocator([0, 1, 2, 3]))
    ax.xaxis.set_major_formatter(FixedFormatter(COLUMNS))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: dict(enumerate(ROWS)).get(y, "")))
    ax.set(xlabel="key", ylabel="query")


def with_minor_ticks_as_a_grid(ax: Axes) -> None:
    imshow(ax)
    ax.set_xticks(np.arange(5) - 0.5, minor=True)
    ax.set_yticks(np.arange(4) - 0.5, minor=True)
    ax.grid(which="minor", color="w")


def with_labels_on_minor_ticks(ax: Axes) -> None:
    ax.imshow(VALUES)
    ax.set(xticks=[], yticks=[])  # a minor tick yields to a major one at its place
    ax.set_xticks(range(4), COLUMNS, minor=True)
    ax.set_yticks(range(3), ROWS, minor=True)
    ax.set(xlabel="key", ylabel="query")


def with_a_first_try_beneath(ax: Axes) -> None:
    ax.imshow(VALUES[::-1])
    imshow(ax)


def with_a_grid_of_edges_on_top(ax: Axes) -> None:
    imshow(ax)
    ax.pcolormesh(np.arange(5) - 0.5, np.arange(4) - 0.5, VALUES, facecolors="none").set_array(None)
    ax.plot([0, 3], [0, 2])


def cleared_and_drawn_again(ax: Axes) -> None:
    ax.imshow(VALUES.T)
    ax.set_xticks([0], ["x"])
    ax.clear()
    imshow(ax)


def single_precision(ax: Axes) -> None:
    ax.imshow(VALUES.astype(np.float32))
    label(ax)


def nested_lists(ax: Axes) -> None:
    ax.pcolormesh(WEIGHTS.tolist())
    ax.invert_yaxis()
    label(ax, 0.5, 0.5)


def already_rendered(ax: Axes) -> None:
    imshow(ax)
    ax.figure.canvas.draw()


def capitals_and_spaces_in_the_axis_labels(ax: Axes) -> None:
    imshow(ax)
    ax.set(xlabel=" Key", ylabel="QUERY\n", title="attention")


ALIKE: list[Draw] = [
    imshow,
    imshow_with_rotated_labels,
    imshow_with_labels_set_afterwards,
    imshow_from_below,
    imshow_from_below_turned_round,
    imshow_with_an_extent,
    imshow_with_an_extent_upwards,
    imshow_mirrored_twice,
    imshow_ticks_in_another_order,
    matshow,
    matshow_with_ticks_below,
    imshow_with_ticks_on_top_and_right,
    pcolormesh_turned_round,
    pcolormesh_with_limits_turned_round,
    pcolormesh_of_flipped_rows,
    pcolormesh_at_centres,
    pcolormesh_of_corners,
    pcolormesh_with_edges_that_fall,
    pcolormesh_over_transposed_coordinates,
    pcolormesh_of_words,
    pcolor,
    pcolorfast,
    as_seaborn_does,
    with_locators_and_formatters,
    with_minor_ticks_as_a_grid,
    with_labels_on_minor_ticks,
    with_a_first_try_beneath,
    with_a_grid_of_edges_on_top,
    cleared_and_drawn_again,
    single_precision,
    nested_lists,
    already_rendered,
    capitals_and_spaces_in_the_axis_labels,
]


@pytest.mark.parametrize("draw", ALIKE)
def test_the_same_picture_is_told_alike_however_it_was_drawn(draw: Draw) -> None:
    found = show(draw)
    assert found["image"].dtype == torch.float64
    torch.testing.assert_close(found["image"], WEIGHTS, rtol=1e-6, atol=1e-8)
    assert {**found, "image": None} == {**SHOWN, "image": None}


# -- pictures that show something else -----------------------------------------------------------------------------


def test_a_transposed_map_shows_other_data() -> None:
    found = show(lambda ax: ax.imshow(VALUES.T))
    assert found["image"].shape == (4, 3)
    assert torch.equal(found["image"], WEIGHTS.T)


@pytest.mark.parametrize(
    "draw",
    [
        steps(lambda ax: ax.imshow(VALUES, origin="lower"), label),
        steps(lambda ax: ax.pcolormesh(VALUES), lambda ax: label(ax, 0.5, 0.5)),
        steps(lambda ax: ax.pcolormesh(np.arange(4), np.arange(3), VALUES), label),
        steps(imshow, lambda ax: ax.invert_yaxis()),
        steps(lambda ax: ax.imshow(VALUES, extent=(-0.5, 3.5, -0.5, 2.5), origin="lower"), label),
    ],
)
def test_a_map_that_is_upside_down_shows_its_rows_and_their_labels_upside_down(draw: Draw) -> None:
    found = show(draw)
    assert torch.equal(found["image"], WEIGHTS.flip(0))
    assert found["y_labels"] == ROWS[::-1]
    assert found["x_labels"] == COLUMNS


@pytest.mark.parametrize(
    "draw",
    [
        steps(imshow, lambda ax: ax.invert_xaxis()),
        steps(pcolormesh_turned_round, lambda ax: ax.set_xlim(4, 0)),
    ],
)
def test_a_mirrored_map_shows_its_columns_and_their_labels_mirrored(draw: Draw) -> None:
    found = show(draw)
    assert torch.equal(found["image"], WEIGHTS.flip(1))
    assert found["x_labels"] == COLUMNS[::-1]
    assert found["y_labels"] == ROWS


def test_an_extent_and_limits_that_both_run_backwards_mirror_the_labels_only() -> None:
    found = show(
        steps(lambda ax: ax.imshow(VALUES, extent=(3.5, -0.5, 2.5, -0.5)), label, lambda ax: ax.set_xlim(3.5, -0.5))
    )
    assert torch.equal(found["image"], WEIGHTS)
    assert found["x_labels"] == COLUMNS[::-1]


def test_an_extent_that_runs_backwards_mirrors_the_image_only() -> None:
    found = show(
        steps(lambda ax: ax.imshow(VALUES, extent=(3.5, -0.5, 2.5, -0.5)), lambda ax: ax.set_xlim(-0.5, 3.5), label)
    )
    assert torch.equal(found["image"], WEIGHTS.flip(1))
    assert found["x_labels"] == COLUMNS


def test_labels_on_the_edges_of_cells_name_no_cell() -> None:
    found = show(steps(lambda ax: ax.pcolormesh(VALUES), lambda ax: ax.invert_yaxis(), label))
    assert found["x_labels"] == [""] * 4
    assert found["y_labels"] == [""] * 3
    assert found["x_label"] == "key"


def test_labels_moved_by_one_cell_name_other_cells() -> None:
    found = show(steps(lambda ax: ax.imshow(VALUES), lambda ax: label(ax, x=1.0)))
    assert found["x_labels"] == ["", "a", "b", "c"]


def test_labels_on_ticks_that_nobody_placed_are_told_where_they_stand() -> None:
    def draw(ax: Axes) -> None:
        ax.imshow(VALUES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Matplotlib warns of just this
            ax.set_xticklabels(COLUMNS)

    assert show(draw)["x_labels"] != COLUMNS


def test_the_numbers_that_matplotlib_writes_by_itself_are_no_labels() -> None:
    for draw in (lambda ax: ax.imshow(VALUES), lambda ax: ax.set_xticks(range(4)) and ax.imshow(VALUES)):
        found = show(draw)
        assert found["x_labels"] == [""] * 4
        assert found["y_labels"] == [""] * 3


def test_numbers_as_tokens_are_labels() -> None:
    assert show(steps(lambda ax: ax.imshow(VALUES), lambda ax: ax.set_xticks(range(4), ["0", "1", "2", "2"])))[
        "x_labels"
    ] == [
        "0",
        "1",
        "2",
        "2",
    ]


@pytest.mark.parametrize(
    "hide",
    [
        lambda ax: ax.axis("off"),
        lambda ax: ax.set_axis_off(),
        steps(lambda ax: ax.xaxis.set_visible(False), lambda ax: ax.yaxis.set_visible(False)),
    ],
)
def test_hidden_axes_have_no_labels(hide: Draw) -> None:
    found = show(steps(imshow, hide))
    assert torch.equal(found["image"], WEIGHTS)
    assert found["x_labels"] == [""] * 4
    assert found["y_labels"] == [""] * 3
    assert found["x_label"] == found["y_label"] == ""


def test_tick_labels_that_are_switched_off_are_not_there() -> None:
    found = show(steps(imshow, lambda ax: ax.tick_params(labelbottom=False)))
    assert found["x_labels"] == [""] * 4
    assert found["y_labels"] == ROWS
    assert show(steps(imshow, lambda ax: ax.xaxis.label.set_visible(False)))["x_label"] == ""


def test_swapped_axis_labels_show() -> None:
    found = show(steps(imshow, lambda ax: ax.set(xlabel="query", ylabel="key")))
    assert (found["x_label"], found["y_label"]) == ("query", "key")


def test_cells_and_labels_outside_the_limits_are_not_seen() -> None:
    found = show(steps(imshow, lambda ax: ax.set_xlim(0.5, 3.5)))
    assert torch.equal(found["image"], WEIGHTS[:, 1:])
    assert found["x_labels"] == COLUMNS[1:]
    half = show(
        steps(imshow, lambda ax: ax.set_xlim(0, 3), lambda ax: ax.set_ylim(2, 0))
    )  # cells on the rim are cut in half
    assert same(half, SHOWN)
    assert show(steps(imshow, lambda ax: ax.set_xlim(50, 60)))["image"] is None


def test_masked_and_missing_cells_are_nan() -> None:
    holes = torch.eye(3, 4, dtype=torch.bool)
    expected = WEIGHTS.masked_fill(holes, torch.nan)
    for values in (np.ma.masked_array(VALUES, holes.numpy()), expected.numpy()):
        torch.testing.assert_close(show(lambda ax: ax.imshow(values))["image"], expected, equal_nan=True)  # noqa: B023
        mesh = show(steps(lambda ax: ax.pcolormesh(values), lambda ax: ax.invert_yaxis()))  # noqa: B023
        torch.testing.assert_close(mesh["image"], expected, equal_nan=True)


def test_colours_drawn_instead_of_values_show_as_colours() -> None:
    colours = np.asarray(matplotlib.colormaps["viridis"](VALUES))
    assert show(lambda ax: ax.imshow(colours))["image"].shape == (3, 4, 4)
    mesh = show(steps(lambda ax: ax.pcolormesh(colours), lambda ax: ax.invert_yaxis()))
    torch.testing.assert_close(mesh["image"], torch.from_numpy(colours))


def test_a_single_cell_and_single_rows() -> None:
    found = show(
        steps(
            lambda ax: ax.imshow([[0.5]]),
            lambda ax: ax.set_xticks([0], ["one"]),
            lambda ax: ax.set_yticks([0], ["uno"]),
        )
    )
    assert found["image"].tolist() == [[0.5]]
    assert found["x_labels"] == ["one"]
    assert found["y_labels"] == ["uno"]
    row = show(steps(lambda ax: ax.pcolormesh(VALUES[:1]), lambda ax: ax.set_xticks(np.arange(4) + 0.5, COLUMNS)))
    assert torch.equal(row["image"], WEIGHTS[:1])
    assert row["x_labels"] == COLUMNS
    assert torch.equal(show(lambda ax: ax.imshow(VALUES[:, :1]))["image"], WEIGHTS[:, :1])
    assert torch.equal(show(lambda ax: ax.pcolormesh(VALUES[:, :1]))["image"], WEIGHTS[:, :1].flip(0))


def test_whole_numbers_and_masks_are_values() -> None:
    assert show(lambda ax: ax.imshow([[1, 2], [3, 4]]))["image"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert show(lambda ax: ax.imshow([[True, False]]))["image"].tolist() == [[1.0, 0.0]]


# -- no picture ----------------------------------------------------------------------------------------------------


def test_empty_axes() -> None:
    assert drawn(axes()) == {"image": None, "x_labels": [], "y_labels": [], "x_label": "", "y_label": ""}


def test_labels_without_a_picture_stand_in_the_order_in_which_they_are_seen() -> None:
    found = show(steps(lambda ax: ax.plot([0, 3], [0, 2]), label))
    assert found == {**SHOWN, "image": None, "y_labels": ROWS[::-1]}


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: ax.plot([1, 2, 3]),
        lambda ax: ax.scatter([1, 2], [3, 4], c=[0.1, 0.2]),
        lambda ax: ax.imshow(VALUES).set_visible(False),
        lambda ax: ax.imshow(VALUES).remove(),
        steps(lambda ax: ax.imshow(VALUES), lambda ax: ax.set_visible(False)),
        steps(lambda ax: ax.imshow(VALUES), lambda ax: ax.clear()),
        lambda ax: ax.contourf(VALUES),
        lambda ax: ax.hexbin([0, 1, 2], [2, 1, 0], gridsize=3),
        lambda ax: ax.tripcolor([0, 1, 0], [0, 0, 1], [0.1, 0.2, 0.3]),
        lambda ax: ax.table(cellText=[["0.1", "0.9"]]),
        lambda ax: ax.quiver([0, 1], [0, 1], [1, 1], [1, 1]),
    ],
)
def test_what_is_no_heat_map_is_no_image(draw: Draw) -> None:
    assert show(draw)["image"] is None


@pytest.mark.parametrize(
    "draw",
    [
        steps(imshow, lambda ax: ax.set_xscale("log"), lambda ax: ax.set_yscale("symlog")),
        steps(pcolormesh_turned_round, lambda ax: ax.set_xscale("log")),
        lambda ax: ax.pcolormesh(np.full((3, 4), np.nan)),
        lambda ax: ax.imshow(np.full((2, 2), np.inf)),
        lambda ax: ax.imshow(VALUES, extent=(0, 0, 1, 2)),
        lambda ax: ax.pcolormesh(VALUES).set_array(None),
        steps(imshow, lambda ax: ax.xaxis.set_major_formatter(FuncFormatter(lambda *_: str(1 / 0)))),
        steps(imshow, lambda ax: ax.set_position((0, 0, 0, 0))),
        steps(imshow, lambda ax: ax.set_aspect("equal", adjustable="datalim")),
        steps(imshow, lambda ax: ax.twinx()),
        steps(imshow, lambda ax: ax.remove()),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_odd_axes_never_raise(draw: Draw) -> None:
    found = show(draw)
    assert list(found) == list(SHOWN)
    assert decode(encode(found)).keys() == found.keys()


@pytest.mark.parametrize("projection", ["polar", "3d", "mollweide"])
@pytest.mark.filterwarnings("ignore")
def test_axes_of_another_projection_never_raise(projection: str) -> None:
    figure = Figure()
    ax = figure.add_subplot(projection=projection)
    assert list(drawn(ax)) == list(SHOWN)
    if projection != "3d":
        ax.pcolormesh(VALUES)
    label(ax)
    assert list(drawn(ax)) == list(SHOWN)


def test_what_is_broken_inside_never_raises() -> None:
    for name in ("transData", "xaxis", "bbox"):
        broken = axes()
        imshow(broken)
        setattr(broken, name, None)
        assert list(drawn(broken)) == list(SHOWN)


# -- recipe, runner and transport ----------------------------------------------------------------------------------


def test_the_recipe_makes_fresh_axes_that_pyplot_does_not_know() -> None:
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    first, second = axes(), axes()
    assert first is not second
    assert first.figure is not second.figure
    assert isinstance(first.figure.canvas, FigureCanvasAgg)
    assert pyplot.get_fignums() == before
    assert not inspect.signature(axes).parameters


def test_telling_changes_nothing() -> None:
    ax = axes()
    pcolormesh_turned_round(ax)
    first, second = drawn(ax), drawn(ax)
    assert same(first, second)
    assert ax.get_ylim() == (3.0, 0.0)


def test_a_runner_tells_axes_and_the_telling_travels() -> None:
    ax = axes()
    imshow(ax)
    assert same(decode(encode(as_data(ax))), SHOWN)
    assert same(decode(encode(as_data((ax, 1))))[0], SHOWN)


def test_no_warning_is_given_and_nothing_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    ax = axes()
    imshow(ax)
    ax.set_xticks(range(4), ["私", "は", "猫", "だ"])  # the default font lacks them; that matters only when rendering
    monkeypatch.setattr(ax.figure, "draw", lambda *_: pytest.fail("the figure was rendered"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert drawn(ax)["x_labels"] == ["私", "は", "猫", "だ"]
