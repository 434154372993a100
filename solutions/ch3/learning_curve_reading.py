"""How two learning curves on a logarithmic axis are read: the two curves stand in the notebook."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "d",
    choices="abcd",
    points=1,
    objectives=["3.4"],
    title_en="Reading two learning curves",
    title_ja="二つの学習曲線を読む",
)
exercise.misconception(
    "a",
    en="You continue the curves beyond what was measured.",
    ja="測定した範囲の外まで、曲線を延長して考えています。",
    hint_en="Does a curve that rises faster at the edge of the picture have to overtake the other one?",
    hint_ja="図の端で傾きが大きい曲線は、必ずもう一方を追い越すでしょうか。",
)
exercise.misconception(
    "b",
    en="You read the logarithmic axis as if its steps were equal numbers of examples.",
    ja="対数軸の目盛りを、例の数が等間隔に並んでいるものとして読んでいます。",
    hint_en="How many examples lie between two neighbouring points on the left, and how many on the right?",
    hint_ja="左のほうで隣り合う二つの点の間には、例がいくつありますか。右のほうではどうですか。",
)
exercise.misconception(
    "c",
    en="You take the distance at one size for the distance at all sizes.",
    ja="ある一点での差を、どの大きさでも同じ差だと考えています。",
    hint_en="Measure the vertical distance at three sizes. Is it one number?",
    hint_ja="縦の差を三つの大きさで測ってみましょう。一つの数で言い表せますか。",
)
