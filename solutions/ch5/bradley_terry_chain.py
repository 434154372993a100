"""Probabilities under the Bradley-Terry model (Bradley and Terry, 1952): differences of rewards add up, odds multiply.

A is preferred to B with probability 0.8 and B to C with 0.7: odds 4 and 7/3, together 28/3, so A to C with 28/31.
"""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    28 / 31,
    points=1,
    objectives=["5.5"],
    title_en="Three answers under Bradley-Terry",
    title_ja="Bradley-Terry モデルでの三つの答え",
    rtol=3e-3,
)
exercise.misconception(
    0.56,
    en="The two probabilities are multiplied.",
    ja="二つの確率を掛けています。",
    hint_en="That would make A less sure to beat C than to beat B, although C is the weakest. What does the model add "
    "up?",
    hint_ja="それでは、最も弱い C に勝つ確率が、B に勝つ確率より低くなってしまいます。"
    "このモデルで足し算できるのは何でしょうか。",
)
exercise.misconception(
    0.75,
    en="The two probabilities are averaged.",
    ja="二つの確率を平均しています。",
    hint_en="A is better than B and B better than C. Should A against C then be closer than A against B?",
    hint_ja="A は B よりよく、B は C よりよいのです。それなら A と C の差は、A と B の差より小さいでしょうか。",
)
exercise.misconception(
    0.94,
    en="You have taken the probability that at least one of two independent events happens.",
    ja="独立な二つの事象の少なくとも一方が起こる確率を求めています。",
    hint_en="Only one comparison is made, A with C. Which difference of rewards belongs to 0.8, and which to 0.7?",
    hint_ja="比べるのは A と C の一度だけです。0.8 と 0.7 は、それぞれどれだけの報酬の差にあたりますか。",
)
exercise.misconception(
    0.8176,
    en="The sigmoid is taken of the sum of the probabilities.",
    ja="確率の和にシグモイドを適用しています。",
    hint_en="The sigmoid takes a difference of rewards. How do you get one from a probability?",
    hint_ja="シグモイドに渡すのは報酬の差です。確率から報酬の差を求めるには、どうすればよいでしょうか。",
)
exercise.misconception(
    28 / 3,
    en="These are the odds, not the probability.",
    ja="それは確率ではなくオッズです。",
    hint_en="Odds of 4 belong to a probability of 0.8. How does one get from the one to the other?",
    hint_ja="確率 0.8 のオッズは 4 です。一方から他方は、どう計算しますか。",
)
