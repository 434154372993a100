"""pass@k without bias (Chen et al., 2021, section 2.1, equation 1)."""

import math
from itertools import pairwise

import numpy as np
import torch

from autograder.exercise import Exercise
from autograder.make import Make


def pass_at_k(n: int, c: int, k: int) -> float:
    """How likely at least one of k samples is to be right, estimated from n samples of which c were right.

    It is the share of the sets of k among the n samples (drawn without putting back) that hold a right one:

        pass@k = 1 - binomial(n - c, k) / binomial(n, k)

    Where fewer than k samples are wrong, every set of k holds a right one, and the result is 1. n may be some
    thousands: factorials of such numbers do not fit into a float.

    Args:
        n: the number of samples.
        c: how many of them are right, from 0 to n.
        k: the size of the sets, from 1 to n.

    Returns:
        the estimate, from 0 to 1.
    """
    ### BEGIN SOLUTION
    all_wrong = 1.0
    for drawn in range(k):  # the chance that the next one is wrong, too, when `drawn` wrong ones are gone
        all_wrong *= max(n - c - drawn, 0) / (n - drawn)
    return 1.0 - all_wrong
    ### END SOLUTION


exercise = Exercise(
    pass_at_k,
    points=2,
    objectives=["5.3"],
    title_en="pass@k",
    title_ja="pass@k",
    device=False,
    equivalent={
        "all_wrong *= max(n - c - drawn, -1) / (n - drawn)": "the factor before it is 0 already",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def number(make: Make, low: int, high: int) -> int:
    return int(make.integers(low, high))


@exercise.visible(en="five samples, two of them right, by hand", ja="手で計算できる、5 サンプル中 2 つが正解の場合")
def _(make: Make) -> dict[str, int]:
    return {"n": 5, "c": 2, "k": 2}


@exercise.visible(en="fewer wrong ones than k", ja="誤答が k より少ない場合")
def _(make: Make) -> dict[str, int]:
    return {"n": 6, "c": 4, "k": 3}


@exercise.visible(en="none is right", ja="正解がない場合")
def _(make: Make) -> dict[str, int]:
    return {"n": 8, "c": 0, "k": 8}


@exercise.hidden(en="some of a dozen are right", ja="十数個のうちいくつかが正解の場合", weight=2)
def _(make: Make) -> dict[str, int]:
    return {"n": number(make, 12, 18), "c": number(make, 2, 5), "k": number(make, 3, 6)}


@exercise.hidden(en="just one is wrong too few", ja="誤答が k よりちょうど一つ少ない場合")
def _(make: Make) -> dict[str, int]:
    k = number(make, 3, 8)
    return {"n": 11, "c": 12 - k, "k": k}


@exercise.hidden(en="far fewer wrong ones than k", ja="誤答が k よりずっと少ない場合")
def _(make: Make) -> dict[str, int]:
    return {"n": 12, "c": number(make, 6, 8), "k": number(make, 9, 12)}


@exercise.hidden(en="thousands of samples", ja="数千のサンプル")
def _(make: Make) -> dict[str, int]:
    return {"n": number(make, 2000, 3000), "c": number(make, 5, 9), "k": number(make, 300, 400)}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The formula is that for samples that are put back, 1 - (1 - c/n)^k. On average it comes out too low.",
    ja="引いたサンプルを戻す場合の式 1 - (1 - c/n)^k を使っています。この推定値は平均すると低すぎます。",
    hint_en="Of five samples one is wrong. How likely are two different ones of them to be both wrong, and what does "
    "your formula say?",
    hint_ja="5 サンプルのうち 1 つが誤答だとします。異なる 2 つを引いて両方とも誤答である確率はいくつですか。"
    "あなたの式ではいくつになりますか。",
)
def with_putting_back(n: int, c: int, k: int) -> float:
    return 1.0 - (1.0 - c / n) ** k


@exercise.mistake(
    en="This is the chance that all k samples are right.",
    ja="k 個のサンプルがすべて正解である確率になっています。",
    hint_en="Is it enough for a programmer if one of the proposals passes the tests?",
    hint_ja="プログラマにとっては、提案のうち一つがテストに通れば十分でしょうか。",
)
def all_right(n: int, c: int, k: int) -> float:
    return math.comb(c, k) / math.comb(n, k)


@exercise.mistake(
    en="This is the share of right samples, whatever k is.",
    ja="k にかかわらず、正解サンプルの割合を返しています。",
    hint_en="Should two tries be worth more than one?",
    hint_ja="2 回試せるなら、1 回だけのときより有利なはずではないでしょうか。",
)
def share_of_right_ones(n: int, c: int, k: int) -> float:
    return c / n


@exercise.mistake(
    en="This is the chance that all k samples are wrong, not its complement.",
    ja="k 個すべてが誤答である確率のままで、1 から引いていません。",
    hint_en="What should the result be if all samples are right?",
    hint_ja="すべてのサンプルが正解なら、結果はいくつになるはずですか。",
)
def chance_of_failure(n: int, c: int, k: int) -> float:
    return math.comb(n - c, k) / math.comb(n, k)


@exercise.mistake(
    en="The factorials become floats, and those of large numbers do not fit into one.",
    ja="階乗を浮動小数点数にしているため、大きな数ではあふれます。",
    hint_en="170! is about the largest factorial that a float can hold. Cancel what stands above and below the line "
    "before you multiply.",
    hint_ja="浮動小数点数で表せる階乗は、およそ 170! までです。掛ける前に、分子と分母を約分しましょう。",
)
def float_factorials(n: int, c: int, k: int) -> float:
    if n - c < k:
        return 1.0

    def binomial(m: int) -> float:
        return float(math.factorial(m)) / (float(math.factorial(k)) * float(math.factorial(m - k)))

    return 1.0 - binomial(n - c) / binomial(n)


@exercise.mistake(
    en="Where fewer than k samples are wrong, the product runs on into negative numbers.",
    ja="誤答が k より少ないとき、積の途中で負の数が掛かってしまいます。",
    hint_en="How many factors may the product have if only n - c samples are wrong? See what the docstring says "
    "about it.",
    hint_ja="誤答が n - c 個しかないとき、積の因子はいくつまででしょうか。docstring の説明を確かめてください。",
)
def no_case_of_its_own(n: int, c: int, k: int) -> float:
    wrong = math.prod(abs(n - c - i) or 1 for i in range(k))
    return 1.0 - wrong / math.prod(n - i for i in range(k))


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_comb(n: int, c: int, k: int) -> float:
    """Python's whole numbers have no limit, and math.comb gives 0 where there is nothing to choose."""
    return 1 - math.comb(n - c, k) / math.comb(n, k)


@exercise.accepted
def as_a_product_over_the_right_ones(n: int, c: int, k: int) -> float:
    """The same with c factors in place of k."""
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


@exercise.accepted
def with_log_gamma(n: int, c: int, k: int) -> torch.Tensor:
    """Logarithms of factorials."""
    if n - c < k:
        return torch.tensor(1.0, dtype=torch.float64)
    tops = torch.tensor([n - c + 1.0, n - k + 1.0, n - c - k + 1.0, n + 1.0], dtype=torch.float64).lgamma()
    return -torch.expm1(tops[0] + tops[1] - tops[2] - tops[3])


@exercise.accepted
def with_cumulative_steps(n: int, c: int, k: int) -> float:
    """The chance that the first right one comes as the first, the second, ..., the k-th."""
    still_wrong = [1.0]
    for drawn in range(k):
        still_wrong.append(still_wrong[-1] * max(0, n - c - drawn) / (n - drawn))
    return sum(before - after for before, after in pairwise(still_wrong))
