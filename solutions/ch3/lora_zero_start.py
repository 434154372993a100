"""Why one of the two small matrices starts at zero and the other does not (Hu et al., 2021, section 4.1)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "c",
    choices="abcd",
    points=1,
    objectives=["3.3"],
    title_en="Why b starts at zero",
    title_ja="b を 0 から始める理由",
)
exercise.misconception(
    "a",
    en="You take the rank for something that training can raise.",
    ja="ランクは学習が進むにつれて大きくなれると考えています。",
    hint_en="How many rows does a have after a thousand steps? What does that say about the rank of b a?",
    hint_ja="1000 ステップ学習した後、a の行数はいくつですか。そこから b a のランクについて何が言えますか。",
)
exercise.misconception(
    "b",
    en="You have exchanged the roles of the two matrices in the first step.",
    ja="最初のステップでの二つの行列の役割を取り違えています。",
    hint_en="The gradient of one factor of a product contains the other factor. Which of the two is zero?",
    hint_ja="積の一方の因子の勾配には、もう一方の因子が含まれます。0 なのはどちらの因子ですか。",
)
exercise.misconception(
    "d",
    en="You expect a product of two zeros to be able to leave zero.",
    ja="二つとも 0 でも、積が 0 から抜け出せると考えています。",
    hint_en="Work out both gradients for the scalar case y = b·a·x with a = b = 0.",
    hint_ja="スカラーの場合 y = b·a·x で a = b = 0 とし、a と b それぞれの勾配を計算してみましょう。",
)
