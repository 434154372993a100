"""Causal multi-head self-attention with one projection for q, k and v, as in GPT-2 (Radford et al., 2019)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


class FusedCausalSelfAttention(nn.Module):
    """Multi-head self-attention in which no token sees a later one, with a single projection for q, k and v.

    Parameters: `qkv`, d_model -> 3 * d_model, whose outputs are the queries, then the keys, then the values, each
    d_model wide; `out_proj`, d_model -> d_model. Within each, head 0 has the first head_dim columns, head 1 the next,
    and so on, where head_dim = d_model / num_heads.
    """

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, time, d_model) -> (batch, time, d_model). Position t sees positions 0 to t, itself included.

        The scores are scaled by the square root of head_dim. Computing the attention yourself and calling
        `F.scaled_dot_product_attention` are both welcome. Only the output is returned.
        """
        batch, time, d_model = x.shape
        ### BEGIN SOLUTION
        qkv = self.qkv(x).view(batch, time, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, time, head_dim)
        scores = query @ key.transpose(-2, -1) / math.sqrt(key.size(-1))
        future = torch.ones_like(scores, dtype=torch.bool).triu(diagonal=1)
        weights = scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        merged = (weights @ value).transpose(1, 2).reshape(batch, time, d_model)
        return self.out_proj(merged)
        ### END SOLUTION


exercise = Exercise(
    FusedCausalSelfAttention,
    points=4,
    objectives=["1.4"],
    title_en="Fused causal self-attention",
    title_ja="射影をまとめた因果的自己注意",
    equivalent={
        "scores = query @ key.transpose(2, -1) / math.sqrt(key.size(-1))": "dimension 2 of four is dimension -2",
    },
)


@exercise.visible(
    en="a single token: its output is out_proj of its value", ja="トークンが一つ：出力はバリューの out_proj"
)
def _(make: Make) -> Trial:
    return make.module(FusedCausalSelfAttention, {"d_model": 6, "num_heads": 2}, x=make.normal(1, 1, 6))


@exercise.visible(en="one head", ja="ヘッドが一つ")
def _(make: Make) -> Trial:
    return make.module(FusedCausalSelfAttention, {"d_model": 6, "num_heads": 1}, x=make.normal(2, 4, 6, scale=2.0))


@exercise.visible(en="three heads", ja="ヘッドが三つ")
def _(make: Make) -> Trial:
    return make.module(FusedCausalSelfAttention, {"d_model": 12, "num_heads": 3}, x=make.normal(2, 5, 12, scale=2.0))


# Partial credit: an answer that errs only in its heads earns this one, and a detached one loses only the gradients.
@exercise.hidden(en="one head, another size", ja="ヘッドが一つ、別の大きさ")
def _(make: Make) -> Trial:
    return make.module(FusedCausalSelfAttention, {"d_model": 8, "num_heads": 1}, x=make.normal(3, 6, 8, scale=2.0))


@exercise.hidden(en="several heads", ja="複数のヘッド", weight=2)
def _(make: Make) -> Trial:
    return make.module(FusedCausalSelfAttention, {"d_model": 20, "num_heads": 4}, x=make.normal(3, 7, 20, scale=2.0))


@exercise.hidden(en="gradients of the input and the weights", ja="入力と重みの勾配", gradients=True)
def _(make: Make) -> Trial:
    return make.module(FusedCausalSelfAttention, {"d_model": 12, "num_heads": 2}, x=make.normal(3, 4, 12, scale=2.0))


def _heads(part: Tensor, num_heads: int) -> Tensor:
    """(batch, time, d_model) -> (batch, heads, time, head_dim)."""
    return part.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def _merged(heads: Tensor) -> Tensor:
    """(batch, heads, time, head_dim) -> (batch, time, d_model)."""
    return heads.transpose(1, 2).flatten(2)


def _attend(query: Tensor, key: Tensor, value: Tensor, width: int, hidden_from: int = 1) -> Tensor:
    """Attention that divides by the root of `width` and hides the keys from diagonal `hidden_from` upwards."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(width)
    hidden = torch.ones_like(scores, dtype=torch.bool).triu(hidden_from)
    return scores.masked_fill(hidden, float("-inf")).softmax(dim=-1) @ value


@exercise.mistake(
    en="There is no causal mask: tokens see the future.",
    ja="因果マスクがなく、未来のトークンまで見えています。",
    hint_en="Should the first output change when the last token does?",
    hint_ja="最後のトークンを変えたとき、最初の出力は変わってよいでしょうか。",
)
class NoCausalMask(FusedCausalSelfAttention):
    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (_heads(part, self.num_heads) for part in self.qkv(x).chunk(3, dim=-1))
        return self.out_proj(_merged(F.scaled_dot_product_attention(query, key, value)))


@exercise.mistake(
    en="The mask hides the diagonal too: no token may see itself, and the first one sees nothing at all (nan).",
    ja="マスクが対角成分まで隠しています。自分自身が見えず、最初のトークンには何も見えません（nan になります）。",
    hint_en="`triu()` keeps the diagonal. From which diagonal does the future begin?",
    hint_ja="`triu()` は対角成分も残します。「未来」が始まるのは何本目の対角線からでしょうか。",
)
class DiagonalHidden(FusedCausalSelfAttention):
    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (_heads(part, self.num_heads) for part in self.qkv(x).chunk(3, dim=-1))
        return self.out_proj(_merged(_attend(query, key, value, key.size(-1), hidden_from=0)))


@exercise.mistake(
    en="Queries and keys are taken in the wrong order from the projection.",
    ja="射影の結果から、クエリとキーを逆の順序で取り出しています。",
    hint_en="The columns of qkv(x) are queries, keys, values, in this order.",
    hint_ja="qkv(x) の列は、クエリ、キー、バリューの順に並んでいます。",
)
class KeysFirst(FusedCausalSelfAttention):
    def forward(self, x: Tensor) -> Tensor:
        key, query, value = (_heads(part, self.num_heads) for part in self.qkv(x).chunk(3, dim=-1))
        return self.out_proj(_merged(_attend(query, key, value, key.size(-1))))


@exercise.mistake(
    en="The heads are split by `view` alone, without a transpose, so each head mixes columns of different tokens.",
    ja="転置をせずに `view` だけでヘッドを分けているため、各ヘッドに別々のトークンの列が混ざっています。",
    hint_en="`view` never moves a number. First give the heads a dimension of their own, then swap it with time.",
    hint_ja="`view` は数値の並びを変えません。まずヘッドの次元を作り、それから時間の次元と入れ替えましょう。",
)
class SplitWithoutTranspose(FusedCausalSelfAttention):
    def forward(self, x: Tensor) -> Tensor:
        batch, time, d_model = x.shape
        parts = self.qkv(x).chunk(3, dim=-1)
        query, key, value = (part.reshape(batch, self.num_heads, time, -1) for part in parts)
        mixed = _attend(query, key, value, key.size(-1))
        return self.out_proj(mixed.reshape(batch, time, d_model))


@exercise.mistake(
    en="The scores are divided by the root of d_model instead of head_dim.",
    ja="スコアを head_dim ではなく d_model の平方根で割っています。",
    hint_en="How many terms does the inner product of one head have?",
    hint_ja="一つのヘッドの内積には、項がいくつあるでしょうか。",
)
class ScaledByTheModelWidth(FusedCausalSelfAttention):
    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (_heads(part, self.num_heads) for part in self.qkv(x).chunk(3, dim=-1))
        return self.out_proj(_merged(_attend(query, key, value, x.size(-1))))


@exercise.accepted
class WithTorchBuiltin(FusedCausalSelfAttention):
    def forward(self, x: Tensor) -> Tensor:
        batch, time, d_model = x.shape
        split = (batch, time, self.num_heads, d_model // self.num_heads)
        query, key, value = (part.view(split).transpose(1, 2) for part in self.qkv(x).split(d_model, dim=2))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out_proj(mixed.transpose(1, 2).contiguous().view(batch, time, d_model))


@exercise.accepted
class WithEinsum(FusedCausalSelfAttention):
    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(dim=2)
        scores = torch.einsum("bqhd,bkhd->bhqk", query, key) * query.size(-1) ** -0.5
        position = torch.arange(x.size(1), device=x.device)
        weights = torch.where(position[:, None] >= position, scores, -1e9).softmax(dim=-1)
        return self.out_proj(torch.einsum("bhqk,bkhd->bqhd", weights, value).flatten(2))


@exercise.accepted
class WithALoopOverHeads(FusedCausalSelfAttention):
    def forward(self, x: Tensor) -> Tensor:
        width = x.size(-1) // self.num_heads
        parts = [part.split(width, dim=-1) for part in self.qkv(x).chunk(3, dim=-1)]
        outputs = [_attend(query, key, value, width) for query, key, value in zip(*parts, strict=True)]
        return self.out_proj(torch.cat(outputs, dim=-1))
