"""Sum or mean of log-probabilities: what dividing by the length does to short and long choices.

"no" is one token of probability 0.30; "it is not" is three tokens of probabilities 0.40, 0.60 and 0.90.
The sums are -1.204 and -1.532, the means -1.204 and -0.511.
"""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "d",
    choices="abcd",
    points=1,
    objectives=["5.4"],
    title_en="Sum or mean",
    title_ja="和か平均か",
)
exercise.misconception(
    "a",
    en="You take the sum for a score that favours long choices, as if log-probabilities were positive.",
    ja="対数確率が正の数であるかのように、和は長い選択肢に有利だと考えています。",
    hint_en="What sign does the logarithm of a probability have, and what happens to a sum when another such "
    "term comes in?",
    hint_ja="確率の対数の符号は何ですか。そのような項がもう一つ加わると、和はどうなりますか。",
)
exercise.misconception(
    "b",
    en="You expect division by the length to leave the order as it is.",
    ja="長さで割っても順序は変わらないと考えています。",
    hint_en="The two sums are divided by different numbers. Work out all four scores.",
    hint_ja="二つの和は、それぞれ違う数で割られます。四つのスコアをすべて計算してみましょう。",
)
exercise.misconception(
    "c",
    en="You have compared the first tokens only.",
    ja="最初のトークンだけを比べています。",
    hint_en="What is the probability of the whole of “it is not”? Multiply.",
    hint_ja="“it is not” 全体の確率はいくつですか。掛け算をしてみましょう。",
)
