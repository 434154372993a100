"""What beta does in direct preference optimisation (Rafailov et al., 2023, sections 3 and 4)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "b",
    choices="abcd",
    points=1,
    objectives=["5.5"],
    title_en="What beta does",
    title_ja="β の役割",
)
exercise.misconception(
    "a",
    en="You look at the size of a single gradient, not at where the training comes to rest.",
    ja="学習が落ち着く先ではなく、1 回の勾配の大きさだけを見ています。",
    hint_en="A factor on the gradient is soon made up for by more steps. By how much must the log-ratios differ before "
    "the sigmoid is near 1?",
    hint_ja="勾配の係数の違いは、ステップを重ねれば埋まります。シグモイドが 1 に近づくには、対数比にどれだけの差が"
    "必要でしょうか。",
)
exercise.misconception(
    "c",
    en="You take beta for a factor in front of the loss.",
    ja="β を、損失の前に掛かる係数だと考えています。",
    hint_en="Is beta inside or outside of the sigmoid in the formula?",
    hint_ja="式の中で、β はシグモイドの内側にありますか、外側にありますか。",
)
exercise.misconception(
    "d",
    en="You see in beta a noise level of the labels.",
    ja="β を、ラベルに含まれる誤りの割合だと考えています。",
    hint_en="Which pairs there are, and which answer of each was chosen, is fixed before. What is multiplied by beta?",
    hint_ja="どんなペアがあり、どちらが選ばれたかは、すでに決まっています。β が掛かっているのは何でしょうか。",
)
