"""The residual connection around a sublayer, with its norm (Vaswani et al., 2017, section 3.1).

LayerNorm(x + Sublayer(x)) is the paper's; x + Sublayer(LayerNorm(x)) is what most later models do (Xiong et al., 2020).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


class ResidualConnection(nn.Module):
    """Adds to x what a sublayer (an attention, a feed-forward network) makes of it, and normalises.

    Args:
        d_model: width of x.
        pre_norm: where the norm stands. False: behind the sum. True: in front of the sublayer.
    """

    def __init__(self, d_model: int, pre_norm: bool) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """Run the sublayer with its residual connection.

            post-norm:  norm(x + sublayer(x))
            pre-norm:   x + sublayer(norm(x))

        Args:
            x: (batch, time, d_model).
            sublayer: maps (batch, time, d_model) to the same shape. It is handed over with each call and may be a
                module or a function: call it like one.

        Returns:
            (batch, time, d_model).
        """
        ### BEGIN SOLUTION
        if self.pre_norm:
            return x + sublayer(self.norm(x))
        return self.norm(x + sublayer(x))
        ### END SOLUTION


exercise = Exercise(
    ResidualConnection,
    points=3,
    objectives=["2.1", "2.4"],
    title_en="Residual connection, post-norm and pre-norm",
    title_ja="残差接続（ポストノルムとプレノルム）",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def _by_hand(make: Make, pre_norm: bool) -> Trial:
    """Mean 0 and variance 9, a ReLU for the sublayer, and a norm that has learned nothing yet."""
    x = torch.tensor([[[-5.0, 1.0, 1.0, 3.0]]], dtype=torch.float64)
    init = {"d_model": 4, "pre_norm": pre_norm}
    trial = make.module(ResidualConnection, init, x=x, sublayer=make.recipe("torch.nn:ReLU"))
    state = {"norm.weight": torch.ones(4, dtype=torch.float64), "norm.bias": torch.zeros(4, dtype=torch.float64)}
    return replace(trial, fields={**trial.fields, "state": state})


def _around_a_network(make: Make, pre_norm: bool, batch: int, time: int, d_model: int, d_ff: int) -> Trial:
    """A feed-forward network for the sublayer."""
    layers = (
        make.recipe("torch.nn:Linear", d_model, d_ff, seed=1),
        make.recipe("torch.nn:ReLU"),
        make.recipe("torch.nn:Linear", d_ff, d_model, seed=2),
    )
    init = {"d_model": d_model, "pre_norm": pre_norm}
    inputs: dict[str, Any] = {"x": make.normal(batch, time, d_model)}
    return make.module(ResidualConnection, init, **inputs, sublayer=make.recipe("torch.nn:Sequential", *layers))


@exercise.visible(en="post-norm, worked by hand in the text", ja="ポストノルム、本文で手計算した例")
def _(make: Make) -> Trial:
    return _by_hand(make, pre_norm=False)


@exercise.visible(en="pre-norm, worked by hand in the text", ja="プレノルム、本文で手計算した例")
def _(make: Make) -> Trial:
    return _by_hand(make, pre_norm=True)


@exercise.visible(
    en="post-norm around a feed-forward network", ja="フィードフォワードネットワークのまわりのポストノルム"
)
def _(make: Make) -> Trial:
    return _around_a_network(make, pre_norm=False, batch=2, time=3, d_model=4, d_ff=6)


@exercise.hidden(en="post-norm", ja="ポストノルム", weight=1.5)
def _(make: Make) -> Trial:
    return _around_a_network(make, pre_norm=False, batch=2, time=4, d_model=5, d_ff=7)


@exercise.hidden(en="pre-norm", ja="プレノルム", weight=1.5)
def _(make: Make) -> Trial:
    return _around_a_network(make, pre_norm=True, batch=3, time=2, d_model=6, d_ff=9)


@exercise.hidden(en="post-norm, with the gradients", ja="ポストノルム（勾配も）", gradients=True)
def _(make: Make) -> Trial:
    return _around_a_network(make, pre_norm=False, batch=3, time=4, d_model=5, d_ff=8)


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="pre_norm is not heeded: the norm always stands behind the sum.",
    ja="pre_norm を見ていません。正規化がいつも和の後になっています。",
    hint_en="__init__ keeps the flag. Who in forward asks for it?",
    hint_ja="フラグは __init__ が保存しています。forward の中で、それを見ているのはどこでしょうか。",
)
class AlwaysPostNorm(ResidualConnection):
    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        return self.norm(x + sublayer(x))


@exercise.mistake(
    en="The two arrangements are exchanged: pre_norm=True gives post-norm, and False gives pre-norm.",
    ja="二つの置き方が入れ替わっています。pre_norm=True でポストノルム、False でプレノルムになっています。",
    hint_en="In which of the two does the sublayer see a vector that has been normalised?",
    hint_ja="サブレイヤーが正規化されたベクトルを受け取るのは、どちらの置き方でしょうか。",
)
class Exchanged(ResidualConnection):
    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        return self.norm(x + sublayer(x)) if self.pre_norm else x + sublayer(self.norm(x))


@exercise.mistake(
    en="With post-norm only the sublayer's result is normalised, and x is added after that.",
    ja="ポストノルムで、サブレイヤーの結果だけを正規化し、その後で x を足しています。",
    hint_en="Read the formula from the inside out: what has been added up by the time the norm comes?",
    hint_ja="式を内側から順に読んでみましょう。正規化の時点で、何と何がもう足されていますか。",
)
class OnlyTheBranchNormalised(ResidualConnection):
    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        return x + sublayer(self.norm(x)) if self.pre_norm else x + self.norm(sublayer(x))


@exercise.mistake(
    en="With pre-norm the normalised x goes into the sum as well, in place of x itself.",
    ja="プレノルムで、和の側にも x そのものではなく正規化した x を使っています。",
    hint_en="x = norm(x) loses the x that is needed later. What should pass by the sublayer untouched?",
    hint_ja="x = norm(x) としてしまうと、後で必要になる x が失われます。"
    "サブレイヤーの横を素通りすべきものは何でしょうか。",
)
class NormalisedShortcut(ResidualConnection):
    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        if self.pre_norm:
            x = self.norm(x)
            return x + sublayer(x)
        return self.norm(x + sublayer(x))


@exercise.mistake(
    en="x is not added to what the sublayer returns: there is no residual connection.",
    ja="サブレイヤーの返り値に x を足していません。残差接続がないことになります。",
    hint_en="If the sublayer returned zeros, what should be left of x?",
    hint_ja="もしサブレイヤーが 0 ばかりを返したら、x は何になって残るべきでしょうか。",
)
class WithoutShortcut(ResidualConnection):
    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        return sublayer(self.norm(x)) if self.pre_norm else self.norm(sublayer(x))


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
class AsOneExpression(ResidualConnection):
    """Either norm is an identity in the other arrangement."""

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        before, after = (self.norm, nn.Identity()) if self.pre_norm else (nn.Identity(), self.norm)
        return after(torch.add(sublayer(before(x)), x))


@exercise.accepted
class WithFunctionalNorm(ResidualConnection):
    """The library's function on the module's parameters, and sums in place."""

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        def norm(y: Tensor) -> Tensor:
            return F.layer_norm(y, y.shape[-1:], self.norm.weight, self.norm.bias, self.norm.eps)

        if not self.pre_norm:
            return norm(sublayer(x).add_(x))
        return sublayer(norm(x)).add_(x)


@exercise.accepted
class TokenByToken(ResidualConnection):
    """The norm written out, and one sequence after the other."""

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        def norm(y: Tensor) -> Tensor:
            centred = y - y.mean(dim=-1, keepdim=True)
            scale = (centred.square().mean(dim=-1, keepdim=True) + self.norm.eps).rsqrt()
            return centred * scale * self.norm.weight + self.norm.bias

        done = []
        for sequence in x.split(1):
            result = sequence + sublayer(norm(sequence) if self.pre_norm else sequence)
            done.append(result if self.pre_norm else norm(result))
        return torch.cat(done)
