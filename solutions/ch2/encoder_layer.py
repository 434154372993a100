"""One layer of the encoder (Vaswani et al., 2017, section 3.1 and figure 1, on the left).

h = LayerNorm(x + Attention(x, x, x)),  y = LayerNorm(h + W_2 ReLU(W_1 h))
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.course.seq2seq import as_attn_mask
from autograder.exercise import Exercise
from autograder.make import Make, Trial


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward network; each is wrapped in a residual connection and a norm.

    Args:
        d_model: width of the tokens.
        num_heads: heads of the attention; must divide d_model.
        d_ff: width of the feed-forward network between its two linear layers.
        dropout: the share of a sublayer's output that is dropped in training.
    """

    def __init__(self, d_model: int, num_heads: int, d_ff: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.self_attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True)
        self.norm1 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        """Let every token look at the others, then think about what it has seen.

        Post-norm, as in the paper: what a sublayer gives goes through self.dropout, is added to the sublayer's input,
        and the sum is normalised. norm1 belongs to the attention, norm2 to the feed-forward network, whose activation
        is ReLU. Dropout between linear1 and linear2, as some implementations have it, is not asked for.

        Args:
            x: (batch, time, d_model).
            keep_mask: bool, True = keep, broadcasts to (batch, num_heads, time, time); None keeps everything.
                nn.MultiheadAttention means the opposite: hand it as_attn_mask(keep_mask, self.num_heads, x, x).

        Returns:
            (batch, time, d_model).
        """
        ### BEGIN SOLUTION
        attn_mask = as_attn_mask(keep_mask, self.num_heads, x, x)
        attended, _ = self.self_attention(x, x, x, attn_mask=attn_mask)
        x = self.norm1(x + self.dropout(attended))
        transformed = self.linear2(torch.relu(self.linear1(x)))
        return self.norm2(x + self.dropout(transformed))
        ### END SOLUTION


exercise = Exercise(
    EncoderLayer,
    points=4,
    objectives=["2.1"],
    title_en="A layer of the encoder",
    title_ja="エンコーダの層",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def _plain(trial: Trial) -> Trial:
    """The same trial with weights that change nothing, so that it can be worked out by hand."""
    drawn: Mapping[str, Tensor] = trial.fields["state"]
    state = {}
    for name, value in drawn.items():
        if value.ndim == 2:  # identity matrices; three of them in the projection of query, key and value
            state[name] = torch.eye(value.size(1), dtype=value.dtype).repeat(value.size(0) // value.size(1), 1)
        else:
            state[name] = torch.ones_like(value) if name.startswith("norm") and "weight" in name else value * 0
    return replace(trial, fields={**trial.fields, "state": state})


@exercise.visible(
    en="the example worked by hand in the text: one token, weights that change nothing",
    ja="本文で手計算した例：トークンが一つ、何も変えない重み",
)
def _(make: Make) -> Trial:
    # Twice (0, 1, 1, 2), normalised: (-1.414, 0, 0, 1.414); with its positive part, normalised again:
    # (-1.147, -0.229, -0.229, 1.606).
    init = {"d_model": 4, "num_heads": 1, "d_ff": 4}
    return _plain(make.module(EncoderLayer, init, x=torch.tensor([[[0.0, 1.0, 1.0, 2.0]]]).double()))


@exercise.visible(en="a batch with a padding mask", ja="パディングマスクのあるバッチ")
def _(make: Make) -> Trial:
    init = {"d_model": 6, "num_heads": 2, "d_ff": 10}
    mask = torch.arange(5) < torch.tensor([5, 3])[:, None]
    return make.module(EncoderLayer, init, x=make.normal(2, 5, 6), keep_mask=mask[:, None, None])


# A dropout of everything is the only one that draws nothing: all sublayers give zero.
@exercise.visible(en="in training, with a dropout of 1", ja="学習モードで、ドロップアウト率が 1 の場合")
def _(make: Make) -> Trial:
    init = {"d_model": 6, "num_heads": 2, "d_ff": 10, "dropout": 1.0}
    return make.module(EncoderLayer, init, train=True, x=make.normal(2, 3, 6))


@exercise.hidden(en="without a mask", ja="マスクなし")
def _(make: Make) -> Trial:
    return make.module(EncoderLayer, {"d_model": 8, "num_heads": 2, "d_ff": 11}, x=make.normal(3, 5, 8))


@exercise.hidden(en="a mask for every head", ja="ヘッドごとに異なるマスク")
def _(make: Make) -> Trial:
    init = {"d_model": 9, "num_heads": 3, "d_ff": 7}
    return make.module(EncoderLayer, init, x=make.normal(2, 4, 9), keep_mask=make.keep_mask(2, 3, 4, 4))


@exercise.hidden(en="gradients under a causal mask", ja="因果マスクがあるときの勾配", gradients=True)
def _(make: Make) -> Trial:
    init = {"d_model": 10, "num_heads": 2, "d_ff": 13}
    causal = torch.ones(6, 6, dtype=torch.bool).tril()
    return make.module(EncoderLayer, init, x=make.normal(3, 6, 10), keep_mask=causal)


@exercise.hidden(en="another dropout of 1", ja="ドロップアウト率が 1 の、別の例", weight=0.5)
def _(make: Make) -> Trial:
    init = {"d_model": 8, "num_heads": 4, "d_ff": 9, "dropout": 1.0}
    return make.module(EncoderLayer, init, train=True, x=make.normal(3, 4, 8))


# -- wrong answers -----------------------------------------------------------------------------------------------------


class _Parts(EncoderLayer):
    """The right pieces, for the wrong answers to replace one of."""

    def attend(self, x: Tensor, keep_mask: Tensor | None) -> Tensor:
        return self.self_attention(x, x, x, attn_mask=as_attn_mask(keep_mask, self.num_heads, x, x))[0]

    def think(self, x: Tensor) -> Tensor:
        return self.linear2(F.relu(self.linear1(x)))

    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        x = self.norm1(x + self.dropout(self.attend(x, keep_mask)))
        return self.norm2(x + self.dropout(self.think(x)))


@exercise.mistake(
    en="The norms stand before the sublayers (pre-norm), as in GPT-2, not after the sums.",
    ja="正規化が和の後ではなく、サブレイヤーの前にあります（GPT-2 などで使われるプレノルムです）。",
    hint_en="What stands inside the brackets of LayerNorm in the formula of this section?",
    hint_ja="この節の式で、LayerNorm の括弧の中には何がありますか。",
)
class PreNorm(_Parts):
    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        x = x + self.dropout(self.attend(self.norm1(x), keep_mask))
        return x + self.dropout(self.think(self.norm2(x)))


@exercise.mistake(
    en="A residual connection is missing: what a sublayer gives is normalised alone.",
    ja="残差接続がありません。サブレイヤーの出力だけを正規化しています。",
    hint_en="How does a token's own vector reach the end of the layer if the attention gives nothing?",
    hint_ja="注意の出力が 0 だったら、トークン自身のベクトルはどうやって層の出口に届くのでしょうか。",
)
class NoResidual(_Parts):
    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        x = self.norm1(self.dropout(self.attend(x, keep_mask)))
        return self.norm2(self.dropout(self.think(x)))


@exercise.mistake(
    en="The second residual connection starts from the layer's input, not from what norm1 gave.",
    ja="二つ目の残差接続が、norm1 の出力ではなく層の入力から始まっています。",
    hint_en="The second sublayer is wrapped just like the first. What is its input?",
    hint_ja="二つ目のサブレイヤーも、一つ目と同じように包まれています。その入力は何でしょうか。",
)
class ResidualFromTheStart(_Parts):
    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        seen = self.norm1(x + self.dropout(self.attend(x, keep_mask)))
        return self.norm2(x + self.dropout(self.think(seen)))


@exercise.mistake(
    en="There is no ReLU between the two linear layers.",
    ja="二つの線形層の間に ReLU がありません。",
    hint_en="Two linear maps in a row are one linear map. What stands between them in the formula?",
    hint_ja="線形変換を二つ続けても、一つの線形変換にしかなりません。式では、二つの間に何がありますか。",
)
class NoReLU(_Parts):
    def think(self, x: Tensor) -> Tensor:
        return self.linear2(self.linear1(x))


@exercise.mistake(
    en="keep_mask is given to nn.MultiheadAttention as it is, where True forbids.",
    ja="keep_mask をそのまま nn.MultiheadAttention に渡しています。そこでは True が「見てはいけない」です。",
    hint_en="Without a mask everything is right. Which helper of section 2.5 turns a mask round and shapes it?",
    hint_ja="マスクがなければすべて合っています。マスクの意味を反転し、形状を合わせる補助関数が 2.5 節にありました。",
)
class MaskAsItIs(_Parts):
    def attend(self, x: Tensor, keep_mask: Tensor | None) -> Tensor:
        return self.self_attention(x, x, x, attn_mask=keep_mask)[0]


@exercise.mistake(
    en="keep_mask is not used.",
    ja="keep_mask を使っていません。",
    hint_en="Without a mask everything is right. Who has to be told about keep_mask?",
    hint_ja="マスクがなければすべて合っています。keep_mask は、誰に伝えなければならないでしょうか。",
)
class NoMask(_Parts):
    def attend(self, x: Tensor, keep_mask: Tensor | None) -> Tensor:
        return self.self_attention(x, x, x)[0]


@exercise.mistake(
    en="self.dropout is not used.",
    ja="self.dropout を使っていません。",
    hint_en="In evaluation nothing shows. What happens in training to a sublayer's output before it is added?",
    hint_ja="評価モードでは違いが表れません。学習のとき、サブレイヤーの出力は、足される前にどこを通りますか。",
)
class NoDropout(_Parts):
    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        x = self.norm1(x + self.attend(x, keep_mask))
        return self.norm2(x + self.think(x))


@exercise.mistake(
    en="Dropout is applied to the sum, so that the residual connection loses entries as well.",
    ja="和に対してドロップアウトをかけているため、残差接続の値まで失われます。",
    hint_en="Which of the two summands should always get through unharmed?",
    hint_ja="足し合わせる二つのうち、いつでもそのまま通るべきなのはどちらでしょうか。",
)
class DropoutOnTheSum(_Parts):
    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        x = self.norm1(self.dropout(x + self.attend(x, keep_mask)))
        return self.norm2(self.dropout(x + self.think(x)))


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
class WithFusedAttention(EncoderLayer):
    """The heads written out around F.scaled_dot_product_attention, which reads True as keep."""

    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        attention = self.self_attention
        projected = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
        q, k, v = projected.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=keep_mask)
        x = self.norm1(x + self.dropout(attention.out_proj(heads.transpose(1, 2).flatten(2))))
        return self.norm2(self.dropout(self.linear2(self.linear1(x).clamp(min=0))) + x)


@exercise.accepted
class OneSequenceAtATime(_Parts):
    """A loop over the batch, with a mask to be added to the scores."""

    def attend(self, x: Tensor, keep_mask: Tensor | None) -> Tensor:
        scores = x.new_zeros(x.size(0), self.num_heads, x.size(1), x.size(1))
        if keep_mask is not None:
            scores = scores.masked_fill(keep_mask.logical_not(), float("-inf"))
        return torch.stack(
            [
                self.self_attention(row, row, row, need_weights=False, attn_mask=mask)[0]
                for row, mask in zip(x, scores, strict=True)
            ]
        )


@exercise.accepted
class WithSequential(EncoderLayer):
    """The feed-forward network as one module, and a dropout between its layers besides."""

    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        residual = x
        if keep_mask is None:
            x, _ = self.self_attention(query=x, key=x, value=x)
        else:
            batch, time, _ = x.shape
            forbidden = ~keep_mask.broadcast_to(batch, self.num_heads, time, time)
            x, _ = self.self_attention(x, x, x, attn_mask=forbidden.reshape(-1, time, time))
        residual = self.norm1(residual + self.dropout(x))
        network = nn.Sequential(self.linear1, nn.ReLU(), self.dropout, self.linear2, self.dropout)
        return self.norm2(residual + network(residual))
