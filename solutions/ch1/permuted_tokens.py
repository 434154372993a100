"""Self-attention and the order of its tokens (Vaswani et al., 2017, section 3.5)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "c",
    choices="abcd",
    points=1,
    objectives=["1.2"],
    title_en="Tokens in another order",
    title_ja="トークンの順序を入れ替えると",
)
exercise.misconception(
    "a",
    en="You take the rows to be tied to their places rather than to their tokens.",
    ja="出力の行が、トークンではなく位置に結びついていると考えています。",
    hint_en="Row i of the output comes from the query of row i. Whose query stands in row i now?",
    hint_ja="出力の第 i 行は、第 i 行のクエリから作られます。いま第 i 行にあるのは、誰のクエリでしょうか。",
)
exercise.misconception(
    "b",
    en="You expect attention to depend on neighbours, as a recurrent or convolutional layer does.",
    ja="再帰層や畳み込み層のように、隣り合うトークンに依存すると考えています。",
    hint_en="Does the score of token i for token j contain i and j in any other way than through x_i and x_j?",
    hint_ja="トークン i のトークン j に対するスコアで、i や j は、x_i と x_j 以外のところに現れるでしょうか。",
)
exercise.misconception(
    "d",
    en="You permute the queries, and leave keys and values where they were.",
    ja="クエリだけを並べ替え、キーとバリューはもとの位置に残しています。",
    hint_en="Keys and values are made from X as well. What happens to their rows?",
    hint_ja="キーもバリューも X から作られます。それらの行はどうなるでしょうか。",
)
