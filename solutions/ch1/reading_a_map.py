"""What the rows of an attention map say, and what a map does not (Jain and Wallace, 2019, for the latter)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "a",
    choices="abcd",
    points=1,
    objectives=["1.5"],
    title_en="Reading an attention map",
    title_ja="注意マップを読む",
)
exercise.misconception(
    "b",
    en="You read the map with rows and columns exchanged.",
    ja="行と列を入れ替えて読んでいます。",
    hint_en="Which side holds the queries, the tokens that receive a new vector?",
    hint_ja="クエリ、つまり新しいベクトルを受け取るトークンは、どちらの側に並んでいますか。",
)
exercise.misconception(
    "c",
    en="You expect the columns to be normalised.",
    ja="列も正規化されていると考えています。",
    hint_en="Along which direction is the softmax taken?",
    hint_ja="ソフトマックスは、どの方向に沿ってとりますか。",
)
exercise.misconception(
    "d",
    en="You take the weights of one head for an explanation of the whole model.",
    ja="一つのヘッドの重みを、モデル全体の説明だと受け取っています。",
    hint_en="What else lies between these weights and the model's answer?",
    hint_ja="この重みとモデルの出力との間には、ほかに何がありますか。",
)
