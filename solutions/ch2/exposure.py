"""Teacher forcing and what it leaves untrained (Williams and Zipser, 1989; Ranzato et al., 2016, for the name)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "d",
    choices="abcd",
    points=1,
    objectives=["2.5"],
    title_en="Trained on the right beginning",
    title_ja="正しい書き出しで学習すると",
)
exercise.misconception(
    "a",
    en="You take the training for a generation, word after word.",
    ja="学習も、生成のように一語ずつ進むと考えています。",
    hint_en="Where do the decoder's inputs come from in shift_right_batch? Is the model asked before they are known?",
    hint_ja="shift_right_batch で、デコーダの入力は何から作りましたか。それを知るために、モデルに尋ねる必要は"
    "ありましたか。",
)
exercise.misconception(
    "b",
    en="You take the input at a position for the word that is to be predicted there.",
    ja="ある位置の入力と、その位置で予測すべき単語とを同じものだと考えています。",
    hint_en="Write inputs and labels of a short sentence below each other. Which row first holds a word?",
    hint_ja="短い文の入力とラベルを上下に並べて書いてみましょう。同じ単語が先に現れるのはどちらの行ですか。",
)
exercise.misconception(
    "c",
    en="You expect that a causal mask is needed to hide words that do not exist yet.",
    ja="まだ存在しない単語を隠すために因果マスクが必要だと考えています。",
    hint_en="At generation, what stands to the right of the last position?",
    hint_ja="生成のとき、最後の位置の右側には何がありますか。",
)
