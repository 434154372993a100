"""What halving the reducible loss costs under a power law of compute (Kaplan et al., 2020, figure 1: 0.050)."""

from autograder.exercise import ConceptQuestion

EXPONENT = 0.05

exercise = ConceptQuestion(
    round(2 ** (1 / EXPONENT)),
    points=1,
    objectives=["5.1"],
    title_en="Halving the reducible loss",
    title_ja="削減可能な損失を半分にする",
    rtol=0.02,
)
exercise.misconception(
    2,
    en="You expect twice the compute to halve the loss.",
    ja="計算量を 2 倍にすれば損失が半分になると考えています。",
    hint_en="That would be an exponent of 1. How much smaller is the one that is given?",
    hint_ja="それは指数が 1 の場合です。与えられた指数は、それよりどれだけ小さいでしょうか。",
)
exercise.misconception(
    1 / EXPONENT,
    en="You have taken one over the exponent for the factor itself.",
    ja="指数の逆数を、そのまま倍率としています。",
    hint_en="The unknown factor stands under the exponent. How is an equation such as k to the power of 0.05 solved?",
    hint_ja="未知の倍率は、べき乗される側にあります。k の 0.05 乗を含む式は、どう解けばよいでしょうか。",
)
exercise.misconception(
    2 / EXPONENT,
    en="You have divided the 2 by the exponent, as if the law were a straight line.",
    ja="法則が直線であるかのように、2 を指数で割っています。",
    hint_en="Each halving multiplies the compute by the same factor. Is that a sum or a power?",
    hint_ja="損失を半分にするたびに、計算量には同じ倍率が掛かります。それは和でしょうか、べき乗でしょうか。",
)
exercise.misconception(
    2**EXPONENT,
    en="You have answered the opposite question: by how much does the loss shrink when the compute doubles?",
    ja="逆の問いに答えています。計算量を 2 倍にしたとき損失がどれだけ減るか、になっています。",
    hint_en="Which of the two quantities is to change by a factor of 2 here?",
    hint_ja="ここで 2 倍（または半分）にするのは、二つの量のうちどちらですか。",
)
exercise.misconception(
    10 ** (1 / EXPONENT),
    en="That is the price of a tenth of the reducible loss.",
    ja="それは、削減可能な損失を 10 分の 1 にするための倍率です。",
    hint_en="A factor of how much is asked for?",
    hint_ja="何倍にすることが問われていますか。",
)
