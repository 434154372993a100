"""A picture of attention weights: rows ask, columns answer (the attention maps of Bahdanau et al., 2015, figure 3)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.judge import Tolerance, compare
from autograder.make import Make, Trial
from autograder.text import Text


def attention_map(weights: Tensor, tokens: list[str], ax: plt.Axes) -> plt.Axes:
    """Draw a sequence's attention to itself as a heat map with labels.

    Rows are queries, the first at the top; columns are keys, the first on the left. Every row and every column bears
    its token as a tick label at its centre; the x axis is labelled "key" and the y axis "query". Any colours, and any
    way of drawing (imshow, matshow, pcolormesh, ...), will do.

    Args:
        weights: (queries, keys), as many of either as there are tokens. They may come from a model that is being
            trained, and require gradients.
        tokens: the words; a word may occur more than once.
        ax: the Matplotlib axes to draw on.

    Returns:
        ax.
    """
    ### BEGIN SOLUTION
    ax.imshow(weights.numpy(force=True))
    ax.set_xticks(range(len(tokens)), tokens, rotation="vertical")
    ax.set_yticks(range(len(tokens)), tokens)
    ax.set_xlabel("key")
    ax.set_ylabel("query")
    return ax
    ### END SOLUTION


exercise = Exercise(
    attention_map,
    points=2,
    objectives=["1.5"],
    title_en="Attention map",
    title_ja="注意マップ",
    device=False,
    equivalent={"ax.set_xticks(range(len(tokens)), tokens)": "How the labels are turned is not judged."},
)

SENTENCE = ["the", "cat", "saw", "the", "dog", "yawn"]
WORDS = ["we", "read", "old", "books", "while", "rain", "falls", "on", "quiet", "streets", "of", "stone"]


def _trial(make: Make, tokens: list[str]) -> Trial:
    """Weights that are like no mirror image of themselves, on empty axes."""
    weights = make.normal(len(tokens), len(tokens)).softmax(dim=-1)
    return make.call(weights=weights, tokens=tokens, ax=make.recipe("autograder.recipes:axes"))


def _words(make: Make, count: int) -> list[str]:
    """So many words, of which the first comes again at the end but one."""
    words = [WORDS[int(make.integers(0, len(WORDS)))]]
    while len(words) < count - 1:
        left = [word for word in WORDS if word not in words]
        words.append(left[int(make.integers(0, len(left)))])
    return [*words[:-1], words[0], words[-1]]


def _judges(says: Text, *parts: str) -> Callable[[Mapping[str, Any], Any, Any], Text | None]:
    """A judge of these parts of the picture only, so that a slip in one part leaves the marks of the others."""

    def judge(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
        if not isinstance(actual, Mapping):
            return Text("what was returned is not ax.", "ax が返されていません。")
        wrong = any(compare(expected[part], actual.get(part), Tolerance()) for part in parts)
        # Empty axes are told apart from a picture that lacks something: each has a mistake of its own.
        return (says if actual.get("image") is not None else _EMPTY) if wrong else None

    return judge


def _drew_something(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
    """Judges no more than that there is a picture: what it shows is judged by a case of its own."""
    there = isinstance(actual, Mapping) and actual.get("image") is not None
    return None if there else _EMPTY


_EMPTY = Text("there is no picture on ax.", "ax に図が描かれていません。")
_IMAGE = Text(
    "the cells do not show the weights with queries as rows from the top and keys as columns from the left.",
    "各マスが重みを正しく表していません。行は上から順にクエリ、列は左から順にキーです。",
)
_TICKS = Text(
    "the ticks do not name every row and every column by its token.",
    "すべての行と列に、対応するトークンの目盛りラベルが付いていません。",
)
_AXES = Text(
    'the axes are not labelled "key" (x) and "query" (y).', "軸ラベルが x 軸 key、y 軸 query になっていません。"
)


@exercise.visible(en="three words", ja="3 語", again=False)
def _(make: Make) -> Trial:
    weights = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.0, 0.3, 0.7]], dtype=torch.float64)
    axes = make.recipe("autograder.recipes:axes")
    return make.call(weights=weights, tokens=["I", "like", "tea"], ax=axes)


@exercise.visible(
    en="a sentence with repeated words, weights that require gradients",
    ja="同じ単語が繰り返される文、勾配を必要とする重み",
    gradients=True,
    again=False,
)
def _(make: Make) -> Trial:
    return _trial(make, SENTENCE)


@exercise.hidden(en="the picture", ja="図そのもの", weight=2, again=False, judge=_judges(_IMAGE, "image"))
def _(make: Make) -> Trial:
    return _trial(make, _words(make, 5))


@exercise.hidden(
    en="the tokens at the ticks", ja="目盛りのトークン", again=False, judge=_judges(_TICKS, "x_labels", "y_labels")
)
def _(make: Make) -> Trial:
    return _trial(make, _words(make, 6))


@exercise.hidden(en="the labels of the axes", ja="軸ラベル", weight=0.5, judge=_judges(_AXES, "x_label", "y_label"))
def _(make: Make) -> Trial:
    return _trial(make, _words(make, 4))


@exercise.hidden(
    en="weights that require gradients",
    ja="勾配を必要とする重み",
    weight=0.5,
    gradients=True,
    again=False,
    judge=_drew_something,
)
def _(make: Make) -> Trial:
    return _trial(make, _words(make, 4))


def _label(tokens: list[str], ax: plt.Axes, shift: float = 0.0) -> plt.Axes:
    places = [index + shift for index in range(len(tokens))]
    ax.set_xticks(places, tokens)
    ax.set_yticks(places, tokens)
    ax.set(xlabel="key", ylabel="query")
    return ax


@exercise.mistake(
    en="The map is transposed: its rows are the keys.",
    ja="図が転置されています。行がキーになっています。",
    hint_en="Along which axis do the weights sum to one? In which direction should the eye sum them up?",
    hint_ja="重みの和が 1 になるのはどの軸でしょうか。図の中では、どの方向に足すと 1 になるべきでしょうか。",
)
def transposed(weights: Tensor, tokens: list[str], ax: plt.Axes) -> plt.Axes:
    ax.imshow(weights.detach().T.numpy())
    return _label(tokens, ax)


@exercise.mistake(
    en="The map stands upside down: the first query is at the bottom.",
    ja="図の上下が逆です。最初のクエリがいちばん下にあります。",
    hint_en="pcolormesh, and imshow with origin='lower', count rows from below, as a y axis does. How is an axis "
    "turned round?",
    hint_ja="pcolormesh や origin='lower' の imshow では、行が通常の y 軸と同じく下から数えられます。"
    "軸の向きを反転するにはどうすればよいでしょうか。",
)
def upside_down(weights: Tensor, tokens: list[str], ax: plt.Axes) -> plt.Axes:
    ax.pcolormesh(weights.detach().numpy())
    return _label(tokens, ax, shift=0.5)


@exercise.mistake(
    en="The rows and columns do not bear their tokens: the tick labels are missing, or stand on the cells' edges.",
    ja="行と列にトークンが付いていません。目盛りラベルがないか、マスの境界に付いています。",
    hint_en="At which coordinate is the centre of the first cell: 0 (imshow) or 0.5 (pcolormesh)? Ticks and their "
    "labels are set together.",
    hint_ja="最初のマスの中心の座標は 0 (imshow) でしょうか、0.5 (pcolormesh) でしょうか。"
    "目盛りの位置とラベルは一緒に設定します。",
)
def without_tokens(weights: Tensor, tokens: list[str], ax: plt.Axes) -> plt.Axes:
    ax.imshow(weights.detach().numpy())
    ax.set(xlabel="key", ylabel="query")
    return ax


@exercise.mistake(
    en='The axis labels are swapped: the rows are called "key".',
    ja="軸ラベルが逆です。行が key と呼ばれています。",
    hint_en="The y axis counts the rows. Do rows ask, or do they answer?",
    hint_ja="y 軸は行を数える軸です。行は問いかける側でしょうか、応える側でしょうか。",
)
def axis_labels_swapped(weights: Tensor, tokens: list[str], ax: plt.Axes) -> plt.Axes:
    ax.imshow(weights.detach().numpy())
    _label(tokens, ax).set(xlabel="query", ylabel="key")
    return ax


@exercise.mistake(
    en="Weights that require gradients are handed to Matplotlib as they are.",
    ja="勾配を必要とする重みを、そのまま Matplotlib に渡しています。",
    hint_en="Matplotlib wants NumPy's numbers. Which method gives a tensor that has left the graph?",
    hint_ja="Matplotlib が必要とするのは NumPy の数値です。計算グラフから切り離したテンソルを返すメソッドは"
    "どれでしょうか。",
)
def without_detach(weights: Tensor, tokens: list[str], ax: plt.Axes) -> plt.Axes:
    ax.imshow(weights.numpy())
    return _label(tokens, ax)


@exercise.mistake(
    en="ax stays empty: the picture was drawn somewhere else, such as on plt's current axes.",
    ja="ax には何も描かれていません。plt の現在の Axes など、別の場所に描いています。",
    hint_en="plt.imshow draws wherever plt drew last. What does ax.imshow do?",
    hint_ja="plt.imshow は、plt が最後に使った場所に描きます。ax.imshow ならどうでしょうか。",
)
def drawn_elsewhere(weights: Tensor, tokens: list[str], ax: plt.Axes) -> plt.Axes:
    return ax


@exercise.accepted
def with_pcolormesh(weights: Tensor, tokens: list[str], ax: plt.Axes) -> plt.Axes:
    mesh = ax.pcolormesh(weights.detach().float().numpy(), cmap="magma", edgecolors="white")
    ax.figure.colorbar(mesh, ax=ax)
    ax.invert_yaxis()
    ax.set_aspect("equal")
    return _label(tokens, ax, shift=0.5)


@exercise.accepted
def with_matshow(weights: Tensor, tokens: list[str], ax: plt.Axes) -> plt.Axes:
    ax.matshow(weights.tolist(), vmin=0, vmax=1)
    ax.set_xticks(torch.arange(len(tokens)).tolist())
    ax.set_xticklabels(tokens, rotation=45, ha="left")
    ax.set_yticks(torch.arange(len(tokens)).tolist())
    ax.set_yticklabels(tokens)
    ax.set_xlabel("Key")
    ax.set_ylabel("Query")
    ax.set_title("Who looks at whom?")
    return ax


@exercise.accepted
def with_rows_turned_round(weights: Tensor, tokens: list[str], ax: plt.Axes) -> plt.Axes:
    """The last row first, on an axis that counts from below; percentages are written into the cells."""
    picture = weights.detach().flip(0).numpy()
    ax.imshow(picture, origin="lower", aspect="auto")
    ax.set_xticks(range(len(tokens)), tokens)
    ax.set_yticks(range(len(tokens)), tokens[::-1])
    for row, column in torch.cartesian_prod(torch.arange(len(tokens)), torch.arange(len(tokens))).tolist():
        ax.text(column, row, f"{math.floor(100 * float(picture[row, column]))}", ha="center", va="center")
    ax.set(xlabel="key", ylabel="query")
    return ax
