"""Freezing the lower part of a pretrained encoder (after Howard and Ruder, 2018; Lee, Tang and Lin, 2019)."""

from torch import nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


def freeze_encoder(model: nn.Module, num_layers: int) -> int:
    """Freeze the embeddings and the first layers of a BERT, in place; count what is still trained.

    The model names its parts as transformers' BertForSequenceClassification does:

        model.bert.embeddings       the embeddings
        model.bert.encoder.layer    an nn.ModuleList of layers; layer[0] is the lowest, next to the embeddings
        model.bert.pooler           stays as it is
        model.classifier            stays as it is

    Args:
        model: the model. Some of its parameters may have been frozen before; they stay frozen.
        num_layers: how many layers are frozen beside the embeddings, from 0 (the embeddings alone) to all.

    Returns:
        how many numbers are trained from now on: the entries of all parameters of the whole model that require
        gradients.
    """
    ### BEGIN SOLUTION
    for part in [model.bert.embeddings, *model.bert.encoder.layer[:num_layers]]:
        part.requires_grad_(False)  # reaches every parameter of the part
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    ### END SOLUTION


exercise = Exercise(
    freeze_encoder,
    points=2,
    objectives=["3.1", "3.3"],
    title_en="Freezing the lower layers",
    title_ja="下の層を凍結する",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def frozen(make: Make, num_layers: int, *sizes: int, already: str = "") -> Trial:
    """Freeze a model of these sizes: vocabulary, width, layers, labels."""
    model = make.recipe("autograder.course.small_classifier:SmallClassifier", *sizes, frozen=already)
    return make.call(after=("model",), model=model, num_layers=num_layers)


@exercise.visible(en="the model counted in the text, 2 of its 3 layers", ja="本文で数えたモデル。3 層のうち 2 層を凍結")
def _(make: Make) -> Trial:
    return frozen(make, 2, 10, 4, 3, 3)  # 63 of 167 numbers


@exercise.visible(en="the embeddings alone", ja="埋め込みだけを凍結")
def _(make: Make) -> Trial:
    return frozen(make, 0, 10, 4, 3, 3)  # 119 of 167 numbers


@exercise.hidden(en="the first of four layers", ja="4 層のうち最初の 1 層を凍結", weight=2)
def _(make: Make) -> Trial:
    return frozen(make, 1, 9, 6, 4, 2)


@exercise.hidden(en="part of the model was frozen before", ja="モデルの一部がすでに凍結されている場合")
def _(make: Make) -> Trial:
    return frozen(make, 2, 11, 4, 3, 5, already="bert.pooler")


# -- mistakes ----------------------------------------------------------------------------------------------------------


def count(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@exercise.mistake(
    en="Nothing is frozen: an attribute set on a module, or eval(), does not reach its parameters.",
    ja="何も凍結されていません。モジュールに属性を設定しても、eval() を呼んでも、パラメータには届きません。",
    hint_en="Which objects have a requires_grad that the backward pass reads? Look for a method of nn.Module that sets "
    "it for all of them; its name ends in an underscore.",
    hint_ja="逆伝播が参照する requires_grad は、何についている属性でしょうか。それをまとめて設定する nn.Module の"
    "メソッドを探してみましょう。名前の最後に下線が付きます。",
)
def attribute_of_the_module(model: nn.Module, num_layers: int) -> int:
    for part in [model.bert.embeddings, *model.bert.encoder.layer[:num_layers]]:
        part.requires_grad = False  # type: ignore[assignment]  # the mistake itself
    return count(model)


@exercise.mistake(
    en="The embeddings are left trainable.",
    ja="埋め込みが凍結されていません。",
    hint_en="What lies below layer[0], and is trained on the most numbers of all?",
    hint_ja="layer[0] よりも下にあって、パラメータの数が特に多いのはどの部分でしょうか。",
)
def embeddings_forgotten(model: nn.Module, num_layers: int) -> int:
    for layer in model.bert.encoder.layer[:num_layers]:
        layer.requires_grad_(False)
    return count(model)


@exercise.mistake(
    en="The last layers are frozen, not the first.",
    ja="最初の層ではなく、最後の層を凍結しています。",
    hint_en="Which layers hold what is common to all tasks: those next to the embeddings or those next to the "
    "classifier? Which of them is layer[0]?",
    hint_ja="どのタスクにも共通の知識を持つのは、埋め込みに近い層でしょうか、分類器に近い層でしょうか。"
    "layer[0] はそのどちらですか。",
)
def last_layers_frozen(model: nn.Module, num_layers: int) -> int:
    layers = model.bert.encoder.layer
    for part in [model.bert.embeddings, *layers[len(layers) - num_layers :]]:
        part.requires_grad_(False)
    return count(model)


@exercise.mistake(
    en="One layer too many is frozen.",
    ja="凍結した層が一つ多すぎます。",
    hint_en="Layers are counted from 0. Which is the last one to be frozen when num_layers is 1?",
    hint_ja="層の番号は 0 から始まります。num_layers が 1 のとき、最後に凍結するのは何番の層でしょうか。",
)
def one_layer_too_many(model: nn.Module, num_layers: int) -> int:
    for part in [model.bert.embeddings, *model.bert.encoder.layer[: num_layers + 1]]:
        part.requires_grad_(False)
    return count(model)


@exercise.mistake(
    en="The right parts are frozen, but the count includes the frozen parameters.",
    ja="凍結した部分は正しいのですが、凍結したパラメータも数に入っています。",
    hint_en="How can you tell from a parameter whether it is still trained?",
    hint_ja="あるパラメータがまだ学習されるかどうかは、何を見ればわかるでしょうか。",
)
def everything_counted(model: nn.Module, num_layers: int) -> int:
    freeze_encoder(model, num_layers)
    return sum(parameter.numel() for parameter in model.parameters())


@exercise.mistake(
    en="The right parts are frozen, but tensors are counted, not the numbers in them.",
    ja="凍結した部分は正しいのですが、中の数の個数ではなく、テンソルの個数を数えています。",
    hint_en="A matrix of 4 × 8 is one parameter to PyTorch. How many numbers does it hold?",
    hint_ja="4 × 8 の行列は、PyTorch では一つのパラメータです。その中に数はいくつありますか。",
)
def tensors_counted(model: nn.Module, num_layers: int) -> int:
    freeze_encoder(model, num_layers)
    return sum(parameter.requires_grad for parameter in model.parameters())


@exercise.mistake(
    en="What had been frozen before is counted as trained: the sizes of the parts frozen here are subtracted from all.",
    ja="前から凍結されていたパラメータも数に入っています。全体の数から、ここで凍結した分だけを引いています。",
    hint_en="Ask each parameter itself, at the end, rather than keeping a count of what you have frozen.",
    hint_ja="凍結した数を覚えておくのではなく、最後にパラメータを一つずつ調べてみましょう。",
)
def sizes_subtracted(model: nn.Module, num_layers: int) -> int:
    left = sum(parameter.numel() for parameter in model.parameters())
    for part in [model.bert.embeddings, *model.bert.encoder.layer[:num_layers]]:
        part.requires_grad_(False)
        left -= sum(parameter.numel() for parameter in part.parameters())
    return left


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def by_name(model: nn.Module, num_layers: int) -> int:
    """The names say where a parameter belongs: bert.encoder.layer.3.dense.weight."""
    trained = 0
    for name, parameter in model.named_parameters():
        _, part, *rest = name.split(".")
        if part == "embeddings" or (part == "encoder" and int(rest[1]) < num_layers):
            parameter.requires_grad = False
        trained += parameter.numel() if parameter.requires_grad else 0
    return trained


@exercise.accepted
def gathered_in_a_list(model: nn.Module, num_layers: int) -> int:
    below = nn.ModuleList([model.bert.embeddings])
    for number, layer in enumerate(model.bert.encoder.layer):
        if number < num_layers:
            below.append(layer)
    for parameter in below.parameters():
        parameter.requires_grad_(False)
    return nn.utils.parameters_to_vector(p for p in model.parameters() if p.requires_grad).numel()
