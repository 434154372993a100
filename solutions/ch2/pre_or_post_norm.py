"""Why pre-norm trains deep stacks more easily (Xiong et al., 2020, "On layer normalization in the Transformer")."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "a",
    choices="abcd",
    points=1,
    objectives=["2.1", "2.4"],
    title_en="Pre-norm or post-norm",
    title_ja="プレノルムかポストノルムか",
)
exercise.misconception(
    "b",
    en="You expect pre-norm to keep the sum itself at unit variance.",
    ja="プレノルムでは、和そのものの分散も 1 に保たれると考えています。",
    hint_en="Write down what x is after three pre-norm layers. Does a norm ever act on that sum?",
    hint_ja="プレノルムの層を三つ通った後の x を書き下してみましょう。その和に正規化がかかることはありますか。",
)
exercise.misconception(
    "c",
    en="You take the better training for a matter of the number of operations.",
    ja="学習のしやすさを、計算量の問題だと考えています。",
    hint_en="Count the norms in the two formulas. And is the trouble that a step takes long, or that it goes wrong?",
    hint_ja="二つの式で、正規化は何回ずつ現れますか。また、困っているのは一歩が遅いことですか、"
    "それとも学習が進まないことですか。",
)
exercise.misconception(
    "d",
    en="You take post-norm to do without the residual connection.",
    ja="ポストノルムには残差接続がないと考えています。",
    hint_en="Look for x in both formulas. Where is it added, and what happens to the sum?",
    hint_ja="二つの式の中で x を探してみましょう。どこで足され、その和はその後どうなりますか。",
)
