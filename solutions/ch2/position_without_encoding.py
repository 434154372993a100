"""What self-attention without positions can tell apart (Vaswani et al., 2017, section 3.5)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "b",
    choices="abcd",
    points=1,
    objectives=["2.2"],
    title_en="An encoder without positions",
    title_ja="位置を知らないエンコーダ",
)
exercise.misconception(
    "a",
    en="You expect a stack of layers to recover an order that none of them sees.",
    ja="どの層にも見えていない語順が、層を重ねれば復元できると考えています。",
    hint_en="The two sentences hold the same words. Where, on the way through the first layer, could a difference come "
    "from that the second could build on?",
    hint_ja="二つの文に含まれる単語は同じです。最初の層を通るとき、次の層の手がかりになる違いが、"
    "どこかで生じるでしょうか。",
)
exercise.misconception(
    "c",
    en="You expect attention to know which tokens are neighbours.",
    ja="注意には、どのトークンが隣り合っているかがわかると考えています。",
    hint_en="A score is an inner product of a query and a key. What would have to be in these vectors for it to depend "
    "on the distance?",
    hint_ja="スコアはクエリとキーの内積です。それが距離によって変わるには、これらのベクトルに何が入っている必要がありますか。",
)
exercise.misconception(
    "d",
    en="You take the row of a token for something that the network can see.",
    ja="トークンが何行目にあるかが、ネットワークにも見えると考えています。",
    hint_en="Two equal words have equal embeddings. What differs in the sums that make their new vectors?",
    hint_ja="同じ単語の埋め込みは同じです。それぞれの新しいベクトルを作る和の、どこが違ってくるでしょうか。",
)
