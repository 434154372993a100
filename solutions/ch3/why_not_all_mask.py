"""Why not every chosen token becomes [MASK] (Devlin et al., 2019, section 3.1 and appendix C.2)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "a",
    choices="abcd",
    points=1,
    objectives=["3.2"],
    title_en="Why some chosen tokens are kept or replaced",
    title_ja="選んだトークンの一部をマスクしない理由",
)
exercise.misconception(
    "b",
    en="You take the tokens that are kept to be left out of the loss, as those are that were not chosen.",
    ja="そのまま残したトークンも、選ばれなかったトークンと同じように損失から除かれると考えています。",
    hint_en="Which label does a chosen token have that stays as it is?",
    hint_ja="選ばれてそのまま残ったトークンのラベルは何ですか。",
)
exercise.misconception(
    "c",
    en="You take [MASK] for something that the model cannot learn from.",
    ja="[MASK] からは学習できないと考えています。",
    hint_en="[MASK] has an embedding like any other token. Where does the gradient of a guess at its place flow?",
    hint_ja="[MASK] にも、ほかのトークンと同じように埋め込みがあります。その位置の予測の勾配はどこへ流れますか。",
)
exercise.misconception(
    "d",
    en="You expect the model to profit from copying what it sees.",
    ja="見えている単語を写すことが、モデルの役に立つと考えています。",
    hint_en="How often would a model be right that trusted every word that it sees at a chosen place?",
    hint_ja="選ばれた位置で、見えている単語をいつも信じるモデルがあったら、どれくらい正解できるでしょうか。",
)
