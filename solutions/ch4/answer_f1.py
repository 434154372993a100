"""F1 of a predicted answer, worked by hand as SQuAD counts it (Rajpurkar et al., 2016, section 6.1).

Prediction: "On the old bridge, by the mill, by night or by day"; right answer: "by the bridge (the mill's)".
"""

from autograder.exercise import ConceptQuestion

PREDICTED = 10  # on old bridge by mill by night or by day
RIGHT = 3  # by bridge mills
COMMON = 2  # by, once, and bridge

exercise = ConceptQuestion(
    round(2 * COMMON / (PREDICTED + RIGHT), 4),
    points=1,
    objectives=["4.5", "answers"],
    title_en="F1 of an answer by hand",
    title_ja="解答の F1 を手で計算する",
    rtol=5e-3,
)
exercise.misconception(
    round(2 * 4 / (PREDICTED + RIGHT), 4),
    en="A word that is repeated in the prediction counts each time.",
    ja="予測の中で繰り返された語を、そのたびに数えています。",
    hint_en="How often does it stand in the right answer? It cannot be found there more often than that.",
    hint_ja="その語は正解に何回ありますか。それより多くは一致できません。",
)
exercise.misconception(
    round(2 * 3 / (PREDICTED + RIGHT), 4),
    en="A word that only resembles one of the other text counts as common.",
    ja="似ているだけの語を、共通の語として数えています。",
    hint_en="Write down what remains of each text when the punctuation is deleted, letter by letter.",
    hint_ja="記号を取り除いた後に何が残るか、それぞれの文章について一文字ずつ書き出してみましょう。",
)
exercise.misconception(
    round(2 * 4 / 17, 4),
    en="The articles have been counted.",
    ja="冠詞まで数えています。",
    hint_en="Which three words does SQuAD's comparison leave out?",
    hint_ja="SQuAD の比較で除かれる三つの語は何ですか。",
)
exercise.misconception(
    round(2 * 2 / 11, 4),
    en="Each text has been taken for a set, in which a word stands only once.",
    ja="それぞれの文章を、同じ語が一度しか入らない集合とみなしています。",
    hint_en="Does a longer prediction cost nothing when it is longer by repetition?",
    hint_ja="同じ語の繰り返しで予測が長くなった場合、それは損にならないのでしょうか。",
)
exercise.misconception(
    round(COMMON / PREDICTED, 4),
    en="That is the precision: how much of the prediction is right.",
    ja="それは適合率、つまり予測のうち正しい部分の割合です。",
    hint_en="The number asked for looks at both texts. What does it divide by?",
    hint_ja="求める数は両方の文章を見ます。何で割るのでしたか。",
)
exercise.misconception(
    round(COMMON / RIGHT, 4),
    en="That is the recall: how much of the right answer was found.",
    ja="それは再現率、つまり正解のうち見つけられた部分の割合です。",
    hint_en="The number asked for looks at both texts. What does it divide by?",
    hint_ja="求める数は両方の文章を見ます。何で割るのでしたか。",
)
