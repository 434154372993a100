"""Why the scores are divided by the root of their width (Vaswani et al., 2017, section 3.2.1 and its footnote 4)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "d",
    choices="abcd",
    points=1,
    objectives=["1.3"],
    title_en="Wider vectors without scaling",
    title_ja="スケーリングせずに次元を増やすと",
)
exercise.misconception(
    "a",
    en="You take the variance for the standard deviation, and a large score for an overflow.",
    ja="分散と標準偏差を取り違え、大きなスコアとオーバーフローを混同しています。",
    hint_en="What is the standard deviation at each of the two widths, and from which score on does exp overflow?",
    hint_ja="二つの次元のそれぞれで、標準偏差はいくつですか。exp があふれるのは、スコアがいくつを超えたときですか。",
)
exercise.misconception(
    "b",
    en="You take the softmax to be indifferent to the scale of its inputs.",
    ja="ソフトマックスは入力を定数倍しても変わらないと考えています。",
    hint_en="Compare the softmax of (1, 0) with that of (10, 0). Which change of its inputs does leave it as it is?",
    hint_ja="(1, 0) と (10, 0) のソフトマックスを比べてみましょう。変わらないのは、入力をどう変えたときでしたか。",
)
exercise.misconception(
    "c",
    en="You take the inner product for a mean of its terms.",
    ja="内積を、項の和ではなく平均のように考えています。",
    hint_en="An inner product adds its terms up. What happens to the variance of a sum as terms are added?",
    hint_ja="内積は項を足し合わせたものです。項が増えると、和の分散はどうなりますか。",
)
