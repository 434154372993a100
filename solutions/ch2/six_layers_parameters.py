"""The parameters of the base model's layers (Vaswani et al., 2017, table 3): d_model 512, d_ff 2048, six and six."""

from autograder.exercise import ConceptQuestion

WIDTH, HIDDEN, LAYERS, HEADS = 512, 2048, 6, 8


def _stacks(
    encoder_attentions: int = 1, decoder_attentions: int = 2, bias: int = 1, norm: int = 1, layers: int = LAYERS
) -> int:
    """All parameters of `layers` encoder layers and as many decoder layers, with something left out."""
    attention = 4 * (WIDTH * WIDTH + bias * WIDTH)
    feed_forward = 2 * WIDTH * HIDDEN + bias * (HIDDEN + WIDTH)
    encoder = encoder_attentions * attention + feed_forward + 2 * norm * 2 * WIDTH
    decoder = decoder_attentions * attention + feed_forward + 3 * norm * 2 * WIDTH
    return layers * (encoder + decoder)


exercise = ConceptQuestion(
    _stacks(),
    points=1,
    objectives=["2.1"],
    title_en="Counting twelve layers",
    title_ja="12 層のパラメータを数える",
    rtol=1e-7,
)
exercise.misconception(
    _stacks(layers=1),
    en="One layer of each has been counted: that would be right if all layers shared their weights.",
    ja="エンコーダとデコーダの層を一つずつしか数えていません。すべての層が重みを共有するなら、それで正しいのですが。",
    hint_en="Do the six layers of a stack share anything but their shape?",
    hint_ja="積み重ねた六つの層は、構造のほかに何かを共有しているでしょうか。",
)
exercise.misconception(
    _stacks(decoder_attentions=1),
    en="A decoder layer is given one attention only.",
    ja="デコーダの層に、注意を一つしか数えていません。",
    hint_en="Whom does a decoder layer look at, besides the target?",
    hint_ja="デコーダの層は、デコーダ自身の系列のほかに、何を見にいきますか。",
)
exercise.misconception(
    _stacks(norm=0),
    en="The norms are not counted.",
    ja="レイヤー正規化のパラメータを数えていません。",
    hint_en="What does nn.LayerNorm learn, and how many numbers is that for each norm?",
    hint_ja="nn.LayerNorm は何を学習しますか。一つにつき、いくつの数になりますか。",
)
exercise.misconception(
    _stacks(bias=0),
    en="The biases of the linear layers are not counted.",
    ja="線形層のバイアスを数えていません。",
    hint_en="What does nn.Linear hold besides its matrix? nn.MultiheadAttention does so, too.",
    hint_ja="nn.Linear は、行列のほかに何を持っていますか。nn.MultiheadAttention も同じです。",
)
exercise.misconception(
    _stacks(bias=0, norm=0),
    en="Only the matrices are counted: biases and norms are left out.",
    ja="行列だけを数えていて、バイアスとレイヤー正規化が抜けています。",
    hint_en="Go through __init__ line by line: which parameters does each of its modules have?",
    hint_ja="__init__ を一行ずつ見ていきましょう。それぞれのモジュールは、どんなパラメータを持っていますか。",
)
exercise.misconception(
    _stacks(encoder_attentions=HEADS, decoder_attentions=2 * HEADS),
    en="Every head is given projections of the full width.",
    ja="どのヘッドにも、全次元への射影を持たせています。",
    hint_en="How many of the 512 features belong to one of the eight heads?",
    hint_ja="八つのヘッドのうちの一つが受け持つのは、512 個の特徴のうちいくつですか。",
)
