"""The trained parameters of LoRA (Hu et al., 2021, section 4.2), for matrices that are not all square.

24 layers; rank 16 on the query and the value (1024 to 1024 each) and on the first feed-forward matrix (1024 to 4096).
"""

from autograder.exercise import ConceptQuestion

LAYERS, RANK, WIDTH, INNER = 24, 16, 1024, 4096
SIDES = ((WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH, INNER))  # (in, out) of each adapted matrix of a layer

exercise = ConceptQuestion(
    LAYERS * sum(RANK * (fan_in + fan_out) for fan_in, fan_out in SIDES),
    points=1,
    objectives=["3.3"],
    title_en="Counting LoRA's parameters",
    title_ja="LoRA のパラメータを数える",
    rtol=1e-6,
)
exercise.misconception(
    LAYERS * sum(fan_in * fan_out for fan_in, fan_out in SIDES),
    en="You have counted the pretrained matrices themselves.",
    ja="事前学習済みの行列そのものを数えています。",
    hint_en="Which of the matrices in the formula receive a gradient, and what are their shapes?",
    hint_ja="式に出てくる行列のうち、勾配を受け取るのはどれですか。その形状はどうなっていますか。",
)
exercise.misconception(
    sum(RANK * (fan_in + fan_out) for fan_in, fan_out in SIDES),
    en="That is one layer only.",
    ja="それは 1 層分だけの数です。",
    hint_en="How often does each adapted matrix occur in the model?",
    hint_ja="LoRA を付けた行列は、モデル全体にいくつありますか。",
)
exercise.misconception(
    LAYERS * sum(RANK * fan_in for fan_in, _ in SIDES),
    en="Only one of the two small matrices is counted.",
    ja="二つの小さな行列のうち、一つしか数えていません。",
    hint_en="One of them reads the input, the other writes to the output. Are both trained?",
    hint_ja="片方は入力を読み、もう片方は出力へ書き込みます。学習されるのは両方ですか。",
)
exercise.misconception(
    LAYERS * 3 * RANK * 2 * WIDTH,
    en="The feed-forward matrix is counted as if it were square.",
    ja="フィードフォワードの行列を、正方行列であるかのように数えています。",
    hint_en="Write down the shapes of a and b for the matrix from 1024 to 4096.",
    hint_ja="1024 次元から 4096 次元への行列について、a と b の形状を書き出してみましょう。",
)
exercise.misconception(
    LAYERS * sum(RANK * fan_in * fan_out for fan_in, fan_out in SIDES),
    en="The two sides of a matrix are multiplied, as if the update were stored whole, once for each unit of rank.",
    ja="行列の縦と横を掛けています。更新の行列全体を、ランクの数だけ持つことになってしまいます。",
    hint_en="Is b a ever stored as one matrix? Add up what a and b hold.",
    hint_ja="b a を一つの行列として保持する必要はありますか。a と b がそれぞれ持つ数を足してみましょう。",
)
