"""Least squares from the examples of a prompt (Garg et al., 2022, section 3): what a Transformer is held against."""

import numpy as np
import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def in_context_regression(xs: Tensor, ys: Tensor, query: Tensor) -> Tensor:
    """Predict the value of a query by least squares on the examples that its prompt shows.

    For each row of the batch, by itself: of all vectors w that make the sum over the examples of (w·x - y)² as small
    as possible, take the shortest one (the minimum-norm solution, which is unique), and predict w·query. There is no
    intercept. With fewer examples than features, many w fit equally well: that is what "the shortest" is for.

    Args:
        xs: (batch, n, d), the examples' inputs, float32 or float64; n at least 1.
        ys: (batch, n), their values.
        query: (batch, d), the input whose value is asked for.

    Returns:
        (batch,), the predictions.
    """
    ### BEGIN SOLUTION
    weights = torch.linalg.pinv(xs) @ ys[..., None]  # (batch, d, 1)
    return (query[..., None] * weights).sum(dim=(-2, -1))
    ### END SOLUTION


exercise = Exercise(
    in_context_regression,
    points=3,
    objectives=["5.4"],
    title_en="Least squares from a prompt",
    title_ja="プロンプトの例による最小二乗法",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def prompts(make: Make, batch: int, n: int, d: int, noise: float) -> dict[str, Tensor]:
    """A hidden weight vector for each row."""
    xs = make.normal(batch, n, d)
    ys = (xs * make.normal(batch, 1, d)).sum(dim=-1) + make.normal(batch, n, scale=noise)
    return {"xs": xs, "ys": ys, "query": make.normal(batch, d)}


@exercise.visible(en="two examples, by hand", ja="手で計算できる、2 例の場合")
def _(make: Make) -> dict[str, Tensor]:
    xs, ys, query = torch.tensor([[[1, 0], [1, 1]]]), torch.tensor([[2, 5]]), torch.tensor([[2, 1]])
    return {"xs": xs.double(), "ys": ys.double(), "query": query.double()}


@exercise.visible(en="one example of two features, by hand", ja="手で計算できる、2 特徴・1 例の場合")
def _(make: Make) -> dict[str, Tensor]:
    xs, ys, query = torch.tensor([[[1, 1]]]), torch.tensor([[4]]), torch.tensor([[1, 3]])
    return {"xs": xs.double(), "ys": ys.double(), "query": query.double()}


@exercise.visible(en="more examples than features, with noise", ja="特徴より例が多い場合（ノイズあり）")
def _(make: Make) -> dict[str, Tensor]:
    return prompts(make, batch=4, n=7, d=3, noise=0.5)


@exercise.hidden(en="many examples with noise", ja="ノイズのある多数の例", weight=1.5)
def _(make: Make) -> dict[str, Tensor]:
    return prompts(make, batch=4, n=11, d=3, noise=0.7)


@exercise.hidden(en="fewer examples than there are features", ja="例の数が特徴の数より少ない場合", weight=1.5)
def _(make: Make) -> dict[str, Tensor]:
    return prompts(make, batch=2, n=3, d=7, noise=0.3)


@exercise.hidden(en="one example", ja="例が一つの場合", weight=0.5)
def _(make: Make) -> dict[str, Tensor]:
    return prompts(make, batch=3, n=1, d=4, noise=0.0)


# Not asked: a feature that is 0 in all examples. torch.linalg.lstsq, a right answer, misjudges the rank there (its
# usual driver on the CPU, gelsy, is handed pivots that nobody has set; seen with PyTorch 2.13).

# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="An intercept is fitted, too.",
    ja="切片まで当てはめています。",
    hint_en="What does your function predict for a query of zeros, and what is w·0?",
    hint_ja="成分がすべて 0 の query に対して、あなたの関数は何を予測しますか。w·0 はいくつでしょうか。",
)
def with_intercept(xs: Tensor, ys: Tensor, query: Tensor) -> Tensor:
    x_mean, y_mean = xs.mean(dim=1), ys.mean(dim=1)
    weights = torch.linalg.pinv(xs - x_mean[:, None]) @ (ys - y_mean[:, None])[..., None]
    return ((query - x_mean) * weights[..., 0]).sum(dim=-1) + y_mean


@exercise.mistake(
    en="A ridge term is left in: the weights are pulled towards zero, although nothing asks for it.",
    ja="リッジの項が入っています。求められていないのに、重みが 0 のほうへ引き寄せられています。",
    hint_en="Did you add something to the diagonal so that a matrix can be inverted? On exact examples the fit should "
    "be exact.",
    hint_ja="行列を逆にするために、対角成分に何か足しませんでしたか。ノイズのない例には、ぴったり当てはまるはずです。",
)
def with_ridge(xs: Tensor, ys: Tensor, query: Tensor) -> Tensor:
    square = xs.mT @ xs + 1e-3 * torch.eye(xs.size(-1), dtype=xs.dtype, device=xs.device)
    return (torch.linalg.solve(square, xs.mT @ ys[..., None])[..., 0] * query).sum(dim=-1)


@exercise.mistake(
    en="The prediction weighs the examples' values by their inner products with the query. That is one step of "
    "gradient descent, not the solution.",
    ja="例の値を、query との内積で重み付けして予測しています。"
    "これは勾配降下法の 1 ステップであって、解ではありません。",
    hint_en="Two examples with the same x count twice here. Should that change a fit that is exact already?",
    hint_ja="この計算では、同じ x の例が二つあると二重に数えられます。すでにぴったり合っている当てはめが、"
    "それで変わってよいでしょうか。",
)
def one_gradient_step(xs: Tensor, ys: Tensor, query: Tensor) -> Tensor:
    return (torch.einsum("bnd,bd->bn", xs, query) * ys).mean(dim=-1)


@exercise.mistake(
    en="One weight vector is fitted for the whole batch.",
    ja="バッチ全体に一つの重みベクトルを当てはめています。",
    hint_en="Each row is a prompt of its own, with its own hidden weights. Do your examples keep apart?",
    hint_ja="一行一行が別々のプロンプトで、隠れた重みも別々です。例が混ざっていませんか。",
)
def one_for_the_batch(xs: Tensor, ys: Tensor, query: Tensor) -> Tensor:
    return query @ (torch.linalg.pinv(xs.flatten(0, 1)) @ ys.flatten())


@exercise.mistake(
    en="The equations are solved by an inverse of XᵀX, which does not exist where there are fewer examples than "
    "features.",
    ja="XᵀX の逆行列を使って解いています。例の数が特徴の数より少ないと、逆行列は存在しません。",
    hint_en="What is the rank of XᵀX, (d, d), if X has only two rows? torch.linalg has functions that need no inverse.",
    hint_ja="X が 2 行しかないとき、（d, d）の行列 XᵀX のランクはいくつですか。"
    "torch.linalg には、逆行列を必要としない関数があります。",
)
def normal_equations(xs: Tensor, ys: Tensor, query: Tensor) -> Tensor:
    if xs.size(1) < xs.size(2):  # what an inverse gives there is rounding, and differs from machine to machine
        raise torch.linalg.LinAlgError("linalg.inv: The diagonal element is zero, the inversion could not be completed")
    return ((torch.linalg.inv(xs.mT @ xs) @ xs.mT @ ys[..., None])[..., 0] * query).sum(dim=-1)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_lstsq(xs: Tensor, ys: Tensor, query: Tensor) -> Tensor:
    """The solver for least squares. It gives the minimum-norm solution where there are fewer examples than features."""
    solution = torch.linalg.lstsq(xs, ys.unsqueeze(-1)).solution.squeeze(-1)
    return torch.einsum("bd,bd->b", query, solution)


@exercise.accepted
def row_by_row_with_numpy(xs: Tensor, ys: Tensor, query: Tensor) -> Tensor:
    """NumPy's solver, which takes one problem at a time."""
    rows = []
    for x, y, asked in zip(xs, ys, query, strict=True):
        solution, *_ = np.linalg.lstsq(x.detach().cpu().numpy(), y.detach().cpu().numpy(), rcond=None)
        rows.append(float(asked.detach().cpu().numpy() @ solution))
    return torch.tensor(rows, dtype=query.dtype, device=query.device)


@exercise.accepted
def with_singular_values(xs: Tensor, ys: Tensor, query: Tensor) -> Tensor:
    """The pseudo-inverse by hand."""
    u, s, vh = torch.linalg.svd(xs, full_matrices=False)
    large = s > 1e-10 * s.amax(dim=-1, keepdim=True)
    scale = torch.where(large, 1 / torch.where(large, s, 1.0), 0.0)
    along = (u.mT @ ys[..., None]).squeeze(-1) * scale
    return ((vh @ query[..., None]).squeeze(-1) * along).sum(dim=-1)
