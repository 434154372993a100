"""Why BERT does not write texts from left to right (Devlin et al., 2019, section 1; Wang and Cho, 2019)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "d",
    choices="abcd",
    points=1,
    objectives=["4.1", "4.2"],
    title_en="Why BERT does not write",
    title_ja="BERT が文章を書かない理由",
)
exercise.misconception(
    "a",
    en="You think that BERT has no probabilities for words.",
    ja="BERT は単語の確率を出せないと考えています。",
    hint_en="What does the softmax of the masked language model range over?",
    hint_ja="マスク言語モデルのソフトマックスは、何についてとりますか。",
)
exercise.misconception(
    "b",
    en="You think that the hidden word is visible in its own place.",
    ja="隠された単語が、その位置で見えていると考えています。",
    hint_en="Most of the chosen tokens are replaced before the encoder sees anything. By what?",
    hint_ja="選ばれたトークンの大部分は、エンコーダに渡る前に何に置き換えられますか。",
)
exercise.misconception(
    "c",
    en="You think that the length is fixed.",
    ja="長さを変えられないと考えています。",
    hint_en="May two batches be padded to different lengths? What is the most that the table of positions allows?",
    hint_ja="二つのバッチを別々の長さにそろえてもよいでしょうか。位置の表が許す最大の長さはいくつですか。",
)
