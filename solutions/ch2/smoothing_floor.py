"""The smallest loss against a smoothed target: its entropy (Szegedy et al., 2016, section 7)."""

import math

from autograder.exercise import ConceptQuestion

CLASSES, EPSILON = 10, 0.1


def _entropy(right: float, wrong: float) -> float:
    """The entropy, in nats, of one class at `right` and all others at `wrong`."""
    return round(-right * math.log(right) - (CLASSES - 1) * wrong * math.log(wrong), 4)


SHARE = EPSILON / CLASSES
RIGHT = 1 - EPSILON + SHARE

exercise = ConceptQuestion(
    _entropy(RIGHT, SHARE),
    points=1,
    objectives=["2.1"],
    title_en="The smallest smoothed loss",
    title_ja="平滑化した損失の最小値",
    rtol=5e-3,
)
exercise.misconception(
    0,
    en="That is the smallest loss against a one-hot target.",
    ja="それは one-hot の目標に対する損失の最小値です。",
    hint_en="For the loss to be 0, every class whose q is not 0 would need the probability 1.",
    hint_ja="損失が 0 になるには、q が 0 でないすべてのクラスの確率が 1 でなければなりません。",
)
exercise.misconception(
    _entropy(1 - EPSILON, EPSILON / (CLASSES - 1)),
    en="epsilon is shared among the nine wrong classes only.",
    ja="epsilon を、正解以外の九つのクラスだけに分けています。",
    hint_en="What is q of the right class, by the formula of this section?",
    hint_ja="この節の式では、正解のクラスの q はいくつですか。",
)
exercise.misconception(
    round(-math.log(RIGHT), 4),
    en="This is -log of the right class's probability: the loss against a one-hot target, at the best p for the "
    "smoothed one.",
    ja="これは正解のクラスの確率の -log です。平滑化した目標に最適な p を、one-hot の目標で測った損失になっています。",
    hint_en="Which classes have a term in the sum?",
    hint_ja="和には、どのクラスの項が入りますか。",
)
exercise.misconception(
    round(-math.log(1 - EPSILON), 4),
    en="You take the right class to have the probability 1 - epsilon, and leave the other classes out.",
    ja="正解のクラスの確率を 1 - epsilon とし、ほかのクラスの項を考えに入れていません。",
    hint_en="How much of epsilon does the right class get back, and how many terms does the sum have?",
    hint_ja="正解のクラスには epsilon のうちどれだけが戻ってきますか。また、和には項がいくつありますか。",
)
exercise.misconception(
    round(_entropy(RIGHT, SHARE) / math.log(2), 4),
    en="This is in bits.",
    ja="これはビット単位の値です。",
    hint_en="The loss is made with the natural logarithm.",
    hint_ja="損失は自然対数で計算します。",
)
