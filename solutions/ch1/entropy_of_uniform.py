"""The largest entropy that attention can have (Shannon, 1948)."""

import math

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    round(math.log(8), 3),
    points=1,
    objectives=["1.5"],
    title_en="The entropy of uniform attention",
    title_ja="一様な注意のエントロピー",
    rtol=5e-3,
)
exercise.misconception(
    3,
    en="This is the entropy in bits.",
    ja="これはビット単位のエントロピーです。",
    hint_en="Nats come from the natural logarithm.",
    hint_ja="ナット単位では自然対数を使います。",
)
exercise.misconception(
    round(math.log(12), 3),
    en="The padding is counted among the keys.",
    ja="パディングもキーとして数えています。",
    hint_en="A key of weight 0 adds nothing to the sum.",
    hint_ja="重みが 0 のキーは、和に何も加えません。",
)
exercise.misconception(
    round(math.log(4), 3),
    en="The padding is counted instead of the real tokens.",
    ja="実際のトークンではなく、パディングの数を数えています。",
    hint_en="Over which keys is the attention spread?",
    hint_ja="注意が広がっているのは、どのキーの上でしょうか。",
)
exercise.misconception(
    round(math.log(8) / 8, 3),
    en="This is the term of a single key.",
    ja="これはキー一つ分の項です。",
    hint_en="The entropy is the sum of these terms over all the keys.",
    hint_ja="エントロピーは、この項をすべてのキーについて足したものです。",
)
exercise.misconception(
    -round(math.log(8), 3),
    en="The sign is wrong: an entropy is never negative.",
    ja="符号が逆です。エントロピーが負になることはありません。",
    hint_en="The logarithm of a weight below 1 is negative. What does the definition do about it?",
    hint_ja="1 より小さい重みの対数は負です。定義では、それをどう扱っていますか。",
)
