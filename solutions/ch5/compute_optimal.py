"""The best model for a budget of compute, in closed form (Hoffmann et al., 2022, section 3.3, equation 4)."""

import math

from autograder.exercise import Exercise
from autograder.make import Make


def compute_optimal(flops: float, constants: dict[str, float]) -> tuple[float, float]:
    """The number of parameters N and of tokens D that make the loss least for a given amount of compute.

    The loss is  E + A / N**alpha + B / D**beta , and training takes 6 N D floating-point operations.

    Args:
        flops: the budget, which is spent in full: 6 N D = flops.
        constants: "E", "A", "B", "alpha" and "beta", all above 0.

    Returns:
        parameters, tokens: N and D, not rounded. To within 0.1 %, so that a search will do as well as a formula.
    """
    ### BEGIN SOLUTION
    alpha, beta = constants["alpha"], constants["beta"]
    balance = (alpha * constants["A"] / (beta * constants["B"])) ** (1 / (alpha + beta))
    parameters = balance * (flops / 6) ** (beta / (alpha + beta))
    return parameters, flops / (6 * parameters)
    ### END SOLUTION


exercise = Exercise(
    compute_optimal,
    points=3,
    objectives=["5.1"],
    title_en="The best model for a budget",
    title_ja="計算量の予算に対する最適なモデル",
    device=False,
)


# -- cases -------------------------------------------------------------------------------------------------------------

HOFFMANN = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
NEAR = {"rtol": 1e-3, "atol": 0.0}


@exercise.visible(en="the round numbers of the text", ja="本文の切りのよい数", **NEAR)
def _(make: Make) -> dict[str, object]:
    return {"flops": 6e9, "constants": {"E": 1.0, "A": 100.0, "B": 400.0, "alpha": 0.5, "beta": 1.0}}


@exercise.visible(
    en="the budget of Gopher, with the constants of Hoffmann et al.", ja="Gopher の計算量と Hoffmann らの定数", **NEAR
)
def _(make: Make) -> dict[str, object]:
    return {"flops": 5.76e23, "constants": HOFFMANN}


@exercise.hidden(en="other constants", ja="別の定数", weight=2, **NEAR)
def _(make: Make) -> dict[str, object]:
    drawn = [float(make.uniform(low=1.0, high=2.0)) for _ in range(5)]
    constants = {"E": drawn[0], "A": 300 * drawn[1], "B": 1100 * drawn[2]}
    constants |= {"alpha": 0.2 * drawn[3], "beta": 0.45 * drawn[4]}
    return {"flops": 1e21 * drawn[0], "constants": constants}


@exercise.hidden(en="a model that pays more than its data", ja="データより大きさが効く場合", **NEAR)
def _(make: Make) -> dict[str, object]:
    constants = {"E": 0.5, "A": 9e3, "B": 70.0, "alpha": 0.6, "beta": float(make.uniform(low=0.2, high=0.3))}
    return {"flops": float(make.uniform(low=1e16, high=9e16)), "constants": constants}


# -- mistakes ----------------------------------------------------------------------------------------------------------


def solved(flops: float, constants: dict[str, float], share: float, weight: float, cost: float = 6) -> tuple:
    """Parameters and tokens with this or that done otherwise."""
    power = 1 / (constants["alpha"] + constants["beta"])
    parameters = (weight * constants["A"] / constants["B"]) ** power * (flops / cost) ** (share * power)
    return parameters, flops / (cost * parameters)


@exercise.mistake(
    en="The two exponents are exchanged: the parameters grow with alpha / (alpha + beta).",
    ja="二つの指数が入れ替わっています。パラメータ数が alpha / (alpha + beta) 乗で増えています。",
    hint_en="If the loss hardly gains from more parameters (a small alpha), should they get more of the budget?",
    hint_ja="パラメータを増やしても損失があまり下がらない（alpha が小さい）とき、それに予算を多く割くべきでしょうか。",
)
def exponents_exchanged(flops: float, constants: dict[str, float]) -> tuple[float, float]:
    return solved(flops, constants, constants["alpha"], constants["alpha"] / constants["beta"])


@exercise.mistake(
    en="The cost of 6 operations for each parameter and token is left out.",
    ja="パラメータとトークンの一組につき演算が 6 回かかることを忘れています。",
    hint_en="Multiply your two numbers with each other and with 6. Does that give the budget?",
    hint_ja="得られた二つの数を掛け合わせ、6 を掛けてみてください。予算に一致しますか。",
)
def without_the_six(flops: float, constants: dict[str, float]) -> tuple[float, float]:
    return solved(flops, constants, constants["beta"], constants["alpha"] / constants["beta"], cost=1)


@exercise.mistake(
    en="The two terms are made equal; what must be equal is what another percent of each would gain.",
    ja="二つの項の値を等しくしています。等しくすべきなのは、それぞれを 1 % 増やしたときの損失の減り方です。",
    hint_en="Set the derivative of the sum to zero. The exponents come down as factors.",
    hint_ja="和の微分を 0 とおいてみましょう。指数が係数として前に出てきます。",
)
def terms_made_equal(flops: float, constants: dict[str, float]) -> tuple[float, float]:
    return solved(flops, constants, constants["beta"], 1.0)


@exercise.mistake(
    en="Parameters and tokens come in the wrong order.",
    ja="パラメータ数とトークン数の順序が逆です。",
    hint_en="Put your two numbers into the loss, and then the other way round. Which of the two is lower?",
    hint_ja="得られた二つの数を損失の式に入れ、次に入れ替えて計算してみましょう。低いのはどちらですか。",
)
def other_order(flops: float, constants: dict[str, float]) -> tuple[float, float]:
    parameters, tokens = compute_optimal(flops, constants)
    return tokens, parameters


@exercise.mistake(
    en="Twenty tokens for each parameter, whatever the constants say.",
    ja="定数に関係なく、パラメータ一つにつき 20 トークンとしています。",
    hint_en="The rule of thumb came out of one set of constants. Where do yours enter?",
    hint_ja="その経験則は、ある一組の定数から得られたものです。あなたの式のどこに、与えられた定数が入っていますか。",
)
def twenty_tokens(flops: float, constants: dict[str, float]) -> tuple[float, float]:
    parameters = math.sqrt(flops / 120)
    return parameters, 20 * parameters


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def by_ternary_search(flops: float, constants: dict[str, float]) -> tuple[float, float]:
    """The loss along the budget has one valley: the interval that holds it shrinks."""

    def loss(log: float) -> float:
        size = math.exp(log)
        return constants["A"] * size ** -constants["alpha"] + constants["B"] * (flops / 6 / size) ** -constants["beta"]

    low, high = 0.0, math.log(flops / 6)
    for _ in range(200):
        third = (high - low) / 3
        low, high = (low, high - third) if loss(low + third) < loss(high - third) else (low + third, high)
    return math.exp(low), flops / 6 / math.exp(low)


@exercise.accepted
def in_logarithms(flops: float, constants: dict[str, float]) -> tuple[float, float]:
    """A linear equation: log of alpha A N^-alpha = log of beta B D^-beta, and log N + log D = log C / 6."""
    a, b = math.log(constants["alpha"] * constants["A"]), math.log(constants["beta"] * constants["B"])
    total = math.log(flops) - math.log(6)
    log_n = (a - b + constants["beta"] * total) / (constants["alpha"] + constants["beta"])
    return math.exp(log_n), math.exp(total - log_n)


@exercise.accepted
def by_bisection(flops: float, constants: dict[str, float]) -> tuple[float, float]:
    """Where the derivative with respect to log N changes its sign."""
    low, high = 1e-3, flops
    while high / low > 1.0001:
        size = math.sqrt(low * high)
        gain = constants["alpha"] * constants["A"] * size ** -constants["alpha"]
        cost = constants["beta"] * constants["B"] * (flops / (6 * size)) ** -constants["beta"]
        low, high = (size, high) if gain > cost else (low, size)
    return low, flops / (6 * low)
