"""Layer normalisation (Ba, Kiros and Hinton, 2016, section 3), with the ε of PyTorch's implementation."""

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    """Bring every token's vector to mean 0 and variance 1, then let every feature choose its own scale and shift.

        y = gamma ⊙ (x - μ) / √(σ² + eps) + beta

    μ and σ² are the mean and the variance of the d_model features of one token: each token has its own, and no token
    has a part in those of another. The variance is the biased one, Σ (x_i - μ)² / d_model, and eps is added to it
    **inside** the root. Build it from elementary operations; F.layer_norm is what it should agree with.

    Args:
        x: (batch, time, d_model).
        gamma: (d_model,), the learned gain.
        beta: (d_model,), the learned shift.
        eps: a small positive number that keeps the quotient finite where all features of a token are equal.

    Returns:
        a tensor shaped like x.
    """
    ### BEGIN SOLUTION
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)  # (batch, time, 1): divided by d_model, not d_model - 1
    normalised = centred / torch.sqrt(variance + eps)
    output = gamma * normalised + beta
    ### END SOLUTION
    return output


exercise = Exercise(
    layer_norm,
    points=3,
    objectives=["2.4"],
    title_en="Layer normalisation",
    title_ja="レイヤー正規化",
)


def _with_odd_rows(make: Make, batch: int, time: int, d_model: int) -> dict[str, Tensor]:
    """Tokens on different levels; the first is nearly constant (there eps rules), the last is constant."""
    x = make.normal(batch, time, d_model) + make.normal(batch, time, 1)
    x[0, 0] = 1e-3 * make.normal(d_model)
    x[-1, -1] = 1.5
    return {"x": x, "gamma": 1 + 0.5 * make.normal(d_model), "beta": make.normal(d_model)}


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, Tensor]:
    # Mean 6, deviations -5, 1, 1, 3, variance 36 / 4 = 9.
    return {
        "x": torch.tensor([[[1.0, 7.0, 7.0, 9.0]]], dtype=torch.float64),
        "gamma": torch.tensor([1.0, 1.0, 2.0, 1.0], dtype=torch.float64),
        "beta": torch.tensor([0.0, 0.0, 0.0, 10.0], dtype=torch.float64),
    }


@exercise.visible(
    en="two sequences; one token is nearly constant, one is constant",
    ja="2 系列（ほぼ一定のトークンと、一定のトークンを一つずつ含む）",
)
def _(make: Make) -> dict[str, Tensor]:
    return _with_odd_rows(make, batch=2, time=3, d_model=4)


# At this width and tolerance neither the divisor nor the place of eps shows: who has only such a detail wrong keeps the
# marks for the right axis, the gain and the shift.
@exercise.hidden(
    en="wide tokens, compared coarsely", ja="次元の大きいトークン（粗い比較）", weight=2, rtol=2e-2, atol=2e-2
)
def _(make: Make) -> dict[str, Tensor]:
    x = make.normal(3, 2, 256) + make.normal(3, 2, 1)
    return {"x": x, "gamma": 1 + 0.3 * make.normal(256), "beta": make.normal(256)}


@exercise.hidden(
    en="more tokens, one of them nearly constant, one constant, and an eps of its own",
    ja="トークンを増やし（ほぼ一定のもの、一定のものを含む）、eps を指定した場合",
    weight=2,
)
def _(make: Make) -> dict[str, object]:
    return {**_with_odd_rows(make, batch=3, time=5, d_model=4), "eps": 1e-4}


@exercise.hidden(en="the gradient", ja="勾配", gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    return {"x": make.normal(2, 3, 5), "gamma": 1 + 0.5 * make.normal(5), "beta": make.normal(5)}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The variance is the unbiased one: the sum of squares is divided by d_model - 1.",
    ja="不偏分散を使っています。平方和を d_model - 1 で割っていることになります。",
    hint_en="x.var(dim=-1) does that unless you tell it otherwise. Which divisor does the docstring name?",
    hint_ja="x.var(dim=-1) は、指定しなければそのように計算します。docstring では、何で割ることになっていますか。",
)
def unbiased_variance(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    return gamma * centred / torch.sqrt(x.var(dim=-1, keepdim=True) + eps) + beta


@exercise.mistake(
    en="eps is added to the standard deviation, outside the root.",
    ja="eps を、ルートの外で標準偏差に足しています。",
    hint_en="Only tokens with a tiny spread tell the two apart. What exactly stands under the root in the formula?",
    hint_ja="この違いは、ばらつきのごく小さいトークンにしか表れません。式のルートの中には、何が入っていますか。",
)
def eps_outside_the_root(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    return gamma * centred / (x.std(dim=-1, keepdim=True, correction=0) + eps) + beta


@exercise.mistake(
    en="x.std() is used as it is: it divides by d_model - 1, and eps ends up outside the root.",
    ja="x.std() をそのまま使っています。これは d_model - 1 で割る標準偏差で、eps もルートの外になります。",
    hint_en="Two things differ from the formula: the divisor of the variance, and the place of eps.",
    hint_ja="式と違うところが二つあります。分散を求めるときに割る数と、eps の位置です。",
)
def standard_deviation_as_it_is(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    return gamma * centred / (x.std(dim=-1, keepdim=True) + eps) + beta


@exercise.mistake(
    en="Mean and variance are taken over batch and time, for each feature: that is batch normalisation.",
    ja="平均と分散を、特徴ごとに、バッチと時間の方向に求めています。それはバッチ正規化です。",
    hint_en="A token should come out the same in whatever company it is. Over which axis of x may the mean run, then?",
    hint_ja="一つのトークンの結果は、ほかにどんなトークンがあっても変わらないはずです。"
    "それなら、平均は x のどの軸に沿ってとればよいでしょうか。",
)
def over_batch_and_time(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    centred = x - x.mean(dim=(0, 1), keepdim=True)
    return gamma * centred / torch.sqrt(x.var(dim=(0, 1), keepdim=True, correction=0) + eps) + beta


@exercise.mistake(
    en="Each sequence has one mean and one variance, taken over all its tokens together.",
    ja="平均と分散を、トークンごとではなく、系列全体で一つずつ求めています。",
    hint_en="Which shape should the mean have, (batch, 1, 1) or (batch, time, 1)?",
    hint_ja="平均の形状は、(batch, 1, 1) と (batch, time, 1) のどちらになるべきでしょうか。",
)
def over_the_whole_sequence(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    centred = x - x.mean(dim=(1, 2), keepdim=True)
    return gamma * centred / torch.sqrt(x.var(dim=(1, 2), keepdim=True, correction=0) + eps) + beta


@exercise.mistake(
    en="The deviations are divided by the variance, not by its root.",
    ja="偏差を、分散の平方根ではなく、分散そのもので割っています。",
    hint_en="Which variance does your result have before gamma and beta are applied?",
    hint_ja="gamma と beta を適用する前の段階で、結果の分散はいくつになっていますか。",
)
def without_the_root(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    return gamma * centred / (x.var(dim=-1, keepdim=True, correction=0) + eps) + beta


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_torch_builtin(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, gamma.shape, gamma, beta, eps)


@exercise.accepted
def with_var_and_rsqrt(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    variance, mean = torch.var_mean(x, dim=2, correction=0)
    return torch.addcmul(beta, (x - mean[..., None]) * torch.rsqrt(variance + eps)[..., None], gamma)


@exercise.accepted
def with_einsum(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    """The mean is a product with a vector of equal shares, and so is the mean of the squares."""
    share = torch.full_like(gamma, 1 / gamma.numel())
    x = x - torch.einsum("btd,d->bt", x, share).unsqueeze(2)
    scale = (torch.einsum("btd,btd,d->bt", x, x, share) + eps) ** -0.5
    return torch.einsum("btd,bt,d->btd", x, scale, gamma) + beta


@exercise.accepted
def token_by_token(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    rows = []
    for token in x.reshape(-1, x.shape[-1]):
        centred = token - token.sum() / len(token)
        length = (torch.dot(centred, centred) + eps * len(token)).sqrt()
        rows.append(centred / length * len(token) ** 0.5 * gamma + beta)
    return torch.stack(rows).reshape(x.shape)
