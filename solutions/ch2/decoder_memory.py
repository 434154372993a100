"""Where the keys and values of cross-attention come from (Vaswani et al., 2017, section 3.2.3, first item)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "b",
    choices="abcd",
    points=1,
    objectives=["2.1"],
    title_en="What the decoder looks at",
    title_ja="デコーダが見にいくもの",
)
exercise.misconception(
    "a",
    en="You take encoder and decoder for two ladders with a rung between each pair of layers.",
    ja="エンコーダとデコーダを、同じ段の層どうしがつながった梯子のように考えています。",
    hint_en="How often is the encoder run, and what does it hand over when it has finished?",
    hint_ja="エンコーダは何回はたらきますか。そして、はたらき終えたときに何を渡しますか。",
)
exercise.misconception(
    "c",
    en="You exchange the one that asks with the one that answers.",
    ja="問いかける側と応える側を取り違えています。",
    hint_en="The output has a row for each query. How many rows must a decoder layer's output have?",
    hint_ja="出力には、クエリごとに一行があります。デコーダの層の出力には、何行が必要ですか。",
)
exercise.misconception(
    "d",
    en="You take cross-attention for the masked self-attention that comes before it.",
    ja="クロス注意を、その前にあるマスク付き自己注意と混同しています。",
    hint_en="If all three came from the target, how would the decoder ever hear of the source sentence?",
    hint_ja="三つともデコーダの側から来るのなら、デコーダは原文のことをどうやって知るのでしょうか。",
)
