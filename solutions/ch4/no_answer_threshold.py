"""What a threshold for "no answer" trades (Devlin et al., 2019, section 4.3, SQuAD v2.0)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "c",
    choices="abcd",
    points=1,
    objectives=["4.5", "answers"],
    title_en="Raising the threshold for an answer",
    title_ja="答えるためのしきい値を上げる",
)
exercise.misconception(
    "a",
    en="You take a high threshold for a license to answer more.",
    ja="しきい値を上げると、答える質問が増えると考えています。",
    hint_en="Put in numbers: a difference of 2, and a threshold of 1, then of 3. When is the question answered?",
    hint_ja="数を入れてみましょう。差が 2 で、しきい値が 1 のときと 3 のとき、答えを出すのはどちらですか。",
)
exercise.misconception(
    "b",
    en="You expect the threshold to change which span is chosen.",
    ja="しきい値によって、選ばれるスパンが変わると考えています。",
    hint_en="In which order do the two steps happen: finding the best span, and comparing its score?",
    hint_ja="最良のスパンを見つけることと、そのスコアを比べること。二つの手順はどちらが先ですか。",
)
exercise.misconception(
    "d",
    en="You expect caution to cost nothing.",
    ja="慎重になっても失うものはないと考えています。",
    hint_en="Among the questions that fall silent, are there some whose best span was right?",
    hint_ja="答えるのをやめた質問の中に、最良のスパンが正しかったものはないでしょうか。",
)
