"""A linear layer with a trainable update of low rank (LoRA: Hu et al., 2021, section 4.1).

y = W x + bias + (alpha / rank) · b a x, where W and the bias stay as they were pretrained.
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial
from autograder.text import Text


class LoRALinear(nn.Module):
    """A pretrained linear layer that stays as it is, and beside it an update of low rank that is trained.

    Args:
        linear: the pretrained layer, in_features -> out_features, with a bias or without.
        rank: how many rows `a` and how many columns `b` has.
        alpha: the update is multiplied by alpha / rank.

    Attributes, by these names:
        linear: the layer that was handed over; nothing of it is trained.
        a: parameter (rank, in_features), random at the start. Given.
        b: parameter (out_features, rank), all zeros at the start.
        scale: alpha / rank.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, linear.in_features) / math.sqrt(linear.in_features))
        ### BEGIN SOLUTION
        self.linear = linear.requires_grad_(False)
        self.b = nn.Parameter(torch.zeros(linear.out_features, rank))
        self.scale = alpha / rank
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., in_features) -> (..., out_features). Gradients reach x, a and b, but not the pretrained layer."""
        ### BEGIN SOLUTION
        return self.linear(x) + self.scale * (x @ self.a.T @ self.b.T)
        ### END SOLUTION

    def merge(self) -> nn.Linear:
        """One ordinary linear layer that computes the same as this module now does.

        Returns:
            A layer of its own, with a bias if the pretrained layer has one. As in any new nn.Linear, all of its
            parameters are trainable. This module is left as it is, so that merging twice gives the same twice.
        """
        ### BEGIN SOLUTION
        merged = copy.deepcopy(self.linear).requires_grad_(True)
        with torch.no_grad():
            merged.weight += self.scale * self.b @ self.a
        return merged
        ### END SOLUTION


exercise = Exercise(
    LoRALinear,
    points=4,
    objectives=["3.3"],
    title_en="LoRA: a trainable update of low rank",
    title_ja="LoRA：低ランクの更新だけを学習する層",
)


def _layer(make: Make, fan_in: int, fan_out: int, rank: int, alpha: float, **options: Any) -> Mapping[str, Any]:
    """What LoRALinear is built with."""
    return {"linear": make.recipe("torch.nn:Linear", fan_in, fan_out, **options), "rank": rank, "alpha": alpha}


def _with_weights(trial: Trial, weights: Mapping[str, list[Any]]) -> Trial:
    """The same trial with weights that can be worked with by hand."""
    state = {name: torch.tensor(value, dtype=torch.float64) for name, value in weights.items()}
    return replace(trial, fields={**trial.fields, "state": {**trial.fields["state"], **state}})


@exercise.visible(en="rank 1, by hand", ja="手で計算できる、ランク 1 の場合")
def _(make: Make) -> Trial:
    x = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)
    trial = make.module(LoRALinear, _layer(make, 3, 2, rank=1, alpha=2.0), x=x)
    weights = {
        "linear.weight": [[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]],
        "linear.bias": [1.0, 0.0],
        "a": [[1.0, 1.0, 0.0]],
        "b": [[1.0], [-1.0]],
    }
    return _with_weights(trial, weights)


@exercise.visible(en="a batch of rank 3, and its gradients", ja="ランク 3 のバッチと、その勾配", gradients=True)
def _(make: Make) -> Trial:
    return make.module(LoRALinear, _layer(make, 6, 5, rank=3, alpha=7.5), x=make.normal(4, 6))


@exercise.visible(en="merged", ja="統合した層")
def _(make: Make) -> Trial:
    return make.module(LoRALinear, _layer(make, 5, 4, rank=2, alpha=5.0), method="merge")


@exercise.hidden(
    en="forward, for a batch of sequences and without a bias", ja="系列のバッチに対する順伝播（バイアスなし）"
)
def _(make: Make) -> Trial:
    return make.module(LoRALinear, _layer(make, 5, 7, rank=2, alpha=3.0, bias=False), x=make.normal(2, 3, 5))


@exercise.hidden(
    en="the gradients of x, a and b, and none for the pretrained layer",
    ja="x、a、b の勾配。元の層には勾配がないこと",
    gradients=True,
)
def _(make: Make) -> Trial:
    return make.module(LoRALinear, _layer(make, 7, 4, rank=3, alpha=4.5), x=make.normal(5, 7))


@exercise.hidden(en="merged, with a bias", ja="統合した層（バイアスあり）")
def _(make: Make) -> Trial:
    return make.module(LoRALinear, _layer(make, 6, 7, rank=4, alpha=6.0), method="merge")


@exercise.hidden(en="merged, without a bias", ja="統合した層（バイアスなし）", weight=0.5)
def _(make: Make) -> Trial:
    return make.module(LoRALinear, _layer(make, 8, 5, rank=2, alpha=3.0, bias=False), method="merge")


def _starts_as_the_layer(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
    """Judges what a module is before it is trained: a and b, what is trainable, and the layer that it was given."""
    state, given = actual["state"], expected["state"]
    if bool(state["b"].any()):
        return Text("b is not all zeros at the start.", "b の初期値がすべて 0 になっていません。")
    if not bool(state["a"].any()):
        return Text("a is all zeros at the start, as b is.", "b だけでなく、a の初期値もすべて 0 になっています。")
    if any(not torch.equal(state[name].double(), given[name]) for name in given if name.startswith("linear.")):
        return Text("the pretrained layer is not the one handed over.", "元の層が、渡されたものと違っています。")
    if sorted(actual["trainable"]) != ["a", "b"]:
        return Text("a and b are not all that is trained.", "学習されるパラメータが a と b だけになっていません。")
    return None


@exercise.hidden(en="how it starts, before any training", ja="学習前の初期状態", judge=_starts_as_the_layer)
def _(make: Make) -> Trial:
    return make.call("LoRALinear", **_layer(make, 9, 6, rank=2, alpha=4.0, seed=3))


# -- wrong answers -------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The update is not multiplied by alpha / rank.",
    ja="更新に alpha / rank を掛けていません。",
    hint_en="What does the argument alpha do in your code?",
    hint_ja="引数 alpha は、あなたのコードのどこで使われていますか。",
)
class Unscaled(LoRALinear):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__(linear, rank, alpha)
        self.scale = 1.0


@exercise.mistake(
    en="The update is multiplied by alpha, but not divided by the rank.",
    ja="更新に alpha を掛けていますが、rank で割っていません。",
    hint_en="If the rank is doubled, twice as many terms are added up in b a x. What keeps the update at its size?",
    hint_ja="ランクを 2 倍にすると、b a x で足し合わせる項の数も 2 倍になります。"
    "更新の大きさを保つのは、式のどの部分ですか。",
)
class ScaledByAlphaAlone(LoRALinear):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__(linear, rank, alpha)
        self.scale = alpha


@exercise.mistake(
    en="The pretrained layer is not frozen: its weight and bias would be trained, too.",
    ja="元の層が凍結されていません。このままでは、その重みとバイアスも学習されてしまいます。",
    hint_en="Which attribute of a parameter says whether it gets a gradient? A module can set it for all of its own.",
    hint_ja="パラメータが勾配を受け取るかどうかは、どの属性で決まりますか。"
    "モジュール全体に対してまとめて設定するメソッドもあります。",
)
class LeftTrainable(LoRALinear):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__(linear, rank, alpha)
        self.linear.requires_grad_(True)


@exercise.mistake(
    en="b starts with random numbers, as a does, so that the layer is changed before it has learned anything.",
    ja="b も a と同じように乱数で始めています。何も学習しないうちに、層の出力が変わってしまいます。",
    hint_en="Compare the module with the layer that it was made of, before any training. Should they differ?",
    hint_ja="学習の前に、このモジュールと元の層の出力を比べてみましょう。両者は違っていてよいでしょうか。",
)
class BothRandom(LoRALinear):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__(linear, rank, alpha)
        self.b = nn.Parameter(torch.randn(linear.out_features, rank))


@exercise.mistake(
    en="merge adds the update to the frozen layer itself and returns that layer (or a frozen copy of it).",
    ja="merge で、凍結した元の層そのもの（または凍結したままのコピー）に更新を加えて返しています。",
    hint_en="What happens if merge is called twice, and can the layer that it returns be trained?",
    hint_ja="merge を 2 回呼ぶとどうなりますか。また、返された層は学習できる状態でしょうか。",
)
class MergedInPlace(LoRALinear):
    def merge(self) -> nn.Linear:
        self.linear.weight.data += (self.scale * self.b @ self.a).detach()
        return self.linear


@exercise.mistake(
    en="The merged layer has lost the bias.",
    ja="統合した層からバイアスが失われています。",
    hint_en="Let both layers see an input of zeros. What does the pretrained layer answer?",
    hint_ja="すべて 0 の入力を両方の層に与えてみましょう。元の層は何を返しますか。",
)
class MergedWithoutBias(LoRALinear):
    def merge(self) -> nn.Linear:
        merged = nn.Linear(self.linear.in_features, self.linear.out_features, bias=False)
        merged.weight.data = (self.linear.weight + self.scale * self.b @ self.a).detach()
        return merged


@exercise.mistake(
    en="merge takes it for granted that the layer has a bias.",
    ja="merge が、層にバイアスがあることを前提にしています。",
    hint_en="What is the bias of nn.Linear(3, 2, bias=False)?",
    hint_ja="nn.Linear(3, 2, bias=False) の bias は何になっていますか。",
)
class MergedWithABiasAlways(LoRALinear):
    def merge(self) -> nn.Linear:
        merged = nn.Linear(self.linear.in_features, self.linear.out_features)
        merged.weight.data = (self.linear.weight + self.scale * self.b @ self.a).detach()
        merged.bias.data = self.linear.bias.clone()
        return merged


@exercise.mistake(
    en="forward is right, but merge leaves out the factor alpha / rank.",
    ja="forward は正しいのですが、merge に alpha / rank が掛かっていません。",
    hint_en="Take the x out of your formula in forward: what is left is the matrix that merge has to build.",
    hint_ja="forward の式を x でくくってみましょう。残った行列が、merge で作るべきものです。",
)
class MergedUnscaled(LoRALinear):
    def merge(self) -> nn.Linear:
        merged = copy.deepcopy(self.linear).requires_grad_(True)
        merged.weight.data += (self.b @ self.a).detach()
        return merged


# -- right answers written another way -----------------------------------------------------------------------------


@exercise.accepted
class WithOneMatrix(LoRALinear):
    """The updated matrix is built first, in forward too."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.linear.weight + self.scale * (self.b @ self.a), self.linear.bias)

    def merge(self) -> nn.Linear:
        fan_out, fan_in = self.linear.weight.shape
        merged = nn.Linear(fan_in, fan_out, bias=self.linear.bias is not None)
        merged.weight = nn.Parameter((self.linear.weight + self.scale * (self.b @ self.a)).detach())
        if self.linear.bias is not None:
            merged.bias = nn.Parameter(self.linear.bias.detach().clone())
        return merged


@exercise.accepted
class WithEinsum(LoRALinear):
    """A copy of the layer whose parameters are frozen one by one, and one sum over indices."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__(copy.deepcopy(linear), rank, alpha)
        for parameter in self.linear.parameters():
            parameter.requires_grad = False
        self.scale = float(alpha) / rank
        self.b = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("...i,ri,or->...o", x, self.a, self.b).mul(self.scale).add(self.linear(x))


@exercise.accepted
class MergedByProbing(LoRALinear):
    """The columns of a matrix are what it makes of the unit vectors."""

    def merge(self) -> nn.Linear:
        weight = self.linear.weight
        unit = torch.eye(weight.size(1), dtype=weight.dtype, device=weight.device)
        with torch.no_grad():
            columns = (self(unit) - self(torch.zeros_like(unit))).T
        has_bias = self.linear.bias is not None
        merged = nn.Linear(weight.size(1), weight.size(0), has_bias, device=weight.device, dtype=weight.dtype)
        merged.load_state_dict({**self.linear.state_dict(), "weight": columns})
        return merged
