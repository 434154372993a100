"""How high the rate of the Transformer's schedule gets (Vaswani et al., 2017, equation 3)."""

from autograder.exercise import ConceptQuestion

WIDTH, WARMUP = 256, 10_000

exercise = ConceptQuestion(
    (WIDTH * WARMUP) ** -0.5,
    points=1,
    objectives=["2.1"],
    title_en="The highest learning rate",
    title_ja="学習率の最大値",
    rtol=5e-3,
)
exercise.misconception(
    WARMUP**-0.5,
    en="The width of the model is left out.",
    ja="モデルの幅を考えに入れていません。",
    hint_en="Which factor stands before the minimum in the formula?",
    hint_ja="式の min の前には、どんな係数がありますか。",
)
exercise.misconception(
    WIDTH**-0.5,
    en="This is the factor of the width alone, as if the minimum were 1 at its highest.",
    ja="これは幅による係数だけです。min の部分が最大で 1 になると考えています。",
    hint_en="What is the value of each of the two branches at the step where they meet?",
    hint_ja="二つの式が出会うステップで、それぞれの値はいくつですか。",
)
exercise.misconception(
    WARMUP,
    en="This is the step at which the rate is highest, not the rate.",
    ja="これは学習率が最大になるステップであり、学習率の値ではありません。",
    hint_en="Put that step into the formula.",
    hint_ja="そのステップを式に代入してみましょう。",
)
exercise.misconception(
    WIDTH**-0.5 * WARMUP**-1.5,
    en="This is the rate at the first step.",
    ja="これは最初のステップの学習率です。",
    hint_en="Until which step does the rate grow?",
    hint_ja="学習率は、どのステップまで大きくなり続けますか。",
)
exercise.misconception(
    WIDTH**0.5 * WARMUP**-0.5,
    en="The rate is multiplied by the root of the width, not divided by it.",
    ja="幅の平方根で割るのではなく、掛けています。",
    hint_en="Does a wider model get a higher or a lower rate? Look at the sign of the exponent.",
    hint_ja="幅の広いモデルでは、学習率は高くなりますか、低くなりますか。指数の符号を見直しましょう。",
)
