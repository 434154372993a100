"""How often a vote of five is right (a binomial sum): samples that are right with probability 0.7, two answers only."""

import math

from autograder.exercise import ConceptQuestion

P, N = 0.7, 5


def exactly(right: int) -> float:
    return math.comb(N, right) * P**right * (1 - P) ** (N - right)


exercise = ConceptQuestion(
    exactly(3) + exactly(4) + exactly(5),
    points=1,
    objectives=["5.3"],
    title_en="A vote of five",
    title_ja="5 票の多数決",
    rtol=3e-3,
)
exercise.misconception(
    P**N,
    en="That is the chance that all five are right.",
    ja="それは 5 つすべてが正解である確率です。",
    hint_en="How many of the five votes does an answer need in order to win?",
    hint_ja="5 票のうち何票あれば、その答えが選ばれますか。",
)
exercise.misconception(
    1 - (1 - P) ** N,
    en="That is the chance that at least one of the five is right.",
    ja="それは 5 つのうち少なくとも 1 つが正解である確率です。",
    hint_en="Does the vote go to the right answer if a single sample gives it and four give the other one?",
    hint_ja="正解が 1 票、もう一方の答えが 4 票なら、多数決の結果はどちらになりますか。",
)
exercise.misconception(
    exactly(3),
    en="That is the chance that just three of the five are right.",
    ja="それは 5 つのうちちょうど 3 つが正解である確率です。",
    hint_en="With how many right votes is the vote won? Are there several such numbers?",
    hint_ja="正解が何票のときに多数決で勝ちますか。そのような票数は一つだけでしょうか。",
)
exercise.misconception(
    exactly(4) + exactly(5),
    en="You ask for more votes than a majority needs.",
    ja="過半数に必要な票数より多い票を求めています。",
    hint_en="Write down all six results that the count can have, from 0 to 5 right votes. Which of them win?",
    hint_ja="正解の票数は 0 から 5 までの六通りです。すべて書き出して、勝つものを選びましょう。",
)
exercise.misconception(
    P,
    en="You expect a vote to be as often right as a single sample.",
    ja="多数決の正解率が、1 つのサンプルの正解率と同じだと考えています。",
    hint_en="When a single sample is wrong, can the other four not outvote it? Sum over the cases in which they do.",
    hint_ja="1 つのサンプルが誤っていても、残りの 4 つが上回ることはありませんか。"
    "そうなる場合の確率を足してみましょう。",
)
