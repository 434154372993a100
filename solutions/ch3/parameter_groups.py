"""Learning rates that fall from layer to layer, and weight decay where it belongs.

Discriminative rates after Howard and Ruder (2018, section 3.2), by powers as in Clark et al. (2020, appendix B); no
decay for biases and norms as in the training of BERT (Devlin et al., 2019, appendix A).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.inputs import build_inputs
from autograder.make import Make, Trial
from autograder.text import Text


def parameter_groups(
    model: nn.Module, lr: float, layer_decay: float, weight_decay: float
) -> list[dict[str, list[Tensor] | float]]:
    """Say for every parameter how fast it learns and how much it decays, as `torch.optim.AdamW(groups)` takes it.

    The learning rate of a parameter at depth d is lr * layer_decay ** (head - d), where the embeddings have depth 0,
    the layers 1 (the lowest) to num_layers, and all that lies above them (pooler and classifier) has the depth
    head = num_layers + 1. So the head learns at lr itself, and the embeddings at lr * layer_decay ** (num_layers + 1).
    The function `depth` below reads the depth off a parameter's name.

    Biases, and the weights and biases of norms, do not decay; all other parameters do. In a BERT the former are just
    those with one dimension, and their names end in "bias" or hold "LayerNorm".

    Args:
        model: a model whose parameters are named as in BertForSequenceClassification: bert.embeddings...,
            bert.encoder.layer.0... to bert.encoder.layer.{num_layers - 1}..., bert.pooler..., classifier...
        lr: the learning rate of the head.
        layer_decay: the factor from one depth to the one below it, above 0 and at most 1.
        weight_decay: the weight decay of the parameters that decay.

    Returns:
        a list of dicts {"params": a list of parameters, "lr": ..., "weight_decay": ...}, one for every trainable
        parameter, in the order of model.named_parameters(). (Optimizers take any grouping, and so does the exam; the
        self-check expects this simplest one.) Frozen parameters are left out.
    """
    num_layers = len(model.get_submodule("bert.encoder.layer"))
    head = num_layers + 1

    def depth(name: str) -> int:
        parts = name.split(".")
        if "layer" in parts:
            return int(parts[parts.index("layer") + 1]) + 1
        return 0 if "embeddings" in parts else head

    groups = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            ### BEGIN SOLUTION
            rate = lr * layer_decay ** (head - depth(name))
            decay = weight_decay if parameter.ndim > 1 else 0.0  # matrices decay; biases and norms are vectors
            groups.append({"params": [parameter], "lr": rate, "weight_decay": decay})
            ### END SOLUTION
    return groups


exercise = Exercise(
    parameter_groups,
    points=3,
    objectives=["3.3"],
    title_en="Learning rates by layer, decay by kind",
    title_ja="層ごとの学習率と、種類ごとの重み減衰",
    equivalent={
        "decay = weight_decay if parameter.ndim != 1 else 0.0": "all parameters have one dimension or two",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def grouped(make: Make, *sizes: int, lr: float, layer_decay: float, weight_decay: float, frozen: str = "") -> Trial:
    """The groups of a model of these sizes: vocabulary, width, layers, labels."""
    model = make.recipe("autograder.course.small_classifier:SmallClassifier", *sizes, frozen=frozen)
    return make.call(model=model, lr=lr, layer_decay=layer_decay, weight_decay=weight_decay)


@exercise.visible(en="the example worked by hand in the text: two layers", ja="本文で手計算した、2 層の例", again=False)
def _(make: Make) -> Trial:
    # 0.8 for the head, 0.4 for the upper layer, 0.2 for the lower one, 0.1 for the embeddings
    return grouped(make, 7, 3, 2, 2, lr=0.8, layer_decay=0.5, weight_decay=0.01)


@exercise.visible(en="three layers, the embeddings frozen", ja="3 層のモデルで、埋め込みを凍結した場合", again=False)
def _(make: Make) -> Trial:
    return grouped(make, 6, 4, 3, 2, lr=0.5, layer_decay=0.7, weight_decay=0.2, frozen="bert.embeddings")


def _settings(groups: Any, names: Mapping[str, Tensor]) -> Iterator[tuple[str, float, float]]:
    """(name, learning rate, weight decay) of all that stands in the groups; a parameter is told by its values."""
    for group in groups:
        listed = group["params"] if isinstance(group["params"], list | tuple) else [group["params"]]
        for tensor in listed:
            found = [name for name, own in names.items() if own.shape == tensor.shape and own.equal(tensor.to(own))]
            yield found[0] if found else "", float(group["lr"]), float(group["weight_decay"])


def _kinds(names: Sequence[str]) -> Text:
    """What a student calls the parameters of these names."""
    called = {
        "embeddings": Text("the embeddings", "埋め込み"),
        "layer": Text("the layers", "各層"),
        "head": Text("the head", "ヘッド"),
    }
    kinds = dict.fromkeys(next((kind for kind in called if kind in name.split(".")), "head") for name in names)
    chosen = [called[kind] for kind in called if kind in kinds]
    return Text(", ".join(text.en for text in chosen), "、".join(text.ja for text in chosen))


def _judges(part: int) -> Callable[[Mapping[str, Any], Any, Any], Text | None]:
    """A judge of the learning rates (1) or of the decay (2) of every trainable parameter, in whatever groups."""

    def judge(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
        model = build_inputs({"model": inputs["model"]}, "cpu")["model"]
        named = dict(model.named_parameters())
        wanted = {name: values for name, *values in _settings(expected, named)}
        got = list(_settings(actual, named))
        names = [name for name, *_ in got]
        if "" in names:
            return Text(
                "a group holds something that is no parameter of the model.",
                "モデルのパラメータでないものが入っています。",
            )
        if len(set(names)) < len(names):
            return Text(
                "a parameter is in two groups, which an optimizer refuses.",
                "一つのパラメータが二つのグループに入っています。オプティマイザはこれを受け付けません。",
            )
        if wanted.keys() - set(names):
            return Text(
                "a trainable parameter is in no group.",
                "どのグループにも入っていない、学習すべきパラメータがあります。",
            )
        wrong = [
            name
            for name, *values in got
            if name in wanted
            and not math.isclose(values[part - 1], wanted[name][part - 1], rel_tol=1e-5, abs_tol=1e-12)
        ]
        if not wrong:
            return None
        if part == 1:
            kinds = _kinds(wrong)
            return Text(f"the learning rate is wrong for {kinds.en}.", f"学習率が違うのは次の部分です：{kinds.ja}。")
        return Text("the weight decay of some parameters is wrong.", "重み減衰の値が違うパラメータがあります。")

    return judge


@exercise.hidden(
    en="the learning rates of a deeper model", ja="より深いモデルの学習率", weight=2, judge=_judges(1), again=False
)
def _(make: Make) -> Trial:
    return grouped(make, 9, 4, 5, 3, lr=0.3, layer_decay=0.8, weight_decay=0.1)


@exercise.hidden(
    en="the weight decay of every parameter", ja="各パラメータの重み減衰", weight=2, judge=_judges(2), again=False
)
def _(make: Make) -> Trial:
    return grouped(make, 8, 5, 4, 2, lr=0.2, layer_decay=0.6, weight_decay=0.3)


@exercise.hidden(en="a model of which a part is frozen", ja="一部が凍結されているモデル", judge=_judges(1), again=False)
def _(make: Make) -> Trial:
    return grouped(make, 10, 3, 3, 4, lr=0.6, layer_decay=0.9, weight_decay=0.4, frozen="bert.encoder.layer.0")


# -- mistakes ----------------------------------------------------------------------------------------------------------


def _one_each(
    model: nn.Module, rate: Callable[[int, int], float], decay: Callable[[str, Tensor], float]
) -> list[dict[str, Any]]:
    """A group for each trainable parameter: `rate` of its depth and of the head's, `decay` of its name and itself."""
    head = len(model.get_submodule("bert.encoder.layer")) + 1
    groups = []
    for name, parameter in model.named_parameters():
        parts = name.split(".")
        depth = int(parts[3]) + 1 if parts[1] == "encoder" else 0 if parts[1] == "embeddings" else head
        if parameter.requires_grad:
            settings = {"lr": rate(depth, head), "weight_decay": decay(name, parameter)}
            groups.append({"params": [parameter], **settings})
    return groups


def _decays_matrices(weight_decay: float) -> Callable[[str, Tensor], float]:
    return lambda name, parameter: weight_decay * (parameter.ndim > 1)


@exercise.mistake(
    en="The order is upside down: the embeddings learn fastest and the head slowest.",
    ja="順序が上下逆です。埋め込みが最も速く、ヘッドが最も遅く学習するようになっています。",
    hint_en="Which part starts from random numbers, and which one has been trained on a whole library already?",
    hint_ja="乱数から始まるのはどの部分で、すでに大量の文章で学習を終えているのはどの部分でしょうか。",
)
def upside_down(model: nn.Module, lr: float, layer_decay: float, weight_decay: float) -> Any:
    return _one_each(model, lambda depth, head: lr * layer_decay**depth, _decays_matrices(weight_decay))


@exercise.mistake(
    en="The count is off by one: the top layer learns at lr, and the head faster still.",
    ja="数え方が一つずれています。一番上の層の学習率が lr になり、ヘッドはそれより速くなっています。",
    hint_en="How many steps down is it from the head to the top layer, and from the head to itself?",
    hint_ja="ヘッドから一番上の層までは何段下がりますか。ヘッドから自分自身までは何段でしょうか。",
)
def counted_from_the_top_layer(model: nn.Module, lr: float, layer_decay: float, weight_decay: float) -> Any:
    return _one_each(model, lambda depth, head: lr * layer_decay ** (head - 1 - depth), _decays_matrices(weight_decay))


@exercise.mistake(
    en="All that lies below the head learns at the same rate: the factor is applied once, not once a layer.",
    ja="ヘッドより下がすべて同じ学習率です。係数を、層ごとではなく一度しか掛けていません。",
    hint_en="Two layers further down, how often has the rate been multiplied by layer_decay?",
    hint_ja="二層下がると、学習率には layer_decay が何回掛かっているでしょうか。",
)
def one_step_for_all(model: nn.Module, lr: float, layer_decay: float, weight_decay: float) -> Any:
    return _one_each(
        model, lambda depth, head: lr * (layer_decay if depth < head else 1.0), _decays_matrices(weight_decay)
    )


@exercise.mistake(
    en="Everything decays, biases and norms as well.",
    ja="バイアスや正規化のパラメータも含めて、すべてを減衰させています。",
    hint_en="Decay pulls a parameter towards 0. What does a layer norm do when its weight goes there?",
    hint_ja="重み減衰は値を 0 に引き寄せます。レイヤー正規化の重みが 0 に近づくと、何が起こるでしょうか。",
)
def everything_decays(model: nn.Module, lr: float, layer_decay: float, weight_decay: float) -> Any:
    return _one_each(
        model, lambda depth, head: lr * layer_decay ** (head - depth), lambda name, parameter: weight_decay
    )


@exercise.mistake(
    en="The biases are spared, but the weights of the layer norms decay.",
    ja="バイアスは除かれていますが、レイヤー正規化の重みを減衰させています。",
    hint_en="The weight of a norm is called `weight`, too. How can you tell it from a matrix without its name?",
    hint_ja="正規化のパラメータにも weight という名前のものがあります。名前を使わずに行列と区別するには、"
    "何を見ればよいでしょうか。",
)
def norms_decay(model: nn.Module, lr: float, layer_decay: float, weight_decay: float) -> Any:
    return _one_each(
        model,
        lambda depth, head: lr * layer_decay ** (head - depth),
        lambda name, parameter: 0.0 if name.endswith("bias") else weight_decay,
    )


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def told_by_their_names(model: nn.Module, lr: float, layer_decay: float, weight_decay: float) -> Any:
    spared = ("bias", "LayerNorm.weight")
    groups: list[dict[str, Any]] = [
        {"params": [p], "lr": lr, "weight_decay": 0.0 if any(part in name for part in spared) else weight_decay}
        for name, p in model.named_parameters()
        if p.requires_grad
    ]
    below = [*reversed(model.get_submodule("bert.encoder.layer")), model.get_submodule("bert.embeddings")]
    for steps, part in enumerate(below, start=1):
        own = {id(parameter) for parameter in part.parameters()}
        for group in groups:
            if id(group["params"][0]) in own:
                group["lr"] = lr * math.pow(layer_decay, steps)
    return groups


@exercise.accepted
def multiplied_on_the_way_down(model: nn.Module, lr: float, layer_decay: float, weight_decay: float) -> Any:
    """From the head downwards; the rate falls whenever a new part begins."""
    chosen: dict[str, tuple[float, float]] = {}
    rate, last = lr, "head"
    for name, parameter in reversed(list(model.named_parameters())):
        if name.startswith(("bert.encoder", "bert.embeddings")):
            part = ".".join(name.split(".")[:4]) if "encoder" in name else "embeddings"
            rate, last = (rate if part == last else rate * layer_decay), part
            chosen[name] = rate, weight_decay * (parameter.dim() != 1)
    return [
        {
            "params": [p],
            **dict(zip(("lr", "weight_decay"), chosen.get(n, (lr, weight_decay * (p.dim() != 1))), strict=True)),
        }
        for n, p in model.named_parameters()
        if p.requires_grad
    ]
