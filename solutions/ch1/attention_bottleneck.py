"""Why attention was added to recurrent translators (Bahdanau, Cho and Bengio, 2015, section 1)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "b",
    choices="abcd",
    points=1,
    objectives=["1.1"],
    title_en="The bottleneck of a fixed-size state",
    title_ja="固定長の状態というボトルネック",
)
exercise.misconception(
    "a",
    en="You take the difficulty for one of optimisation.",
    ja="学習の進め方の問題だと考えています。",
    hint_en="How many numbers does the decoder receive for a sentence of four words, and how many for one of sixty?",
    hint_ja="4 単語の文と 60 単語の文で、デコーダが受け取る数の個数はそれぞれいくつでしょうか。",
)
exercise.misconception(
    "c",
    en="You take an average for attention.",
    ja="平均をとることと注意を向けることを、同じだと考えています。",
    hint_en="How large is a mean of sixty vectors? And does it change from one word that is written to the next?",
    hint_ja="60 本のベクトルの平均は、どれだけの大きさになりますか。訳文の単語ごとに変わるでしょうか。",
)
exercise.misconception(
    "d",
    en="You shorten the way through the decoder, not the way through the encoder.",
    ja="短くなるのはデコーダの側の経路だけで、エンコーダの側は変わりません。",
    hint_en="What the decoder is handed again: does it hold any more about the first word than before?",
    hint_ja="渡し直されるものは、最初の単語について、以前より多くの情報を持っているでしょうか。",
)
