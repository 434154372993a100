"""One masked weight, worked by hand (Vaswani et al., 2017, equation 1).

The inner products are 4, 3, 6 and 2; halved they are 2, 1.5, 3 and 1; the third is masked.
"""

import math

from autograder.exercise import ConceptQuestion


def _share(scores: list[float]) -> float:
    """The softmax weight of the first score, to four decimals."""
    return round(math.exp(scores[0]) / sum(math.exp(score) for score in scores), 4)


exercise = ConceptQuestion(
    _share([2, 1.5, 1]),
    points=1,
    objectives=["1.3"],
    title_en="A masked weight by hand",
    title_ja="マスクした重みを手で求める",
    rtol=5e-3,
)
exercise.misconception(
    _share([4, 3, 2]),
    en="The scores are not divided by √d_k.",
    ja="スコアを √d_k で割っていません。",
    hint_en="What stands between the inner products and the softmax in the formula?",
    hint_ja="式では、内積とソフトマックスの間に何がありますか。",
)
exercise.misconception(
    _share([1, 0.75, 0.5]),
    en="The scores are divided by d_k instead of √d_k.",
    ja="スコアを √d_k ではなく d_k で割っています。",
    hint_en="The variance of a score is d_k. What is its standard deviation?",
    hint_ja="スコアの分散は d_k です。では標準偏差はいくつですか。",
)
exercise.misconception(
    _share([2, 1.5, 3, 1]),
    en="The forbidden key still takes its share of the softmax.",
    ja="見てはいけないキーが、ソフトマックスの分け前をまだ受け取っています。",
    hint_en="Is the mask applied before the softmax or after it? What must the weights that are kept sum to?",
    hint_ja="マスクをかけるのは、ソフトマックスの前ですか、後ですか。残した重みの和はいくつになるべきでしょうか。",
)
exercise.misconception(
    _share([2, 1.5, 0, 1]),
    en="The forbidden score is set to 0 instead of -∞.",
    ja="見てはいけないスコアを、-∞ ではなく 0 にしています。",
    hint_en="What is the exponential of 0, and what should it be for a weight of zero?",
    hint_ja="0 の指数関数の値はいくつですか。重みを 0 にするには、いくつであるべきでしょうか。",
)
exercise.misconception(
    0,
    en="The mask is read the other way round, as if True forbade.",
    ja="マスクを逆に、True が「見てはいけない」だと読んでいます。",
    hint_en="What does True mean in this course? nn.MultiheadAttention has it the other way round.",
    hint_ja="この教材での True の意味を確かめましょう。nn.MultiheadAttention では逆になります。",
)
