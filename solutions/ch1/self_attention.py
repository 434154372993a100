"""Self-attention with inner products as scores, before any scaling.

The inner product as a score is Luong, Pham and Manning (2015, section 3.1, "dot"); query, key and value as three
projections of one sequence are Vaswani et al. (2017, section 3.2).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def self_attention(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> tuple[Tensor, Tensor]:
    """Self-attention: every token of a sequence asks all tokens of the same sequence.

        query = x w_query,    key = x w_key,    value = x w_value
        weights = softmax(query keyᵀ),    output = weights value

    The similarity of a query and a key is their plain inner product. The scores are **not** divided by anything here:
    why and by what they are scaled is the subject of section 1.3.

    Args:
        x: (batch, time, d_model), one vector a token.
        w_query: (d_model, d_k), w_key: (d_model, d_k) and w_value: (d_model, d_v), the projections (`x @ w`, no bias).

    Returns:
        output (batch, time, d_v) and weights (batch, time, time). Row i of the weights says how token i, as a query,
        shares itself out among all tokens, as keys: it sums to 1.
    """
    ### BEGIN SOLUTION
    query, key, value = x @ w_query, x @ w_key, x @ w_value  # (batch, time, d_k) twice, (batch, time, d_v)
    scores = query @ key.transpose(-2, -1)  # (batch, time, time): rows are queries, columns are keys
    weights = torch.softmax(scores, dim=-1)
    output = weights @ value  # (batch, time, d_v)
    ### END SOLUTION
    return output, weights


exercise = Exercise(self_attention, points=3, objectives=["1.2"], title_en="Self-attention", title_ja="自己注意")


# -- cases -------------------------------------------------------------------------------------------------------------


def sequences(make: Make, batch: int, time: int, d_model: int, d_k: int, d_v: int) -> dict[str, Tensor]:
    """Inputs of unit variance, and weights with which queries and keys have about unit variance too."""
    scale = 1 / math.sqrt(d_model)
    return {
        "x": make.normal(batch, time, d_model),
        "w_query": make.normal(d_model, d_k, scale=scale),
        "w_key": make.normal(d_model, d_k, scale=scale),
        "w_value": make.normal(d_model, d_v, scale=scale),
    }


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, Tensor]:
    # Scores (0, 2) and (1, 0), weights (0.119, 0.881) and (0.731, 0.269), outputs (0.48, 7.05) and (2.92, 2.15).
    return {
        "x": torch.eye(2, dtype=torch.float64)[None],
        "w_query": torch.tensor([[0.0, 2.0], [1.0, 0.0]], dtype=torch.float64),
        "w_key": torch.eye(2, dtype=torch.float64),
        "w_value": torch.tensor([[4.0, 0.0], [0.0, 8.0]], dtype=torch.float64),
    }


@exercise.visible(en="a batch of sequences", ja="系列のバッチ")
def _(make: Make) -> dict[str, Tensor]:
    return sequences(make, batch=2, time=5, d_model=6, d_k=4, d_v=3)


@exercise.hidden(en="a batch of sequences of other sizes", ja="別の大きさの系列のバッチ", weight=2)
def _(make: Make) -> dict[str, Tensor]:
    return sequences(make, batch=3, time=4, d_model=7, d_k=5, d_v=6)


@exercise.hidden(
    en="queries and keys of width 1, and the gradients", ja="幅 1 のクエリとキー、およびその勾配", gradients=True
)
def _(make: Make) -> dict[str, Tensor]:
    # √1 = 1: whoever scales already, and does the rest well, keeps the marks of this case.
    return sequences(make, batch=2, time=3, d_model=5, d_k=1, d_v=4)


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The scores are already divided by √d_k.",
    ja="スコアをすでに √d_k で割っています。",
    hint_en="You are ahead of the text: that is scaled attention, and it comes in section 1.3. "
    "Here the formula has no division, so that you can see what goes wrong without it.",
    hint_ja="先回りしましたね。それは 1.3 節で学ぶスケーリング付きの注意です。"
    "ここでは、割らないと何が困るのかを後で確かめるために、割り算のない式のまま実装してください。",
)
def scaled_already(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> tuple[Tensor, Tensor]:
    query, key, value = x @ w_query, x @ w_key, x @ w_value
    weights = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(query.size(-1)), dim=2)
    return weights @ value, weights


@exercise.mistake(
    en="The softmax runs over the queries instead of over the keys.",
    ja="ソフトマックスをキーの方向ではなく、クエリの方向にとっています。",
    hint_en="Each query shares out a total weight of 1 among the keys. Do your rows sum to 1, or your columns?",
    hint_ja="各クエリは、合計 1 の重みをキーに配分します。和が 1 になっているのは行でしょうか、列でしょうか。",
)
def softmax_over_the_queries(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> tuple[Tensor, Tensor]:
    query, key, value = x @ w_query, x @ w_key, x @ w_value
    weights = torch.softmax(query @ key.transpose(1, 2), dim=1)
    return weights @ value, weights


@exercise.mistake(
    en="Query and key have changed places: the keys ask and the queries answer.",
    ja="クエリとキーの役割が入れ替わっています（キーが問いかけ、クエリが応えています）。",
    hint_en="In query keyᵀ, which of the two gives the rows of the result?",
    hint_ja="query keyᵀ という積では、結果の行はどちらに対応しますか。",
)
def query_and_key_swapped(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> tuple[Tensor, Tensor]:
    query, key, value = x @ w_query, x @ w_key, x @ w_value
    weights = torch.softmax(key @ query.transpose(1, 2), dim=2)
    return weights @ value, weights


@exercise.mistake(
    en="The values are computed with w_key.",
    ja="バリューの計算に w_key を使っています。",
    hint_en="Each role has a projection of its own. Compare the last dimension of your output with d_v.",
    hint_ja="三つの役割には、それぞれ専用の射影行列があります。出力の最後の次元を d_v と比べてみましょう。",
)
def w_key_for_the_values(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> tuple[Tensor, Tensor]:
    query, key = x @ w_query, x @ w_key
    weights = torch.softmax(query @ key.transpose(1, 2), dim=2)
    return weights @ key, weights


@exercise.mistake(
    en="The vectors x themselves are mixed: w_value is not used.",
    ja="x そのものを混ぜ合わせていて、w_value を使っていません。",
    hint_en="Three matrices are handed in. Which of them does your code use, and for what?",
    hint_ja="行列は三つ渡されています。それぞれを、コードのどこで使っていますか。",
)
def values_not_projected(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> tuple[Tensor, Tensor]:
    weights = torch.softmax(x @ w_query @ (x @ w_key).transpose(1, 2), dim=2)
    return weights @ x, weights


@exercise.mistake(
    en="The transpose moves the batch dimension as well, as .T does.",
    ja="転置でバッチの次元まで動かしています（.T はすべての次元を逆順にします）。",
    hint_en="Each sentence has a score matrix of its own. Which two dimensions of the keys must change places?",
    hint_ja="スコア行列は文ごとに一つです。入れ替えるべきなのは、キーのどの二つの次元でしょうか。",
)
def every_dimension_reversed(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> tuple[Tensor, Tensor]:
    query, key, value = x @ w_query, x @ w_key, x @ w_value
    weights = torch.softmax(query @ key.permute(2, 1, 0), dim=2)  # what key.T gives, without its warning
    return weights @ value, weights


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_einsum(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> tuple[Tensor, Tensor]:
    query, key, value = (torch.einsum("btm,md->btd", x, w) for w in (w_query, w_key, w_value))
    weights = torch.einsum("bid,bjd->bij", query, key).softmax(dim=-1)
    return torch.einsum("bij,bjd->bid", weights, value), weights


@exercise.accepted
def with_torch_builtin(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> tuple[Tensor, Tensor]:
    query, key = x @ w_query, x @ w_key
    identity = torch.eye(x.size(1), dtype=x.dtype, device=x.device).expand(x.size(0), -1, -1)
    output = F.scaled_dot_product_attention(query, key, x @ w_value, scale=1.0)
    return output, F.scaled_dot_product_attention(query, key, identity, scale=1.0)


@exercise.accepted
def one_query_at_a_time(x: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor) -> tuple[Tensor, Tensor]:
    rows = []
    for sentence in x:
        key = sentence @ w_key
        rows.append(torch.stack([torch.softmax(key @ (token @ w_query), dim=0) for token in sentence]))
    weights = torch.stack(rows)
    return torch.bmm(weights, x @ w_value), weights
