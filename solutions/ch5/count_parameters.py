"""GPT-2's parameters (Radford et al., 2019) and the FLOPs of a training (Kaplan et al., 2020, section 2.1)."""

from typing import Any

from torch import nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


def count_parameters(config: dict[str, int], embeddings: bool = True) -> int:
    """How many numbers a model of GPT-2's architecture learns.

    Args:
        config: the sizes, by name:
            vocab_size   tokens in the vocabulary: rows of the token table, which is the output layer as well (tied)
            max_len      positions: rows of the position table, which is learned
            d_model      width of both tables and of all that flows between the layers
            num_layers   layers. Each has one linear map to query, key and value (d_model -> 3 d_model), an output
                         map (d_model -> d_model), a feed-forward network of two maps (d_model -> d_inner -> d_model)
                         and two layer norms. Each linear map has a bias, each norm a gain and a shift
            d_inner      inner width of the feed-forward network
            num_heads    may be there, too; it only says how the width is divided
        embeddings: False leaves the two tables out, as Kaplan et al. count. All the rest is counted: the layers, and
            the layer norm that follows the last of them.

    Returns:
        the count, a whole number.
    """
    width, inner = config["d_model"], config["d_inner"]
    ### BEGIN SOLUTION
    attention = (width + 1) * 3 * width + (width + 1) * width  # a bias is one more row
    feed_forward = (width + 1) * inner + (inner + 1) * width
    norm = 2 * width
    count = config["num_layers"] * (attention + feed_forward + 2 * norm) + norm
    if embeddings:
        count += (config["vocab_size"] + config["max_len"]) * width
    return count
    ### END SOLUTION


def training_flops(parameters: float, tokens: float) -> float:
    """About how many floating-point operations a training takes.

    Args:
        parameters: how many numbers the model learns.
        tokens: how many tokens it is trained on, each repetition counted.

    Returns:
        the operations of all forward and backward passes, by the rule of thumb in the text.
    """
    ### BEGIN SOLUTION
    return 6 * parameters * tokens
    ### END SOLUTION


exercise = Exercise(
    count_parameters,
    training_flops,
    points=3,
    objectives=["5.1"],
    title_en="Parameters and compute",
    title_ja="パラメータ数と計算量",
    device=False,
)


# -- cases -------------------------------------------------------------------------------------------------------------

GPT2 = {"vocab_size": 50257, "max_len": 1024, "d_model": 768, "num_heads": 12, "num_layers": 12, "d_inner": 3072}


def sizes(make: Make) -> dict[str, int]:
    """Sizes that all differ, an odd width, and an inner one that is not four times as large."""
    width = 5 * (2 * int(make.integers(3, 8)) + 1)
    return {
        "vocab_size": int(make.integers(301, 900)),
        "max_len": int(make.integers(90, 200)),
        "d_model": width,
        "num_heads": 5,
        "num_layers": int(make.integers(3, 9)),
        "d_inner": 3 * width + int(make.integers(1, 30)),
    }


@exercise.visible(en="the tiny model counted in the text", ja="本文で数えた小さなモデル")
def _(make: Make) -> Trial:
    config = {"vocab_size": 10, "max_len": 5, "d_model": 4, "num_heads": 2, "num_layers": 3, "d_inner": 16}
    return make.call("count_parameters", config=config)


@exercise.visible(en="GPT-2 small without its tables", ja="埋め込みの表を除いた GPT-2 small")
def _(make: Make) -> Trial:
    return make.call("count_parameters", config=GPT2, embeddings=False)


@exercise.visible(en="the training of GPT-3", ja="GPT-3 の学習")
def _(make: Make) -> Trial:
    return make.call("training_flops", parameters=175e9, tokens=300e9)


@exercise.hidden(en="other sizes, with the tables", ja="別の大きさ（表を含む）", weight=1.5)
def _(make: Make) -> Trial:
    return make.call("count_parameters", config=sizes(make))


@exercise.hidden(en="other sizes, without the tables", ja="別の大きさ（表を除く）")
def _(make: Make) -> Trial:
    return make.call("count_parameters", config=sizes(make), embeddings=False)


@exercise.hidden(en="another training", ja="別の学習", weight=0.5)
def _(make: Make) -> Trial:
    parameters, tokens = (float(make.uniform(low=1.0, high=9.0)) for _ in range(2))
    return make.call("training_flops", parameters=parameters * 1e9, tokens=tokens * 1e11)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def counted(
    config: dict[str, int],
    embeddings: bool,
    *,
    bias: int = 1,
    maps: int = 4,
    norms: int = 2,
    last: int = 1,
    gain: int = 2,
    tables: tuple[str, ...] = ("vocab_size", "max_len"),
) -> int:
    """The count with this or that done otherwise."""
    width, inner = config["d_model"], config["d_inner"]
    layer = maps * (width + bias) * width + (width + bias) * inner + (inner + bias) * width + norms * gain * width
    rows = sum(config[table] for table in tables) if embeddings else 0
    return config["num_layers"] * layer + last * gain * width + rows * width


@exercise.mistake(
    answer="count_parameters",
    en="The biases of the linear maps are not counted.",
    ja="線形層のバイアスを数えていません。",
    hint_en="A linear map from a to b learns a matrix and one more vector. How long is that vector?",
    hint_ja="a 次元から b 次元への線形層が学習するのは、行列と、もう一つのベクトルです。その長さはいくつですか。",
)
def without_biases(config: dict[str, int], embeddings: bool = True) -> int:
    return counted(config, embeddings, bias=0)


@exercise.mistake(
    answer="count_parameters",
    en="The output layer is counted as a table of its own, although it is tied to the token table.",
    ja="出力層はトークンの表と共有されているのに、別の表として数えています。",
    hint_en="Two names for the same numbers: how often are they stored?",
    hint_ja="同じ数の並びに二つの名前が付いています。保持されるのは何回分でしょうか。",
)
def output_not_tied(config: dict[str, int], embeddings: bool = True) -> int:
    return counted(config, embeddings, tables=("vocab_size", "max_len", "vocab_size"))


@exercise.mistake(
    answer="count_parameters",
    en="The position table is missing.",
    ja="位置の表が抜けています。",
    hint_en="Sinusoids need no parameters. What does the docstring say about the positions of this model?",
    hint_ja="正弦波ならパラメータは要りません。このモデルの位置については、docstring に何と書いてありますか。",
)
def without_positions(config: dict[str, int], embeddings: bool = True) -> int:
    return counted(config, embeddings, tables=("vocab_size",))


@exercise.mistake(
    answer="count_parameters",
    en="The layer norm after the last layer is missing.",
    ja="最後の層の後にある層正規化が抜けています。",
    hint_en="Your count is short by two vectors of the model's width. What stands between the layers and the logits?",
    hint_ja="モデルの次元のベクトル二つ分だけ足りません。層の並びとロジットの間には、何がありますか。",
)
def without_the_last_norm(config: dict[str, int], embeddings: bool = True) -> int:
    return counted(config, embeddings, last=0)


@exercise.mistake(
    answer="count_parameters",
    en="The attention has three maps only: the one that follows the heads is missing.",
    ja="注意の線形層が三つ分しかありません。ヘッドの後の出力の線形層が抜けています。",
    hint_en="Query, key, value: and what mixes the heads when they have been put side by side?",
    hint_ja="クエリ、キー、バリュー。では、並べたヘッドを混ぜ合わせるのは何でしょうか。",
)
def without_the_output_map(config: dict[str, int], embeddings: bool = True) -> int:
    return counted(config, embeddings, maps=3)


@exercise.mistake(
    answer="count_parameters",
    en="The layer norms are not counted, or counted as one vector each.",
    ja="層正規化を数えていないか、一つにつきベクトル一本分しか数えていません。",
    hint_en="A layer norm multiplies each entry by something and adds something to it. Both are learned.",
    hint_ja="層正規化は、各成分に何かを掛け、さらに何かを足します。どちらも学習されます。",
)
def norms_without_shift(config: dict[str, int], embeddings: bool = True) -> int:
    return counted(config, embeddings, gain=1)


@exercise.mistake(
    answer="training_flops",
    en="That is the forward pass alone.",
    ja="それは順伝播だけの計算量です。",
    hint_en="The way back computes two gradients for each product: with respect to the weight, and to its input.",
    hint_ja="逆伝播では、一つの積につき、重みについてと入力についての二つの勾配を計算します。",
)
def forward_alone(parameters: float, tokens: float) -> float:
    return 2 * parameters * tokens


@exercise.mistake(
    answer="training_flops",
    en="That is one operation for each parameter and each token.",
    ja="パラメータ一つ、トークン一つにつき、演算が一回になっています。",
    hint_en="A weight is multiplied and the product is added to a sum, and that is only the forward pass.",
    hint_ja="重みは、まず掛けられ、その積が和に足されます。しかも、それは順伝播だけの話です。",
)
def one_operation_each(parameters: float, tokens: float) -> float:
    return parameters * tokens


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted(answer="count_parameters")
def built_by_pytorch(config: dict[str, int], embeddings: bool = True) -> int:
    """The modules themselves are built, without memory, and counted."""
    width, inner = config["d_model"], config["d_inner"]

    def layer() -> nn.Module:
        pairs = [(width, 3 * width), (width, width), (width, inner), (inner, width)]
        maps = [nn.Linear(*pair, device="meta") for pair in pairs]
        return nn.ModuleList([*maps, nn.LayerNorm(width, device="meta"), nn.LayerNorm(width, device="meta")])

    parts: list[nn.Module] = [layer() for _ in range(config["num_layers"])]
    parts.append(nn.LayerNorm(width, device="meta"))
    if embeddings:
        parts += [nn.Embedding(config[rows], width, device="meta") for rows in ("vocab_size", "max_len")]
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


@exercise.accepted(answer="count_parameters")
def one_formula(config: dict[str, int], embeddings: bool = True) -> int:
    """All terms multiplied out."""
    v, p, d, n, f = (config[key] for key in ("vocab_size", "max_len", "d_model", "num_layers", "d_inner"))
    return n * (4 * d**2 + 2 * d * f + 9 * d + f) + 2 * d + int(embeddings) * (v + p) * d


@exercise.accepted(answer="count_parameters")
def list_of_shapes(config: dict[str, int], embeddings: bool = True) -> int:
    """Every matrix and vector is written down with its shape."""
    d, f = config["d_model"], config["d_inner"]
    layer: list[tuple[Any, ...]] = [(d, 3 * d), (3 * d,), (d, d), (d,), (d, f), (f,), (f, d), (d,)] + [(d,)] * 4
    shapes = layer * config["num_layers"] + [(d,), (d,)]
    if embeddings:
        shapes += [(config["vocab_size"], d), (config["max_len"], d)]
    total = 0
    for shape in shapes:
        product = 1
        for side in shape:
            product *= side
        total += product
    return total


@exercise.accepted(answer="training_flops")
def forward_and_backward(parameters: float, tokens: float) -> float:
    forward = 2.0 * parameters * tokens
    return forward + 2 * forward
