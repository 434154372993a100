"""The parameters of multi-head attention (Vaswani et al., 2017, section 3.2.2), for d_model = 48 and 6 heads."""

from autograder.exercise import ConceptQuestion

D_MODEL, HEADS, HEAD_DIM = 48, 6, 8

exercise = ConceptQuestion(
    4 * (D_MODEL * D_MODEL + D_MODEL),
    points=1,
    objectives=["1.4"],
    title_en="Counting the parameters of the heads",
    title_ja="ヘッドのパラメータを数える",
    rtol=1e-6,
)
exercise.misconception(
    HEADS * 4 * (D_MODEL * D_MODEL + D_MODEL),
    en="Every head is given projections of the full width.",
    ja="どのヘッドにも、全次元への射影を持たせています。",
    hint_en="How many of the features belong to one head?",
    hint_ja="一つのヘッドが受け持つ特徴はいくつですか。",
)
exercise.misconception(
    4 * D_MODEL * D_MODEL,
    en="The biases are not counted.",
    ja="バイアスを数えていません。",
    hint_en="What does nn.Linear hold besides its matrix?",
    hint_ja="nn.Linear は、行列のほかに何を持っていますか。",
)
exercise.misconception(
    3 * (D_MODEL * D_MODEL + D_MODEL),
    en="The output projection is not counted.",
    ja="出力の射影を数えていません。",
    hint_en="What happens to the heads' results after they have been merged?",
    hint_ja="ヘッドの結果を結合した後、何をしますか。",
)
exercise.misconception(
    3 * D_MODEL * D_MODEL,
    en="Neither the biases nor the output projection are counted.",
    ja="バイアスも出力の射影も数えていません。",
    hint_en="Go through __init__ line by line: how many layers are there, and what does each of them hold?",
    hint_ja="__init__ を一行ずつ見ていきましょう。層はいくつあり、それぞれ何を持っていますか。",
)
exercise.misconception(
    4 * HEADS * (HEAD_DIM * HEAD_DIM + HEAD_DIM),
    en="Each head is taken to see only its own part of the input.",
    ja="どのヘッドも、入力のうち自分の受け持ちの部分だけを見ると考えています。",
    hint_en="Is the row cut before the projection or after it?",
    hint_ja="行を切り分けるのは、射影の前ですか、後ですか。",
)
