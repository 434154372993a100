"""Where the parameters of BERT large are (Devlin et al., 2019, section 3): how many percent are its embeddings.

24 layers, width 1024, 16 heads, inner width 4096; 30,522 tokens, 512 positions, 2 segments; with the pooler.
"""

from autograder.exercise import ConceptQuestion

TOKENS, POSITIONS, SEGMENTS = 30_522, 512, 2


def percent(
    width: int, inner: int, layers: int, *, biases: bool = True, tables: int = TOKENS + POSITIONS + SEGMENTS
) -> float:
    """The share of the embeddings (tables and norm) in the whole encoder with its pooler."""
    embeddings = tables * width + 2 * width
    layer = 4 * width**2 + 2 * width * inner + biases * (4 * width + inner + width + 4 * width)
    return 100 * embeddings / (embeddings + layers * layer + width**2 + biases * width)


LARGE = percent(1024, 4096, 24)
OF_THE_LAYERS = 100 / (100 / LARGE - 1)  # against the rest, not against the whole

exercise = ConceptQuestion(
    round(LARGE, 4),
    points=1,
    objectives=["4.1"],
    title_en="The share of the embeddings",
    title_ja="埋め込みの占める割合",
    rtol=2e-3,
)
exercise.misconception(
    round(percent(768, 3072, 12), 4),
    en="That is the share in BERT base, as in the table.",
    ja="それは表にある BERT base での割合です。",
    hint_en="Put the width, the inner width and the number of layers of BERT large into the same formulas.",
    hint_ja="同じ式に、BERT large の次元、内側の次元、層の数を入れてみましょう。",
)
exercise.misconception(
    round(OF_THE_LAYERS, 4),
    en="The embeddings are compared with the rest, not with the whole.",
    ja="埋め込みを、全体ではなく残りの部分と比べています。",
    hint_en="A share has the whole below the line. Are the embeddings a part of it?",
    hint_ja="割合の分母は全体です。埋め込みもその一部ではありませんか。",
)
exercise.misconception(
    round(percent(1024, 4096, 12), 4),
    en="Only twelve layers are counted.",
    ja="層を 12 しか数えていません。",
    hint_en="BERT large is not only wider than BERT base.",
    hint_ja="BERT large は、BERT base より次元が大きいだけではありません。",
)
exercise.misconception(
    round(percent(1024, 3072, 24), 4),
    en="The inner width of BERT base has been kept.",
    ja="内側の次元が BERT base のままです。",
    hint_en="Which width stands between the two linear layers of the feed-forward network of BERT large?",
    hint_ja="BERT large のフィードフォワードネットワークで、二つの線形層の間の次元はいくつですか。",
)
exercise.misconception(
    round(LARGE / 100, 6),
    en="That is the share as a fraction; percent are asked for.",
    ja="それは比の値です。百分率で答えてください。",
    hint_en="How many out of a hundred?",
    hint_ja="100 あたりいくつですか。",
)
