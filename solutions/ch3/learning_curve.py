"""A learning curve: accuracy by the number of training examples, over several orders of the training set."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make, Trial


def learning_curve(
    sizes: list[int],
    orders: Tensor,
    train: Callable[[Tensor], Any],
    score: Callable[[Any], float],
    ax: plt.Axes,
) -> list[list[float]]:
    """Train on growing parts of a training set, in several orders, and draw the mean accuracy by size.

    For each size and each order, a model is trained on the first `size` examples of that order, and scored.

    The picture: one line on `ax` with a point for each size, at the mean over the orders; a logarithmic x axis; the x
    axis is labelled "training examples" and the y axis "accuracy". Only the first line on `ax` is judged: colours,
    markers and whatever you draw after it (single runs, a band, a legend) are up to you.

    Args:
        sizes: numbers of training examples, ascending.
        orders: (repeats, examples), whole numbers; each row is one order of all training examples, by their indices.
        train: takes the indices of the examples to learn from, returns a model that was trained anew.
        score: takes a model, returns its accuracy on held-out examples.
        ax: the Matplotlib axes to draw on.

    Returns:
        One list for each size, in the order of `sizes`, with one accuracy for each order, in the order of the rows.
    """
    ### BEGIN SOLUTION
    accuracy = [[score(train(order[:size])) for order in orders] for size in sizes]
    means = [sum(row) / len(row) for row in accuracy]
    ax.plot(sizes, means, marker="o")
    ax.set_xscale("log")
    ax.set(xlabel="training examples", ylabel="accuracy")
    return accuracy
    ### END SOLUTION


exercise = Exercise(
    learning_curve,
    points=4,
    objectives=["3.4"],
    title_en="Learning curve",
    title_ja="学習曲線",
    device=False,
    equivalent={"ax.plot(sizes, means)": "Whether the points bear markers is not judged."},
)

CURVES = "autograder.course.curves"


def _trial(make: Make, sizes: list[int], repeats: int, *shown: str) -> Trial:
    """Two classes that overlap, as many examples as the largest size; `shown`: what of the picture is compared."""
    examples, width = sizes[-1], 3

    def draw(count: int) -> tuple[Tensor, Tensor]:
        y = make.integers(0, 2, count)
        return make.normal(count, width) + 0.7 * y[:, None], y

    return make.call(
        after=("ax",) if shown else (),
        sizes=sizes,
        orders=make.uniform(repeats, examples).argsort(dim=-1),
        train=make.recipe(f"{CURVES}:trainer", *draw(examples)),
        score=make.recipe(f"{CURVES}:scorer", *draw(60)),
        ax=make.recipe(f"{CURVES}:curve_axes", *shown),
    )


@exercise.visible(en="four examples in two orders, by hand", ja="手で計算できる、4 例・2 通りの順序の場合", again=False)
def _(make: Make) -> Trial:
    x, y = torch.tensor([[0.0], [2.0], [7.0], [11.0]]).double(), torch.tensor([0, 0, 1, 1])
    x_test, y_test = torch.tensor([[1.0], [4.0], [4.5], [6.0], [12.0]]).double(), torch.tensor([0, 0, 0, 1, 1])
    return make.call(
        after=("ax",),
        sizes=[1, 2, 4],
        orders=torch.tensor([[0, 2, 1, 3], [3, 1, 2, 0]]),
        train=make.recipe(f"{CURVES}:trainer", x, y),
        score=make.recipe(f"{CURVES}:scorer", x_test, y_test),
        ax=make.recipe(f"{CURVES}:curve_axes"),
    )


@exercise.visible(en="64 examples in three orders", ja="64 例・3 通りの順序", again=False)
def _(make: Make) -> Trial:
    return _trial(make, [2, 8, 32, 64], 3, "curve", "x_scale", "x_label", "y_label")


@exercise.hidden(en="the accuracies", ja="正解率", weight=2)
def _(make: Make) -> Trial:
    return _trial(make, [3, 9, 27, 54, 81], 4)


@exercise.hidden(en="the points of the curve", ja="曲線の点", again=False)
def _(make: Make) -> Trial:
    return _trial(make, [2, 5, 20, 45], 3, "curve")


@exercise.hidden(en="the logarithmic axis", ja="対数軸", weight=0.5, again=False)
def _(make: Make) -> Trial:
    return _trial(make, [4, 12, 36], 2, "x_scale")


@exercise.hidden(en="the labels of the axes", ja="軸ラベル", weight=0.5, again=False)
def _(make: Make) -> Trial:
    return _trial(make, [5, 15, 50], 2, "x_label", "y_label")


# -- wrong answers -------------------------------------------------------------------------------------------------


def _draw(sizes: Any, values: Any, ax: plt.Axes) -> None:
    """The picture as it should be."""
    ax.semilogx(sizes, values, "o-")
    ax.set_xlabel("training examples")
    ax.set_ylabel("accuracy")


def _measure(sizes: Any, orders: Tensor, train: Any, score: Any) -> tuple[list[list[float]], list[float]]:
    """The accuracies as they should be, and their means."""
    accuracy = [[score(train(order[:size])) for order in orders] for size in sizes]
    return accuracy, [float(np.mean(row)) for row in accuracy]


@exercise.mistake(
    en="The order is not heeded: every repeat learns from the same examples, those that stand first in the data.",
    ja="順序が使われていません。どの繰り返しでも、データの先頭にある同じ例で学習しています。",
    hint_en="The accuracies of a size are all alike. Which indices does train get in the second repeat?",
    hint_ja="同じ大きさの正解率がすべて同じ値になっています。2 回目の繰り返しで、train に渡る添字は何ですか。",
)
def always_the_first(sizes: Any, orders: Tensor, train: Any, score: Any, ax: plt.Axes) -> Any:
    accuracy = [[score(train(torch.arange(size))) for _ in orders] for size in sizes]
    _draw(sizes, [row[0] for row in accuracy], ax)
    return accuracy


@exercise.mistake(
    en="The accuracies are grouped by order, not by size: rows and columns are exchanged.",
    ja="正解率が大きさごとではなく順序ごとにまとめられています。行と列が逆です。",
    hint_en="How many lists should there be, and how many numbers in each?",
    hint_ja="リストはいくつあり、それぞれにいくつの数が入るべきでしょうか。",
)
def by_order(sizes: Any, orders: Tensor, train: Any, score: Any, ax: plt.Axes) -> Any:
    accuracy, means = _measure(sizes, orders, train, score)
    _draw(sizes, means, ax)
    return [list(column) for column in zip(*accuracy, strict=True)]


@exercise.mistake(
    en="The means are returned in place of the single accuracies.",
    ja="個々の正解率ではなく、平均を返しています。",
    hint_en="A mean hides how far the repeats lie apart. What does the docstring ask for?",
    hint_ja="平均だけでは、繰り返しの間のばらつきがわかりません。docstring では何を返すことになっていますか。",
)
def returns_the_means(sizes: Any, orders: Tensor, train: Any, score: Any, ax: plt.Axes) -> Any:
    _, means = _measure(sizes, orders, train, score)
    _draw(sizes, means, ax)
    return means


@exercise.mistake(
    en="Each order is drawn as a line of its own: the mean is missing, or does not come first.",
    ja="順序ごとに別々の線を描いています。平均の線がないか、最初の線になっていません。",
    hint_en="How many lines are there on ax? What should the first one show?",
    hint_ja="ax には線が何本ありますか。最初の線は何を表すべきでしょうか。",
)
def a_line_for_each_order(sizes: Any, orders: Tensor, train: Any, score: Any, ax: plt.Axes) -> Any:
    accuracy, _ = _measure(sizes, orders, train, score)
    _draw(sizes, accuracy, ax)
    return accuracy


@exercise.mistake(
    en="The x axis is linear.",
    ja="x 軸が線形のままです。",
    hint_en="The small sizes crowd together on the left. Which method of ax sets an axis's scale?",
    hint_ja="小さいサイズの点が左端に固まっています。軸の目盛りの種類を変える ax のメソッドはどれですか。",
)
def on_a_linear_axis(sizes: Any, orders: Tensor, train: Any, score: Any, ax: plt.Axes) -> Any:
    accuracy, means = _measure(sizes, orders, train, score)
    ax.plot(sizes, means)
    ax.set(xlabel="training examples", ylabel="accuracy")
    return accuracy


@exercise.mistake(
    en="The logarithms of the sizes are drawn on a linear axis.",
    ja="軸を対数にする代わりに、サイズの対数を線形の軸に描いています。",
    hint_en="A reader wants to see 16 and 256 at the ticks, not 1.2 and 2.4. What can the axis do by itself?",
    hint_ja="読み手が目盛りで見たいのは 1.2 や 2.4 ではなく、16 や 256 です。軸の側に任せられることは何でしょうか。",
)
def logarithms_drawn(sizes: Any, orders: Tensor, train: Any, score: Any, ax: plt.Axes) -> Any:
    accuracy, means = _measure(sizes, orders, train, score)
    ax.plot(np.log10(sizes), means)
    ax.set(xlabel="training examples", ylabel="accuracy")
    return accuracy


@exercise.mistake(
    en="The labels of the axes are exchanged.",
    ja="軸ラベルが逆です。",
    hint_en="Which axis counts the examples?",
    hint_ja="例の数を表しているのはどちらの軸ですか。",
)
def labels_exchanged(sizes: Any, orders: Tensor, train: Any, score: Any, ax: plt.Axes) -> Any:
    accuracy, means = _measure(sizes, orders, train, score)
    _draw(sizes, means, ax)
    ax.set(xlabel="accuracy", ylabel="training examples")
    return accuracy


@exercise.mistake(
    en="ax stays empty: the curve was drawn somewhere else, such as on plt's current axes.",
    ja="ax には何も描かれていません。plt の現在の Axes など、別の場所に描いています。",
    hint_en="plt.plot draws wherever plt drew last. What does ax.plot do?",
    hint_ja="plt.plot は、plt が最後に使った場所に描きます。ax.plot ならどうでしょうか。",
)
def drawn_elsewhere(sizes: Any, orders: Tensor, train: Any, score: Any, ax: plt.Axes) -> Any:
    accuracy, _ = _measure(sizes, orders, train, score)
    return accuracy


# -- right answers written another way -----------------------------------------------------------------------------


@exercise.accepted
def with_a_tensor(sizes: list[int], orders: Tensor, train: Any, score: Any, ax: plt.Axes) -> Any:
    """A table that is filled cell by cell; error bars; everything returned as one tensor."""
    table = torch.zeros(len(sizes), len(orders), dtype=torch.float64)
    for row, size in enumerate(sizes):
        for column in range(len(orders)):
            table[row, column] = score(train(orders[column, :size]))
    ax.errorbar(sizes, table.mean(dim=1).numpy(), yerr=table.std(dim=1).numpy(), capsize=3, label="mean ± std")
    ax.set_xscale("log", base=2)
    ax.set_xlabel("Training examples")
    ax.set_ylabel("Accuracy")
    ax.legend()
    return table


@exercise.accepted
def with_numpy(sizes: list[int], orders: Tensor, train: Any, score: Any, ax: plt.Axes) -> Any:
    """Order by order, transposed at the end; the single runs and the chance level beside the mean."""
    runs = [[score(train(order.tolist()[:size])) for size in sizes] for order in orders]
    accuracy = np.array(runs).T
    ax.axhline(0.5, linestyle=":")
    ax.scatter(np.repeat(sizes, len(runs)), accuracy.ravel(), alpha=0.3)
    ax.semilogx(sizes, accuracy.mean(axis=1), "k-o")
    ax.plot(sizes, accuracy, alpha=0.3)
    ax.set(xlabel="training examples", ylabel="accuracy", title="More examples, better answers", ylim=(0, 1))
    ax.set_xticks(sizes, [str(size) for size in sizes])
    return accuracy


@exercise.accepted
def with_single_points(sizes: list[int], orders: Tensor, train: Any, score: Any, ax: plt.Axes) -> Any:
    """Both loops written out, and the scale set before anything is drawn."""
    ax.set_xscale("log")
    accuracy = []
    for size in sizes:
        accuracy.append([score(model) for model in map(train, orders[:, :size])])
    ax.plot(torch.tensor(sizes), torch.tensor(accuracy).mean(dim=1), "s--", color="tab:red")
    ax.set_xlabel("training examples ")
    ax.set_ylabel("accuracy")
    return tuple(accuracy)
