"""The parameters of one block of GPT-2 medium (Radford et al., 2019, table 2: d_model = 1024)."""

from autograder.exercise import ConceptQuestion

WIDTH, HEADS = 1024, 16
LINEAR = ((WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH))  # (in, out): qkv, output, FFN
WEIGHTS, BIASES = sum(fan_in * fan_out for fan_in, fan_out in LINEAR), sum(fan_out for _, fan_out in LINEAR)
NORMS = 2 * 2 * WIDTH  # two norms, each with a weight and a bias

exercise = ConceptQuestion(
    WEIGHTS + BIASES + NORMS,
    points=1,
    objectives=["4.3"],
    title_en="The parameters of one block",
    title_ja="1 ブロックのパラメータ数",
    rtol=1e-6,
)
exercise.misconception(
    WEIGHTS,
    en="You have counted the weights of the linear layers alone.",
    ja="線形層の重みだけを数えています。",
    hint_en="Does nn.Linear hold anything besides its weight? And are the linear layers all that a block is made of?",
    hint_ja="nn.Linear が持っているのは重みだけですか。また、ブロックは線形層だけでできていますか。",
)
exercise.misconception(
    WEIGHTS + BIASES,
    en="The two norms are not counted.",
    ja="二つの正規化のパラメータを数えていません。",
    hint_en="What does nn.LayerNorm(1024) learn?",
    hint_ja="nn.LayerNorm(1024) は何を学習しますか。",
)
exercise.misconception(
    WEIGHTS + NORMS,
    en="The biases of the linear layers are not counted.",
    ja="線形層のバイアスを数えていません。",
    hint_en="Look at the table for GPT-2 small: in which of its rows is there a second summand?",
    hint_ja="GPT-2 small の表をもう一度見てみましょう。「＋」の後の項は、どの行に何のためにありますか。",
)
exercise.misconception(
    WEIGHTS + BIASES + NORMS // 2,
    en="Only one of the two norms is counted (or the two without their biases).",
    ja="二つの正規化のうち一つしか数えていません（または、バイアスを除いて数えています）。",
    hint_en="How many norms stand in the two lines of the formula, and how many numbers does each of them learn?",
    hint_ja="2 行の式に正規化はいくつありますか。それぞれ、いくつの数を学習しますか。",
)
exercise.misconception(
    WEIGHTS + BIASES + NORMS + (HEADS - 1) * (3 * WIDTH * WIDTH + 3 * WIDTH),
    en="Every head is given a qkv layer of the full width.",
    ja="ヘッドごとに、全幅の qkv の層があるものとして数えています。",
    hint_en="How wide are one head's queries, and what is that times the number of heads?",
    hint_ja="一つのヘッドのクエリの幅はいくつですか。それにヘッドの数を掛けるといくつになりますか。",
)
exercise.misconception(
    WEIGHTS + BIASES + NORMS - WIDTH * WIDTH - WIDTH,
    en="The projection after the attention is missing.",
    ja="注意の後の射影を数えていません。",
    hint_en="Where do the heads' results go once they lie side by side?",
    hint_ja="横に並べたヘッドの結果は、その後どこを通りますか。",
)
