"""Multi-head attention (Vaswani et al., 2017, section 3.2.2).

MultiHead(Q, K, V) = Concat(head_1, ..., head_h) W^O  with  head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.course.standins import attention as scaled_dot_product_attention
from autograder.exercise import Exercise
from autograder.judge import Tolerance, compare
from autograder.make import Make, Trial
from autograder.text import Text


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each on its own block of features.

    Args:
        d_model: width of the inputs and of the output.
        num_heads: how many heads share it; must divide d_model.
    """

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"d_model ({d_model}) is not divisible by num_heads ({num_heads})")
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attend with every head, put the heads side by side (head 0 first) and mix them with out_proj.

        q_proj, k_proj and v_proj each hold the matrices of all heads: head h owns the features of a projection from
        h * head_dim up to, but without, (h + 1) * head_dim. Call your scaled_dot_product_attention for the attention
        itself, and your split_heads and merge_heads if you like: an error made there costs nothing here.

        Args:
            query: (batch, queries, d_model).
            key, value: (batch, keys, d_model).
            keep_mask: bool, True = keep, broadcasts to (batch, heads, queries, keys); None keeps everything.

        Returns:
            output: (batch, queries, d_model).
            weights: (batch, heads, queries, keys), those of every head, not averaged.
        """
        ### BEGIN SOLUTION
        projected = (self.q_proj(query), self.k_proj(key), self.v_proj(value))
        q, k, v = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in projected)
        heads, weights = scaled_dot_product_attention(q, k, v, keep_mask)
        return self.out_proj(heads.transpose(1, 2).flatten(2)), weights
        ### END SOLUTION


exercise = Exercise(
    MultiHeadAttention,
    points=5,
    objectives=["1.4"],
    title_en="Multi-head attention",
    title_ja="マルチヘッド注意",
    stand_ins={
        "scaled_dot_product_attention": "autograder.course.standins:attention",
        "split_heads": "autograder.course.standins:split",
        "merge_heads": "autograder.course.standins:merge",
    },
)


def _with_identity_projections(trial: Trial, d_model: int) -> Trial:
    """The same trial with weights that change nothing, so that the heads can be worked out by hand."""
    drawn: Mapping[str, Tensor] = trial.fields["state"]
    state = {
        name: torch.eye(d_model, dtype=torch.float64) if name.endswith("weight") else torch.zeros_like(value)
        for name, value in drawn.items()
    }
    return replace(trial, fields={**trial.fields, "state": state})


@exercise.visible(
    en="two heads by hand: one query, three keys, projections that change nothing",
    ja="手で計算できる 2 ヘッド：クエリ 1 個、キー 3 個、何も変えない射影",
)
def _(make: Make) -> Trial:
    init = {"d_model": 4, "num_heads": 2}
    query = torch.tensor([[[2.0, 0.0, 0.0, 1.0]]]).double()
    key = torch.tensor([[[1.0, 1.0, 0.0, 2.0], [0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 2.0, 1.0]]]).double()
    value = torch.tensor([[[10.0, 0.0, 1.0, 0.0], [0.0, 10.0, 0.0, 1.0], [5.0, 5.0, 2.0, 2.0]]]).double()
    return _with_identity_projections(make.module(MultiHeadAttention, init, query=query, key=key, value=value), 4)


@exercise.visible(en="a batch of sequences", ja="系列のバッチ")
def _(make: Make) -> Trial:
    init = {"d_model": 12, "num_heads": 3}
    query, key, value = make.normal(2, 5, 12), make.normal(2, 7, 12), make.normal(2, 7, 12)
    return make.module(MultiHeadAttention, init, query=query, key=key, value=value)


@exercise.visible(en="a padding mask", ja="パディングマスク")
def _(make: Make) -> Trial:
    init = {"d_model": 12, "num_heads": 3}
    query, key, value = make.normal(2, 5, 12), make.normal(2, 7, 12), make.normal(2, 7, 12)
    mask = make.keep_mask(2, 1, 1, 7)
    return make.module(MultiHeadAttention, init, query=query, key=key, value=value, keep_mask=mask)


def _judges(part: int, says: Text) -> Callable[[Mapping[str, Any], Any, Any], Text | None]:
    """A judge of one of the two results only, so that a slip in one leaves the marks for the other."""

    def judge(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
        found = actual[part] if isinstance(actual, list | tuple) and len(actual) == len(expected) else None
        # a judge is not told where the answer ran: it allows what a GPU is allowed
        return says if compare(expected[part], found, Tolerance(device="cuda")) else None

    return judge


_OUTPUT = Text("the output, the first of the two results, is wrong.", "一つ目の返り値 output が違います。")
_WEIGHTS = Text("the weights, the second of the two results, are wrong.", "二つ目の返り値 weights が違います。")


@exercise.hidden(en="the output under a mask", ja="マスクがあるときの出力", weight=1.5, judge=_judges(0, _OUTPUT))
def _(make: Make) -> Trial:
    init = {"d_model": 20, "num_heads": 4}
    query, key, value = make.normal(3, 6, 20), make.normal(3, 7, 20), make.normal(3, 7, 20)
    mask = make.keep_mask(3, 1, 6, 7)
    return make.module(MultiHeadAttention, init, query=query, key=key, value=value, keep_mask=mask)


@exercise.hidden(en="the weights under a mask", ja="マスクがあるときの重み", judge=_judges(1, _WEIGHTS))
def _(make: Make) -> Trial:
    init = {"d_model": 14, "num_heads": 2}
    query, key, value = make.normal(3, 4, 14), make.normal(3, 5, 14), make.normal(3, 5, 14)
    mask = make.keep_mask(3, 2, 4, 5)
    return make.module(MultiHeadAttention, init, query=query, key=key, value=value, keep_mask=mask)


@exercise.hidden(
    en="one head, and gradients that flow back to the inputs and the projections",
    ja="ヘッドが 1 個の場合、および入力と射影までの勾配",
    weight=1.5,
    gradients=True,
)
def _(make: Make) -> Trial:
    init = {"d_model": 5, "num_heads": 1}
    query, key, value = make.normal(3, 4, 5), make.normal(3, 6, 5), make.normal(3, 6, 5)
    return make.module(MultiHeadAttention, init, query=query, key=key, value=value)


# -- wrong answers -------------------------------------------------------------------------------------------------


class _Parts(MultiHeadAttention):
    """The right pieces, for the wrong answers to replace one of."""

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.split(self.q_proj(query)), self.split(self.k_proj(key)), self.split(self.v_proj(value))

    def merge(self, heads: Tensor) -> Tensor:
        return heads.transpose(1, 2).flatten(2)


@exercise.mistake(
    en="The heads are cut out with one reshape, without a transpose: the shapes are right, but a head mixes tokens.",
    ja="転置せずに reshape だけでヘッドに分けています。形状は合っていますが、ヘッドの中でトークンが混ざっています。",
    hint_en="Print x for a small x whose entries you can tell apart: does head 0 hold the first features of every "
    "token? See section 1.4.",
    hint_ja="要素を見分けられる小さな x で試してみましょう。ヘッド 0 には、すべてのトークンの先頭の特徴が"
    "入っていますか。1.4 節を見直してください。",
)
class HeadsNotTransposed(_Parts):
    def split(self, x: Tensor) -> Tensor:
        return x.reshape(x.size(0), self.num_heads, x.size(1), -1)

    def merge(self, heads: Tensor) -> Tensor:
        return heads.reshape(heads.size(0), heads.size(2), -1)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        heads, weights = scaled_dot_product_attention(*self.project(query, key, value), keep_mask)
        return self.out_proj(self.merge(heads)), weights


@exercise.mistake(
    en="The heads are split rightly, but merged without moving the time axis back: a token's output mixes tokens.",
    ja="分割は正しいのですが、時間の軸を元の位置に戻さずに結合しています。そのため、一つのトークンの出力に"
    "ほかのトークンの値が混ざっています。",
    hint_en="The weights are right, the output is not. Which axis has to stand beside head_dim before the two are "
    "joined?",
    hint_ja="重みは合っていますが、出力が違います。head_dim とまとめる前に、その隣へ移すべき軸はどれでしょうか。",
)
class MergedWithoutTranspose(_Parts):
    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        heads, weights = scaled_dot_product_attention(*self.project(query, key, value), keep_mask)
        return self.out_proj(heads.reshape(heads.size(0), heads.size(2), -1)), weights


@exercise.mistake(
    en="The scores are divided by √d_model, not by the square root of one head's width.",
    ja="スコアを、一つのヘッドの次元の平方根ではなく √d_model で割っています。",
    hint_en="How many products are added up in one score of one head?",
    hint_ja="一つのヘッドの一つのスコアでは、いくつの積を足し合わせているでしょうか。",
)
class ScaledByModelWidth(_Parts):
    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        q, k, v = self.project(query, key, value)
        scores = q @ k.transpose(-2, -1) / math.sqrt(query.size(-1))
        if keep_mask is not None:
            scores = scores.masked_fill(~keep_mask, -math.inf)
        weights = scores.softmax(dim=-1)
        return self.out_proj(self.merge(weights @ v)), weights


@exercise.mistake(
    en="The merged heads are returned as they are: out_proj is not used.",
    ja="結合したヘッドをそのまま返していて、out_proj を使っていません。",
    hint_en="Until the last step no head has heard of another. What does W_o do in the formula?",
    hint_ja="最後の一歩までは、ヘッドどうしは互いの結果を知りません。式の W_o は何をしているでしょうか。",
)
class WithoutOutputProjection(_Parts):
    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        heads, weights = scaled_dot_product_attention(*self.project(query, key, value), keep_mask)
        return self.merge(heads), weights


@exercise.mistake(
    en="v_proj is given the key, not the value.",
    ja="v_proj に value ではなく key を渡しています。",
    hint_en="In self-attention the two are the same tensor, so nothing shows there. Which of them is mixed in "
    "proportion to the weights?",
    hint_ja="自己注意では両者は同じテンソルなので、違いが表れません。重みに応じて混ぜ合わされるのはどちらでしょうか。",
)
class ValueFromKey(_Parts):
    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        heads, weights = scaled_dot_product_attention(*self.project(query, key, key), keep_mask)
        return self.out_proj(self.merge(heads)), weights


@exercise.mistake(
    en="keep_mask is not handed on to the attention.",
    ja="keep_mask を注意の計算に渡していません。",
    hint_en="Without a mask everything is right. Who in forward makes use of keep_mask?",
    hint_ja="マスクがなければすべて合っています。forward の中で keep_mask を使っているのはどこでしょうか。",
)
class MaskNotHandedOn(_Parts):
    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        heads, weights = scaled_dot_product_attention(*self.project(query, key, value))
        return self.out_proj(self.merge(heads)), weights


@exercise.mistake(
    en="The output heeds keep_mask, but the weights that are returned do not.",
    ja="出力には keep_mask が反映されていますが、返している重みには反映されていません。",
    hint_en="A fused attention gives no weights, so they are worked out beside it. What has to be done to the scores "
    "before that softmax, too?",
    hint_ja="F.scaled_dot_product_attention は重みを返さないので、重みは別に計算することになります。"
    "そのソフトマックスの前にも、スコアに対して必要な処理は何でしょうか。",
)
class WeightsWithoutMask(_Parts):
    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        q, k, v = self.project(query, key, value)
        heads, _ = scaled_dot_product_attention(q, k, v, keep_mask)
        _, weights = scaled_dot_product_attention(q, k, v)
        return self.out_proj(self.merge(heads)), weights


@exercise.mistake(
    en="The weights are averaged over the heads.",
    ja="重みをヘッドについて平均しています。",
    hint_en="The output is right. Which shape does the docstring promise for the weights? nn.MultiheadAttention "
    "averages too, unless it is told not to.",
    hint_ja="出力は合っています。docstring では重みの形状はどうなっていますか。"
    "nn.MultiheadAttention も、指定しなければ平均した重みを返します。",
)
class WeightsAveraged(_Parts):
    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        heads, weights = scaled_dot_product_attention(*self.project(query, key, value), keep_mask)
        return self.out_proj(self.merge(heads)), weights.mean(dim=1)


# -- right answers written another way -------------------------------------------------------------------------------


@exercise.accepted
class WithEinsum(MultiHeadAttention):
    """Everything written out, the heads only as an index."""

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        q, k, v = (
            projection(x).view(*x.shape[:2], self.num_heads, -1)
            for projection, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.size(-1) ** 0.5
        if keep_mask is not None:
            scores = scores.masked_fill(keep_mask.logical_not(), float("-inf"))
        weights = F.softmax(scores, dim=-1)
        return self.out_proj(torch.einsum("bhqk,bkhd->bqhd", weights, v).flatten(2)), weights


@exercise.accepted
class HeadAfterHead(MultiHeadAttention):
    """A loop over the heads, as the paper's formula reads."""

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        blocks = zip(
            *(
                projection(x).chunk(self.num_heads, dim=-1)
                for projection, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
            ),
            strict=True,
        )
        if keep_mask is not None:
            keep_mask = keep_mask.expand(query.size(0), self.num_heads, query.size(1), key.size(1))
        found = [
            scaled_dot_product_attention(q, k, v, None if keep_mask is None else keep_mask[:, head])
            for head, (q, k, v) in enumerate(blocks)
        ]
        output = self.out_proj(torch.cat([head for head, _ in found], dim=-1))
        return output, torch.stack([weights for _, weights in found], dim=1)


@exercise.accepted
class WithFusedAttention(_Parts):
    """The library's fused attention for the output; the weights beside it."""

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        q, k, v = self.project(query, key, value)
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=keep_mask)
        scores = torch.matmul(q, k.mT) * q.size(-1) ** -0.5
        if keep_mask is not None:
            scores = torch.where(keep_mask, scores, -math.inf)
        return self.out_proj(self.merge(heads)), torch.softmax(scores, dim=-1)


@exercise.accepted
class WithLibraryFunction(MultiHeadAttention):
    """PyTorch's own multi-head attention on these weights; its mask means the opposite."""

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        batch, queries, d_model = query.shape
        projections = (self.q_proj, self.k_proj, self.v_proj)
        forbidden = None
        if keep_mask is not None:
            forbidden = ~keep_mask.expand(batch, self.num_heads, queries, key.size(1)).flatten(0, 1)
        output, weights = F.multi_head_attention_forward(
            query.transpose(0, 1),
            key.transpose(0, 1),
            value.transpose(0, 1),
            d_model,
            self.num_heads,
            torch.cat([projection.weight for projection in projections]),
            torch.cat([projection.bias for projection in projections]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.out_proj.weight,
            out_proj_bias=self.out_proj.bias,
            training=self.training,
            attn_mask=forbidden,
            average_attn_weights=False,
        )
        assert weights is not None
        return output.transpose(0, 1), weights
