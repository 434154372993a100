"""What a score between rotated queries and keys depends on (Su et al., 2021, section 3.1)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "c",
    choices="abcd",
    points=1,
    objectives=["2.2"],
    title_en="Moves that leave a rotary score as it is",
    title_ja="回転位置埋め込みでスコアが変わらない移動",
)
exercise.misconception(
    "a",
    en="You take a rotation, which keeps lengths, to keep every inner product, however far each vector is turned.",
    ja="回転は長さを保つので、二つのベクトルを別々にどれだけ回しても内積は変わらないと考えています。",
    hint_en="Keep one of two arrows still and turn the other. What happens to the angle between them?",
    hint_ja="二つの矢印の一方を固定して、もう一方を回してみましょう。間の角度はどうなりますか。",
)
exercise.misconception(
    "b",
    en="You take the score to depend on the distance only, and not on which of the two stands first.",
    ja="スコアは距離だけで決まり、どちらが先に並んでいるかは関係がないと考えています。",
    hint_en="The cosine of the angle does not change with its sign. But what if q and k did not point the same way to "
    "begin with?",
    hint_ja="角度の符号を変えても、その余弦は変わりません。"
    "しかし、q と k がもともと違う向きを指していたらどうでしょうか。",
)
exercise.misconception(
    "d",
    en="You take all pairs to turn at the same speed.",
    ja="すべての対が同じ速さで回ると考えています。",
    hint_en="When pair 0 has come round once, how far has pair 1 come?",
    hint_ja="対 0 がひと回りしたとき、対 1 はどこまで回っていますか。",
)
