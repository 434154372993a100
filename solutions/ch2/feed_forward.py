"""The position-wise feed-forward network (Vaswani et al., 2017, section 3.3, equation 2)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def feed_forward(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """Two linear maps with a ReLU between them, the same for every token and for each by itself.

        FFN(x) = max(0, x w1 + b1) w2 + b2

    No more and no less: what the layer does around it (a residual connection, a norm) is not done here.

    Args:
        x: (batch, time, d_model).
        w1: (d_model, d_ff) and b1: (d_ff,), into the hidden units (`x @ w`).
        w2: (d_ff, d_model) and b2: (d_model,), back to the width of the model.

    Returns:
        (batch, time, d_model).
    """
    ### BEGIN SOLUTION
    hidden = torch.relu(x @ w1 + b1)  # (batch, time, d_ff): which detectors fire, and how strongly
    output = hidden @ w2 + b2  # (batch, time, d_model): the sum of what they write
    ### END SOLUTION
    return output


exercise = Exercise(
    feed_forward,
    points=2,
    objectives=["2.3"],
    title_en="The feed-forward network",
    title_ja="フィードフォワードネットワーク",
)


def _network(make: Make, batch: int, time: int, d_model: int, d_ff: int) -> dict[str, Tensor]:
    """Weights that keep the variance at about 1, and biases large enough to be missed."""
    return {
        "x": make.normal(batch, time, d_model),
        "w1": make.normal(d_model, d_ff, scale=d_model**-0.5),
        "b1": make.normal(d_ff),
        "w2": make.normal(d_ff, d_model, scale=d_ff**-0.5),
        "b2": make.normal(d_model),
    }


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, Tensor]:
    # x w1 + b1 = (1, 1, -1): the third unit stays silent.
    return {
        "x": torch.tensor([[[1.0, -1.0]]], dtype=torch.float64),
        "w1": torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]], dtype=torch.float64),
        "b1": torch.tensor([0.0, 2.0, -2.0], dtype=torch.float64),
        "w2": torch.tensor([[1.0, 2.0], [3.0, -1.0], [5.0, 5.0]], dtype=torch.float64),
        "b2": torch.tensor([0.0, -4.0], dtype=torch.float64),
    }


@exercise.visible(en="a batch of sequences", ja="系列のバッチ")
def _(make: Make) -> dict[str, Tensor]:
    return _network(make, batch=2, time=3, d_model=4, d_ff=7)


@exercise.hidden(en="a larger batch of sequences", ja="もっと大きなバッチ", weight=2)
def _(make: Make) -> dict[str, Tensor]:
    return _network(make, batch=3, time=4, d_model=5, d_ff=11)


@exercise.hidden(en="the gradient", ja="勾配", gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    return _network(make, batch=2, time=5, d_model=3, d_ff=8)


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="There is no ReLU between the two linear maps.",
    ja="二つの線形変換の間に ReLU がありません。",
    hint_en="Two linear maps in a row are one linear map. Which part of the formula prevents that?",
    hint_ja="線形変換を二つ続けても、一つの線形変換にしかなりません。式のどの部分がそれを防いでいますか。",
)
def without_relu(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return (x @ w1 + b1) @ w2 + b2


@exercise.mistake(
    en="A ReLU is applied to the output as well: no entry of it can be negative.",
    ja="出力にも ReLU をかけています。これでは、出力の成分が負になることはありません。",
    hint_en="Look at the smallest entry of your output. How often does max(0, ·) occur in the formula?",
    hint_ja="出力の最小の成分を見てみましょう。式の中に max(0, ·) は何回現れますか。",
)
def relu_at_the_end_too(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return torch.relu(torch.relu(x @ w1 + b1) @ w2 + b2)


@exercise.mistake(
    en="b1 is added after the ReLU: it no longer decides which units stay silent.",
    ja="b1 を ReLU の後で足しています。これでは、どのユニットが 0 になるかに b1 が影響しません。",
    hint_en="What exactly stands within max(0, ...)?",
    hint_ja="max(0, …) の中に入っているのは、正確には何ですか。",
)
def bias_after_relu(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return (torch.relu(x @ w1) + b1) @ w2 + b2


@exercise.mistake(
    en="GELU is used in place of ReLU.",
    ja="ReLU ではなく GELU を使っています。",
    hint_en="BERT and GPT have it, in chapter 4. What does this formula do to a negative number?",
    hint_ja="GELU を使うのは第 4 章の BERT と GPT です。ここの式は、負の数をどうしますか。",
)
def with_gelu(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return F.gelu(x @ w1 + b1) @ w2 + b2


@exercise.mistake(
    en="The input is added to the result: that is the residual connection, which belongs around this function.",
    ja="結果に入力を足しています。それは残差接続で、この関数の外側ですることです。",
    hint_en="Compare your last line with the formula, term by term.",
    hint_ja="最後の行を、式と一項ずつ見比べてください。",
)
def with_residual(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return x + torch.relu(x @ w1 + b1) @ w2 + b2


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_torch_functions(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return F.linear(F.relu(F.linear(x, w1.mT, b1)), w2.mT, b2)


@exercise.accepted
def with_einsum(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    hidden = (torch.einsum("btm,mf->btf", x, w1) + b1).clamp_(min=0)
    return torch.einsum("btf,fm->btm", hidden, w2).add_(b2)


@exercise.accepted
def token_by_token(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """Each hidden unit of each token adds its row of w2, if it fires."""
    tokens = []
    for token in x.flatten(0, 1):
        written = b2
        for unit in range(w1.size(1)):
            strength = torch.dot(token, w1[:, unit]) + b1[unit]
            written = written + torch.where(strength > 0, strength, 0) * w2[unit]
        tokens.append(written)
    return torch.stack(tokens).view_as(x)
