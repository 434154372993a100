"""Scaling laws with an irreducible loss (Henighan et al., 2020, equation 1.1; Hoffmann et al., 2022, section 3.3)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from autograder.exercise import Exercise
from autograder.make import Make
from autograder.text import Text


def fit_power_law(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Fit the law  y = coefficient * x**(-exponent) + irreducible  to measured points.

    Args:
        x: at least five sizes, above 0 and in any order; the largest may be ten thousand times the smallest.
        y: the loss that was measured at each, above 0.

    Returns:
        coefficient, exponent, irreducible: three numbers. The law falls with x, so the coefficient and the exponent
        are above 0. The exponent is at most 1.5, the irreducible loss at least 0 and below the smallest y.

    Any method will do. Points that lie exactly on a law must give back each of its three numbers to within 5 % (an
    irreducible loss of 0 to within 0.02). Where each point is off by up to 0.4 %, the fitted law must run within 1 %
    of the points (root mean square of the relative error).
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    ### BEGIN SOLUTION
    exponents = np.linspace(0.01, 2.0, 2000)  # for each, the other two numbers are found by linear regression
    powers = x[:, None] ** -exponents  # (points, exponents)
    centred = powers - powers.mean(axis=0)
    coefficients = (centred * (y - y.mean())[:, None]).sum(axis=0) / np.square(centred).sum(axis=0)
    floors = y.mean() - coefficients * powers.mean(axis=0)
    errors = np.square(coefficients * powers + floors - y[:, None]).sum(axis=0)
    best = errors.argmin()
    return float(coefficients[best]), float(exponents[best]), float(floors[best])
    ### END SOLUTION


exercise = Exercise(
    fit_power_law,
    points=4,
    objectives=["5.1"],
    title_en="Fitting a scaling law",
    title_ja="スケーリング則の当てはめ",
    device=False,
    equivalent={
        "exponents = np.linspace( -0.99, 2.0, 2000)": "the candidates are a little coarser, and none below 0 fits",
        "exponents = np.linspace(0.01, 3.0, 2000)": "the candidates are a little coarser",
        "exponents = np.linspace(0.01, 2.0, 2001)": "one candidate more",
        "exponents = np.linspace(0.01, 2.0, 1999)": "one candidate less",
        "coefficients = (centred * (y + y.mean())[:, None]).sum(axis=0) / np.square(centred).sum(axis=0)": "what is "
        "centred sums to 0, so a constant beside y is no matter",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------

EXACT = {"rtol": 0.05, "atol": 0.02}
NOISE, ALLOWED = 0.004, 0.01

_FAR = Text(
    "the law misses the points by more than 1 %: do the three numbers belong together, and is the floor right?",
    "当てはめた曲線が点から 1 % 以上外れています。三つの数の組み合わせと、下限の値を見直してください。",
)


def points(make: Make, law: tuple[float, float, float], low: float, high: float, count: int, noise: float = 0.0) -> Any:
    """Points of a law, shuffled, at sizes that are spread evenly over the decades but not quite."""
    steps = torch.linspace(math.log(low), math.log(high), count, dtype=torch.float64)
    wobble = make.uniform(count, low=-0.2, high=0.2) * (steps[1] - steps[0])
    x = (steps + wobble).exp()[make.uniform(count).argsort()]
    y = (law[0] * x ** -law[1] + law[2]) * (1 + noise * make.uniform(count, low=-1.0, high=1.0))
    return {"x": x.tolist(), "y": y.tolist()}


def runs_through(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
    """Honest methods stay within half a percent here; a straight line in the logarithms is off by five and more."""
    coefficient, exponent, irreducible = (float(each) for each in actual)
    x, y = np.asarray(inputs["x"]), np.asarray(inputs["y"])
    error = np.sqrt(np.square((coefficient * x**-exponent + irreducible) / y - 1).mean())
    return None if error <= ALLOWED else _FAR


@exercise.visible(en="the five points of the text", ja="本文の五つの点", **EXACT)
def _(make: Make) -> dict[str, Any]:
    return {"x": [1.0, 4.0, 16.0, 64.0, 256.0], "y": [10.0, 6.0, 4.0, 3.0, 2.5]}


@exercise.visible(
    en="nine models from a million to ten billion parameters", ja="百万から百億パラメータの九つのモデル", **EXACT
)
def _(make: Make) -> dict[str, Any]:
    return points(make, (406.4, 0.34, 1.69), 1e6, 1e10, 9)


@exercise.hidden(en="another law, in any order", ja="別の法則（順序はばらばら）", weight=2, **EXACT)
def _(make: Make) -> dict[str, Any]:
    law = (float(make.uniform(low=20.0, high=40.0)), float(make.uniform(low=0.35, high=0.45)), 1.3)
    return points(make, law, 2e2, 1e6, 11)


@exercise.hidden(en="a law that falls steeply", ja="急に下がる法則", **EXACT)
def _(make: Make) -> dict[str, Any]:
    return points(make, (30.0, float(make.uniform(low=1.05, high=1.3)), 0.7), 3.0, 300.0, 7)


@exercise.hidden(en="a law without an irreducible loss", ja="削減不能な損失のない法則", weight=0.5, **EXACT)
def _(make: Make) -> dict[str, Any]:
    return points(make, (2.6, float(make.uniform(low=0.12, high=0.2)), 0.0), 1e3, 1e7, 8)


@exercise.hidden(en="measurements with noise", ja="誤差を含む測定値", weight=1.5, judge=runs_through)
def _(make: Make) -> dict[str, Any]:
    return points(make, (40.0, float(make.uniform(low=0.37, high=0.43)), 1.2), 1e2, 1e6, 12, noise=NOISE)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def straight(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the line in natural logarithms."""
    slope, intercept = np.polyfit(np.log(x), np.log(y), 1)
    return float(slope), float(intercept)


@exercise.mistake(
    en="The irreducible loss is left out: a straight line is drawn through the logarithms of y itself.",
    ja="削減不能な損失が抜けています。y そのものの対数に直線を当てはめています。",
    hint_en="On log-log paper the points bend. What must be taken away from y before they lie on a straight line?",
    hint_ja="両対数グラフでは、点の並びは曲がっています。y から何を引けば、一直線に並ぶでしょうか。",
)
def no_floor(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    slope, intercept = straight(np.asarray(x), np.asarray(y))
    return math.exp(intercept), -slope, 0.0


@exercise.mistake(
    en="The smallest loss that was measured is taken for the irreducible one.",
    ja="測定した損失の最小値を、削減不能な損失とみなしています。",
    hint_en="A model ten times as large as your largest would be better still. Can the floor be where yours stands?",
    hint_ja="いちばん大きいモデルより 10 倍大きいモデルは、さらに良くなるはずです。下限がそこにあるでしょうか。",
)
def smallest_as_floor(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    sizes, losses = np.asarray(x), np.asarray(y)
    above = losses > losses.min()
    slope, intercept = straight(sizes[above], losses[above] - losses.min())
    return math.exp(intercept), -slope, float(losses.min())


@exercise.mistake(
    en="The exponent has the wrong sign: it is the slope of the line.",
    ja="指数の符号が逆です。直線の傾きをそのまま返しています。",
    hint_en="In the formula the minus sign stands in front of the exponent.",
    hint_ja="式では、指数の前にマイナスが付いています。",
)
def slope_returned(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    coefficient, exponent, irreducible = fit_power_law(x, y)
    return coefficient, -exponent, irreducible


@exercise.mistake(
    en="The coefficient is still a logarithm: the intercept of the line was returned as it is.",
    ja="係数が対数のままです。直線の切片をそのまま返しています。",
    hint_en="Write the logarithm of a·x^(−b) as a sum. Which of its terms is the intercept?",
    hint_ja="a·x^(−b) の対数を和の形に書いてみましょう。切片はどの項でしょうか。",
)
def logarithm_returned(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    coefficient, exponent, irreducible = fit_power_law(x, y)
    return math.log(coefficient), exponent, irreducible


@exercise.mistake(
    en="The three numbers are right but come in another order.",
    ja="三つの数は正しいのですが、順序が違います。",
    hint_en="Which of the three does the docstring name last?",
    hint_ja="docstring で最後に挙げられているのは、三つのうちどれですか。",
)
def other_order(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    coefficient, exponent, irreducible = fit_power_law(x, y)
    return coefficient, irreducible, exponent


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def floors_tried_one_by_one(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """A line through the logarithms of what is above each of a thousand floors; errors in the logarithms."""
    logs, losses, best = np.log(x), np.asarray(y), []
    for floor in np.linspace(0, losses.min(), 1000, endpoint=False):
        (slope, intercept), residuals, *_ = np.polyfit(logs, np.log(losses - floor), 1, full=True)
        best.append((float(residuals[0]), math.exp(intercept), -slope, floor))
    return min(best)[1:]


@exercise.accepted
def by_golden_section(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """The floor by an interval that shrinks, errors in y itself; plain Python."""
    logs, low, high = [math.log(each) for each in x], 0.0, min(y) * (1 - 1e-9)

    def line(floor: float) -> tuple[float, float, float]:
        above = [math.log(each - floor) for each in y]
        middle, height = sum(logs) / len(logs), sum(above) / len(above)
        slope = sum((a - middle) * (b - height) for a, b in zip(logs, above, strict=True))
        slope /= sum((a - middle) ** 2 for a in logs)
        law = [math.exp(height + slope * (each - middle)) + floor for each in logs]
        error = sum((a - b) ** 2 for a, b in zip(law, y, strict=True))
        return error, math.exp(height - slope * middle), -slope

    for _ in range(80):
        first, second = low + 0.382 * (high - low), low + 0.618 * (high - low)
        low, high = (low, second) if line(first)[0] < line(second)[0] else (first, high)
    return line(low)[1], line(low)[2], low


@exercise.accepted
def by_scipy(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """All three at once, with sizes measured from their middle."""
    from scipy.optimize import curve_fit

    sizes, middle = np.asarray(x), float(np.exp(np.log(x).mean()))
    start = (max(y) - min(y), 0.5, min(y))
    found, _ = curve_fit(lambda s, a, b, c: a * s**-b + c, sizes / middle, y, p0=start, maxfev=10_000)
    return found[0] * middle ** found[1], found[1], found[2]


@exercise.accepted
def by_newton(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """PyTorch's L-BFGS on the logarithms of the two positive numbers."""
    logs, losses = torch.tensor(x, dtype=torch.float64).log(), torch.tensor(y, dtype=torch.float64)
    middle = logs.mean()
    theta = torch.tensor([0.0, -0.7, float(losses.min()) * 0.9], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [theta], max_iter=1000, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        error = ((theta[0] - theta[1].exp() * (logs - middle)).exp() + theta[2] - losses).square().sum()
        error.backward()
        return error

    optimizer.step(closure)
    exponent = theta[1].exp()
    return (theta[0] + exponent * middle).exp().item(), exponent.item(), theta[2].item()
