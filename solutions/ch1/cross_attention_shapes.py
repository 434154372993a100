"""Which dimension of cross-attention comes from where (Vaswani et al., 2017, section 3.2.3)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "b",
    choices="abcd",
    points=1,
    objectives=["1.4"],
    title_en="The shape of cross-attention",
    title_ja="クロスアテンションの形状",
)
exercise.misconception(
    "a",
    en="The two sequences have changed places: rows belong to the queries, columns to the keys.",
    ja="二つの系列が入れ替わっています。行がクエリ、列がキーに対応します。",
    hint_en="Which of the two sequences asks?",
    hint_ja="二つの系列のうち、問いかけるのはどちらでしょうか。",
)
exercise.misconception(
    "c",
    en="This is the decoder's self-attention: its keys come from the target.",
    ja="これはデコーダの自己注意の形状です。キーが出力側の文から作られています。",
    hint_en="In cross-attention, where do the keys come from?",
    hint_ja="クロスアテンションでは、キーはどこから作られるでしょうか。",
)
exercise.misconception(
    "d",
    en="This is the encoder's self-attention: its queries come from the source.",
    ja="これはエンコーダの自己注意の形状です。クエリが入力側の文から作られています。",
    hint_en="In cross-attention, where do the queries come from?",
    hint_ja="クロスアテンションでは、クエリはどこから作られるでしょうか。",
)
