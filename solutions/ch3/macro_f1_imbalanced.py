"""Macro F1 of a classifier that neglects the rare class, worked by hand.

Of 100 reviews 90 are positive and 10 negative. It finds 4 of the negative ones and takes 1 positive one for negative.
"""

from autograder.exercise import ConceptQuestion

HITS = {"positive": 89, "negative": 4}
PREDICTED = {"positive": 95, "negative": 5}
TRUE = {"positive": 90, "negative": 10}
F1 = {kind: 2 * HITS[kind] / (PREDICTED[kind] + TRUE[kind]) for kind in HITS}  # 0.9622 and 0.5333
RECALL = {kind: HITS[kind] / TRUE[kind] for kind in HITS}

exercise = ConceptQuestion(
    round((F1["positive"] + F1["negative"]) / 2, 4),
    points=1,
    objectives=["3.5"],
    title_en="Macro F1 by hand, rare class neglected",
    title_ja="まれなクラスを見落とす分類器のマクロ F1",
    rtol=2e-3,
)
exercise.misconception(
    0.93,
    en="That is the accuracy, or the F1 of all hits together.",
    ja="それは正解率、または全クラスの件数を合計して求めた F1 です。",
    hint_en="Work out one F1 for each of the two classes first.",
    hint_ja="まず、二つのクラスのそれぞれについて F1 を求めましょう。",
)
exercise.misconception(
    round(0.9 * F1["positive"] + 0.1 * F1["negative"], 4),
    en="The two F1 values are weighted by how often their classes occur.",
    ja="二つの F1 を、クラスの件数で重み付けしています。",
    hint_en="In a macro average every class counts the same, however rare it is.",
    hint_ja="マクロ平均では、どんなにまれなクラスも同じ重みで数えます。",
)
exercise.misconception(
    round(F1["positive"], 4),
    en="That is the F1 of the positive class alone.",
    ja="それは肯定クラスだけの F1 です。",
    hint_en="The negative reviews are a class as well. What is their F1?",
    hint_ja="否定のレビューも一つのクラスです。その F1 はいくつですか。",
)
exercise.misconception(
    round(F1["negative"], 4),
    en="That is the F1 of the negative class alone.",
    ja="それは否定クラスだけの F1 です。",
    hint_en="One of the two is missing from the mean.",
    hint_ja="平均をとる二つのうち、一つが抜けています。",
)
exercise.misconception(
    round((RECALL["positive"] + RECALL["negative"]) / 2, 4),
    en="That is the mean recall: false alarms have no part in it.",
    ja="それは再現率の平均です。誤検出が数に入っていません。",
    hint_en="The denominator of F1 counts what was predicted, too.",
    hint_ja="F1 の分母には、そのクラスと予測された件数も入ります。",
)
