"""One layer of BERT (Devlin et al., 2019, section 3; post-norm and exact GELU as in the code that they released).

h = LayerNorm(x + Attention(x)),  y = LayerNorm(h + W_outer GELU(W_inner h))
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


class BertLayer(nn.Module):
    """Self-attention to both sides, then a feed-forward network; each with a residual connection and a norm behind it.

    Args:
        d_model: width of the tokens.
        num_heads: heads of the attention; must divide d_model.
        d_inner: width of the feed-forward network between its two linear layers.
        dropout: the share of a sublayer's output that is dropped in training.
        eps: the eps of the norms.
    """

    def __init__(self, d_model: int, num_heads: int, d_inner: int, dropout: float = 0.0, eps: float = 1e-12) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.output = nn.Linear(d_model, d_model)
        self.norm1 = nn.LayerNorm(d_model, eps=eps)
        self.inner = nn.Linear(d_model, d_inner)
        self.outer = nn.Linear(d_inner, d_model)
        self.norm2 = nn.LayerNorm(d_model, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def attend(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        """Multi-head self-attention, up to and with self.output; no residual connection, no norm, no dropout.

        Of the features of self.query(x), self.key(x) and self.value(x), the first d_model / num_heads belong to
        head 0, the next as many to head 1, and so on. In each head the scores are divided by the square root of the
        head's width. The heads' results are laid side by side in the same order and go through self.output.

        F.scaled_dot_product_attention(query, key, value, attn_mask=...) may be used. It takes and gives
        (batch, num_heads, time, head_dim), divides by itself, and reads a boolean mask as we do: True = keep.

        Args:
            x: (batch, time, d_model).
            keep_mask: bool, True = keep, broadcasts to (batch, num_heads, time, time); None keeps everything.
                Every query may look at one key at least.

        Returns:
            (batch, time, d_model).
        """
        ### BEGIN SOLUTION
        heads = (self.num_heads, -1)  # (batch, time, d_model) -> (batch, num_heads, time, head_dim)
        query = self.query(x).unflatten(-1, heads).transpose(1, 2)
        key = self.key(x).unflatten(-1, heads).transpose(1, 2)
        value = self.value(x).unflatten(-1, heads).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=keep_mask)
        return self.output(mixed.transpose(1, 2).flatten(2))
        ### END SOLUTION

    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        """The whole layer, post-norm: what a sublayer gives goes through self.dropout, is added to the sublayer's
        input, and the sum is normalised.

        norm1 belongs to the attention, norm2 to the feed-forward network: self.inner, then GELU in its exact form,
        x Φ(x), then self.outer. (In training BERT drops some of the attention's weights, too; that is not asked for.)

        Args:
            x: (batch, time, d_model).
            keep_mask: as in `attend`.

        Returns:
            (batch, time, d_model).
        """
        ### BEGIN SOLUTION
        seen = self.norm1(x + self.dropout(self.attend(x, keep_mask)))
        transformed = self.outer(F.gelu(self.inner(seen)))
        return self.norm2(seen + self.dropout(transformed))
        ### END SOLUTION


exercise = Exercise(
    BertLayer,
    points=5,
    objectives=["4.1"],
    title_en="A layer of BERT",
    title_ja="BERT の層",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def _plain(trial: Trial) -> Trial:
    """The same trial with weights that change nothing, so that it can be worked out by hand."""
    drawn: Mapping[str, Tensor] = trial.fields["state"]
    state = {}
    for name, value in drawn.items():
        if value.ndim == 2:
            state[name] = torch.eye(value.size(0), dtype=value.dtype)
        else:
            state[name] = torch.ones_like(value) if name.startswith("norm") and "weight" in name else value * 0
    return replace(trial, fields={**trial.fields, "state": state})


def _sizes(width: int, heads: int, inner: int, **more: float) -> dict[str, float]:
    return {"d_model": width, "num_heads": heads, "d_inner": inner, **more}


def _lengths(longest: int, *lengths: int) -> Tensor:
    """A padding mask, (batch, 1, 1, longest)."""
    return (torch.arange(longest) < torch.tensor(lengths)[:, None])[:, None, None]


@exercise.visible(
    en="the example worked by hand in the text: one token, weights that change nothing",
    ja="本文で手計算した例：トークンが一つ、何も変えない重み",
)
def _(make: Make) -> Trial:
    # Twice (0, 1, 1, 2), normalised: (-1.414, 0, 0, 1.414); with its GELU, normalised again:
    # (-1.192, -0.195, -0.195, 1.582).
    return _plain(make.module(BertLayer, _sizes(4, 1, 4), x=torch.tensor([[[0.0, 1.0, 1.0, 2.0]]]).double()))


@exercise.visible(en="attend alone, two heads", ja="attend だけ、2 ヘッド")
def _(make: Make) -> Trial:
    return make.module(BertLayer, _sizes(6, 2, 5), method="attend", x=make.normal(2, 4, 6))


@exercise.visible(en="a batch with a padding mask", ja="パディングマスクのあるバッチ")
def _(make: Make) -> Trial:
    return make.module(BertLayer, _sizes(6, 3, 10), x=make.normal(2, 5, 6), keep_mask=_lengths(5, 5, 3))


# A dropout of everything is the only one that draws nothing: all sublayers give zero.
@exercise.visible(en="in training, with a dropout of 1", ja="学習モードで、ドロップアウト率が 1 の場合")
def _(make: Make) -> Trial:
    return make.module(BertLayer, _sizes(6, 2, 10, dropout=1.0), train=True, x=make.normal(2, 3, 6))


@exercise.hidden(en="attend alone, with a mask for every head", ja="attend だけ、ヘッドごとに異なるマスク", weight=1.5)
def _(make: Make) -> Trial:
    given = {"x": make.normal(2, 5, 12), "keep_mask": make.keep_mask(2, 3, 5, 5)}
    return make.module(BertLayer, _sizes(12, 3, 7), method="attend", **given)


@exercise.hidden(en="the whole layer, without a mask", ja="層の全体、マスクなし", weight=1.5)
def _(make: Make) -> Trial:
    return make.module(BertLayer, _sizes(8, 2, 11), x=make.normal(3, 5, 8))


@exercise.hidden(en="the whole layer, with padding", ja="層の全体、パディングあり")
def _(make: Make) -> Trial:
    return make.module(BertLayer, _sizes(9, 3, 7), x=make.normal(3, 6, 9), keep_mask=_lengths(6, 2, 6, 4))


@exercise.hidden(en="gradients of all parameters", ja="すべてのパラメータの勾配", gradients=True)
def _(make: Make) -> Trial:
    return make.module(BertLayer, _sizes(8, 4, 5), x=make.normal(2, 7, 8), keep_mask=_lengths(7, 7, 5))


@exercise.hidden(en="another dropout of 1", ja="ドロップアウト率が 1 の、別の例", weight=0.5)
def _(make: Make) -> Trial:
    return make.module(BertLayer, _sizes(8, 4, 9, dropout=1.0), train=True, x=make.normal(3, 4, 8))


# -- wrong answers -----------------------------------------------------------------------------------------------------


class _Parts(BertLayer):
    """The right pieces, for the wrong answers to replace one of."""

    def split(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def mix(self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=keep_mask)

    def merge(self, mixed: Tensor) -> Tensor:
        return self.output(mixed.transpose(1, 2).flatten(2))

    def attend(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        return self.merge(self.mix(query, key, value, keep_mask))

    def think(self, x: Tensor) -> Tensor:
        return self.outer(F.gelu(self.inner(x)))

    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        x = self.norm1(x + self.dropout(self.attend(x, keep_mask)))
        return self.norm2(x + self.dropout(self.think(x)))


@exercise.mistake(
    en="The norms stand before the sublayers (pre-norm), as in GPT, not after the sums.",
    ja="正規化が和の後ではなく、サブレイヤーの前にあります（GPT で使われるプレノルムです）。",
    hint_en="What stands inside the brackets of LayerNorm in the formula of this section?",
    hint_ja="この節の式で、LayerNorm の括弧の中には何がありますか。",
)
class PreNorm(_Parts):
    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        x = x + self.dropout(self.attend(self.norm1(x), keep_mask))
        return x + self.dropout(self.think(self.norm2(x)))


@exercise.mistake(
    en="GELU is taken in its tanh approximation, which is GPT's, not BERT's.",
    ja="GELU に、BERT ではなく GPT で使われる tanh の近似を使っています。",
    hint_en="The results differ from the fourth decimal on. Which form does the docstring ask for?",
    hint_ja="違いは小数第 4 位あたりから現れます。docstring は、どの形を求めていますか。",
)
class TanhGELU(_Parts):
    def think(self, x: Tensor) -> Tensor:
        return self.outer(F.gelu(self.inner(x), approximate="tanh"))


@exercise.mistake(
    en="The activation is ReLU, as in chapter 2.",
    ja="活性化関数が、第 2 章と同じ ReLU になっています。",
    hint_en="What does BERT's activation make of -1? Not 0.",
    hint_ja="BERT の活性化関数は、-1 を何に変えますか。0 ではありません。",
)
class WithReLU(_Parts):
    def think(self, x: Tensor) -> Tensor:
        return self.outer(F.relu(self.inner(x)))


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
    en="keep_mask is not used: the tokens look at the padding.",
    ja="keep_mask を使っていないため、トークンがパディングを見ています。",
    hint_en="Without a mask everything is right. Who has to be told about keep_mask?",
    hint_ja="マスクがなければすべて合っています。keep_mask は、誰に伝えなければならないでしょうか。",
)
class NoMask(_Parts):
    def mix(self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value)


@exercise.mistake(
    en="The mask is turned round: the tokens look only at what they must not see.",
    ja="マスクを反転しているため、見てはいけないものだけを見ています。",
    hint_en="nn.MultiheadAttention reads True as forbidden. And the function that you call?",
    hint_ja="nn.MultiheadAttention では True が「見てはいけない」です。では、あなたが呼んでいる関数ではどうですか。",
)
class MaskTurnedRound(_Parts):
    def mix(self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=None if keep_mask is None else ~keep_mask)


@exercise.mistake(
    en="(batch, time, d_model) is viewed as (batch, heads, time, head_dim): different tokens get into one head's row.",
    ja="(batch, time, d_model) をそのまま (batch, heads, time, head_dim) と見なしたため、"
    "異なるトークンの値が混ざっています。",
    hint_en="Cut the last dimension first. Which operation then brings the heads to the front?",
    hint_ja="まず最後の次元を切り分けます。その後、ヘッドを前に移す操作は何ですか。",
)
class ViewedNotTransposed(_Parts):
    def split(self, projected: Tensor) -> Tensor:
        batch, time, width = projected.shape
        return projected.reshape(batch, self.num_heads, time, width // self.num_heads)


@exercise.mistake(
    en="The scores are divided by √d_model, not by the square root of a head's width.",
    ja="スコアを、ヘッドの次元の平方根ではなく √d_model で割っています。",
    hint_en="How many products are summed in one score of one head?",
    hint_ja="一つのヘッドの一つのスコアでは、いくつの積を足し合わせていますか。",
)
class ScaledByTheWholeWidth(_Parts):
    def mix(self, query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None) -> Tensor:
        width = query.size(1) * query.size(3)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=keep_mask, scale=width**-0.5)


@exercise.mistake(
    en="self.output is left out: the heads' results are never mixed.",
    ja="self.output を通していないため、ヘッドの結果が混ぜ合わされていません。",
    hint_en="One of the linear layers of the constructor is used nowhere.",
    hint_ja="コンストラクタの線形層のうち、どこでも使われていないものがあります。",
)
class NoOutput(_Parts):
    def merge(self, mixed: Tensor) -> Tensor:
        return mixed.transpose(1, 2).flatten(2)


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


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
class WithEinsum(BertLayer):
    """Scores and mixture as sums over indices, the exact GELU from the error function."""

    def attend(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        batch, time, width = x.shape
        shape = (batch, time, self.num_heads, width // self.num_heads)
        q, k, v = (linear(x).view(shape) for linear in (self.query, self.key, self.value))
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / shape[-1] ** 0.5
        if keep_mask is not None:
            scores = scores.masked_fill(~keep_mask, float("-inf"))
        return self.output(torch.einsum("bhqk,bkhd->bqhd", scores.softmax(dim=-1), v).reshape(batch, time, width))

    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        x = self.norm1(self.dropout(self.attend(x, keep_mask)) + x)
        inner = self.inner(x)
        return self.norm2(self.dropout(self.outer(inner * (1 + torch.erf(inner / 2**0.5)) / 2)) + x)


@exercise.accepted
class HeadByHead(BertLayer):
    """A loop over the heads, each with its share of the features."""

    def attend(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        found = []
        parts = (linear(x).chunk(self.num_heads, dim=-1) for linear in (self.query, self.key, self.value))
        for head, (query, key, value) in enumerate(zip(*parts, strict=True)):
            scores = query @ key.mT / query.shape[-1] ** 0.5
            if keep_mask is not None:
                mask = keep_mask.expand(x.size(0), self.num_heads, x.size(1), x.size(1))[:, head]
                scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
            found.append(torch.softmax(scores, dim=2) @ value)
        return self.output(torch.cat(found, dim=-1))


@exercise.accepted
class WithTheLibrarysAttention(BertLayer):
    """PyTorch's multi-head attention, fed with these weights; dropout on the attention's weights, too."""

    def attend(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        batch, time, width = x.shape
        forbidden = None
        if keep_mask is not None:
            forbidden = ~keep_mask.broadcast_to(batch, self.num_heads, time, time).reshape(-1, time, time)
        three = (self.query, self.key, self.value)
        row = x.transpose(0, 1)  # time first
        mixed, _ = F.multi_head_attention_forward(
            row, row, row, width, self.num_heads,
            torch.cat([linear.weight for linear in three]), torch.cat([linear.bias for linear in three]),
            None, None, False, self.dropout.p, self.output.weight, self.output.bias,
            training=self.training, need_weights=False, attn_mask=forbidden,
        )  # fmt: skip
        return mixed.transpose(0, 1)
