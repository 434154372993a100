"""One layer of the decoder (Vaswani et al., 2017, section 3.1 and figure 1, on the right).

h = LayerNorm(x + Attention(x, x, x)),  g = LayerNorm(h + Attention(h, memory, memory)),  y = LayerNorm(g + FFN(g))
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.course.seq2seq import as_attn_mask
from autograder.exercise import Exercise
from autograder.make import Make, Trial


class DecoderLayer(nn.Module):
    """Self-attention, attention to the encoder's output, and a feed-forward network, each with residual and norm.

    Args:
        d_model: width of the tokens and of the memory.
        num_heads: heads of each of the two attentions; must divide d_model.
        d_ff: width of the feed-forward network between its two linear layers.
        dropout: the share of a sublayer's output that is dropped in training.
    """

    def __init__(self, d_model: int, num_heads: int, d_ff: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.self_attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True)
        self.norm1 = nn.LayerNorm(d_model)
        self.cross_attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm3 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """Let every target token look at the target, then at the source, then think about what it has seen.

        Post-norm and ReLU, as in your EncoderLayer. norm1 belongs to the self-attention, norm2 to the cross-attention
        and norm3 to the feed-forward network.

        Args:
            x: (batch, time, d_model), the target.
            memory: (batch, source_time, d_model), what the encoder gave.
            self_mask: bool, True = keep, broadcasts to (batch, num_heads, time, time): who among the target's tokens
                may look at whom. None keeps everything: the layer does not make a causal mask itself.
            memory_mask: bool, True = keep, broadcasts to (batch, num_heads, time, source_time): who may look at what
                of the source. None keeps everything.

        Returns:
            (batch, time, d_model).
        """
        ### BEGIN SOLUTION
        attn_mask = as_attn_mask(self_mask, self.num_heads, x, x)
        attended, _ = self.self_attention(x, x, x, attn_mask=attn_mask)
        x = self.norm1(x + self.dropout(attended))
        attn_mask = as_attn_mask(memory_mask, self.num_heads, x, memory)
        looked_up, _ = self.cross_attention(x, memory, memory, attn_mask=attn_mask)
        x = self.norm2(x + self.dropout(looked_up))
        transformed = self.linear2(torch.relu(self.linear1(x)))
        return self.norm3(x + self.dropout(transformed))
        ### END SOLUTION


exercise = Exercise(
    DecoderLayer,
    points=4,
    objectives=["2.1", "2.5"],
    title_en="A layer of the decoder",
    title_ja="デコーダの層",
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


def _causal(time: int) -> Tensor:
    return torch.ones(time, time, dtype=torch.bool).tril()


def _lengths(longest: int, *lengths: int) -> Tensor:
    """A padding mask, (batch, 1, 1, longest)."""
    return (torch.arange(longest) < torch.tensor(lengths)[:, None])[:, None, None]


@exercise.visible(
    en="the example worked by hand in the text: one token, one word of the source",
    ja="本文で手計算した例：トークンが一つ、原文の単語が一つ",
)
def _(make: Make) -> Trial:
    # (0, 1, 1, 2) doubled and normalised: (-1.414, 0, 0, 1.414); the memory (0, 3, 0, 0) added, and normalised:
    # (-1.320, 1.372, -0.457, 0.405); its positive part added, and normalised: (-1.154, 1.504, -0.590, 0.239).
    init = {"d_model": 4, "num_heads": 1, "d_ff": 4}
    x, memory = torch.tensor([[[0.0, 1.0, 1.0, 2.0]], [[0.0, 3.0, 0.0, 0.0]]]).double().split(1)
    return _plain(make.module(DecoderLayer, init, x=x, memory=memory))


@exercise.visible(en="a causal mask, and padding in the source", ja="因果マスクと、原文のパディング")
def _(make: Make) -> Trial:
    init = {"d_model": 6, "num_heads": 2, "d_ff": 10}
    x, memory = make.normal(2, 4, 6), make.normal(2, 5, 6)
    masks = {"self_mask": _causal(4), "memory_mask": _lengths(5, 5, 3)}
    return make.module(DecoderLayer, init, x=x, memory=memory, **masks)


@exercise.hidden(en="without masks, and a longer source", ja="マスクなし、原文のほうが長い場合")
def _(make: Make) -> Trial:
    init = {"d_model": 8, "num_heads": 2, "d_ff": 11}
    return make.module(DecoderLayer, init, x=make.normal(3, 4, 8), memory=make.normal(3, 6, 8))


@exercise.hidden(en="a causal mask alone", ja="因果マスクだけの場合")
def _(make: Make) -> Trial:
    init = {"d_model": 9, "num_heads": 3, "d_ff": 7}
    x, memory = make.normal(2, 6, 9), make.normal(2, 4, 9)
    return make.module(DecoderLayer, init, x=x, memory=memory, self_mask=_causal(6))


@exercise.hidden(en="padding in the source alone", ja="原文のパディングだけの場合")
def _(make: Make) -> Trial:
    init = {"d_model": 6, "num_heads": 3, "d_ff": 8}
    x, memory = make.normal(3, 4, 6), make.normal(3, 5, 6)
    return make.module(DecoderLayer, init, x=x, memory=memory, memory_mask=_lengths(5, 2, 5, 4))


@exercise.hidden(en="gradients under both masks", ja="両方のマスクがあるときの勾配", gradients=True)
def _(make: Make) -> Trial:
    init = {"d_model": 10, "num_heads": 2, "d_ff": 13}
    x, memory = make.normal(2, 5, 10), make.normal(2, 7, 10)
    masks = {"self_mask": _causal(5) & _lengths(5, 3, 5), "memory_mask": _lengths(7, 4, 7)}
    return make.module(DecoderLayer, init, x=x, memory=memory, **masks)


# As in encoder_layer: a dropout of everything is the only one that draws nothing.
@exercise.hidden(en="in training, with a dropout of 1", ja="学習モードで、ドロップアウト率が 1 の場合", weight=0.5)
def _(make: Make) -> Trial:
    init = {"d_model": 8, "num_heads": 4, "d_ff": 9, "dropout": 1.0}
    return make.module(DecoderLayer, init, train=True, x=make.normal(3, 4, 8), memory=make.normal(3, 2, 8))


# -- wrong answers -----------------------------------------------------------------------------------------------------


class _Parts(DecoderLayer):
    """The right pieces, for the wrong answers to replace one of."""

    def attend(self, x: Tensor, keep_mask: Tensor | None) -> Tensor:
        return self.self_attention(x, x, x, attn_mask=as_attn_mask(keep_mask, self.num_heads, x, x))[0]

    def look_up(self, x: Tensor, memory: Tensor, keep_mask: Tensor | None) -> Tensor:
        attn_mask = as_attn_mask(keep_mask, self.num_heads, x, memory)
        return self.cross_attention(x, memory, memory, attn_mask=attn_mask)[0]

    def think(self, x: Tensor) -> Tensor:
        return self.linear2(F.relu(self.linear1(x)))

    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        x = self.norm1(x + self.dropout(self.attend(x, self_mask)))
        x = self.norm2(x + self.dropout(self.look_up(x, memory, memory_mask)))
        return self.norm3(x + self.dropout(self.think(x)))


@exercise.mistake(
    en="Keys and values of the cross-attention come from the target: the layer never looks at the source.",
    ja="クロス注意のキーとバリューがデコーダの側から来ています。これでは原文をまったく見ていません。",
    hint_en="Change memory and look at the output. Who asks in cross-attention, and who answers?",
    hint_ja="memory を変えて、出力がどうなるかを見てみましょう。クロス注意で、問いかけるのはどちらで、"
    "応えるのはどちらですか。",
)
class LooksAtItself(_Parts):
    def look_up(self, x: Tensor, memory: Tensor, keep_mask: Tensor | None) -> Tensor:
        return self.cross_attention(x, x, x)[0]


@exercise.mistake(
    en="Cross-attention comes before self-attention.",
    ja="クロス注意が自己注意より先になっています。",
    hint_en="Follow the arrows in the right half of the diagram, from the bottom upwards.",
    hint_ja="図の右半分の矢印を、下から上へたどってみましょう。",
)
class SourceFirst(_Parts):
    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        x = self.norm2(x + self.dropout(self.look_up(x, memory, memory_mask)))
        x = self.norm1(x + self.dropout(self.attend(x, self_mask)))
        return self.norm3(x + self.dropout(self.think(x)))


@exercise.mistake(
    en="The cross-attention has no residual connection: the source replaces the target instead of being added to it.",
    ja="クロス注意に残差接続がありません。原文の情報が、足されるのではなく、デコーダの側の情報と置き換わっています。",
    hint_en="Every sublayer is wrapped in the same way. What is added to what it gives?",
    hint_ja="どのサブレイヤーも同じように包まれています。その出力に足されるものは何でしょうか。",
)
class SourceReplacesTarget(_Parts):
    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        x = self.norm1(x + self.dropout(self.attend(x, self_mask)))
        x = self.norm2(self.dropout(self.look_up(x, memory, memory_mask)))
        return self.norm3(x + self.dropout(self.think(x)))


@exercise.mistake(
    en="memory_mask is not used: the target looks at the padding of the source.",
    ja="memory_mask を使っていません。原文のパディングまで見ています。",
    hint_en="Two attentions, two masks. Which of the two attentions looks at the source?",
    hint_ja="注意が二つ、マスクも二つあります。原文を見るのはどちらの注意ですか。",
)
class SourcePaddingSeen(_Parts):
    def look_up(self, x: Tensor, memory: Tensor, keep_mask: Tensor | None) -> Tensor:
        return self.cross_attention(x, memory, memory)[0]


@exercise.mistake(
    en="self_mask is not used: the target sees its own future.",
    ja="self_mask を使っていません。未来のトークンまで見えています。",
    hint_en="Two attentions, two masks. Which of the two attentions could look ahead?",
    hint_ja="注意が二つ、マスクも二つあります。先を見てしまうおそれがあるのはどちらの注意ですか。",
)
class FutureSeen(_Parts):
    def attend(self, x: Tensor, keep_mask: Tensor | None) -> Tensor:
        return self.self_attention(x, x, x)[0]


@exercise.mistake(
    en="The norms stand before the sublayers (pre-norm), not after the sums.",
    ja="正規化が和の後ではなく、サブレイヤーの前にあります（プレノルムです）。",
    hint_en="What stands inside the brackets of LayerNorm in the formula of this section?",
    hint_ja="この節の式で、LayerNorm の括弧の中には何がありますか。",
)
class PreNorm(_Parts):
    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        x = x + self.dropout(self.attend(self.norm1(x), self_mask))
        x = x + self.dropout(self.look_up(self.norm2(x), memory, memory_mask))
        return x + self.dropout(self.think(self.norm3(x)))


@exercise.mistake(
    en="norm2 is used for the feed-forward network as well, and norm3 not at all.",
    ja="フィードフォワードネットワークにも norm2 を使い、norm3 を使っていません。",
    hint_en="Three sublayers, three norms with weights of their own. Which of them is not used?",
    hint_ja="サブレイヤーは三つ、それぞれに自分の重みを持つ正規化があります。使っていないものはどれですか。",
)
class NormTwice(_Parts):
    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        x = self.norm1(x + self.dropout(self.attend(x, self_mask)))
        x = self.norm2(x + self.dropout(self.look_up(x, memory, memory_mask)))
        return self.norm2(x + self.dropout(self.think(x)))


@exercise.mistake(
    en="self.dropout is not used.",
    ja="self.dropout を使っていません。",
    hint_en="In evaluation nothing shows. What happens in training to a sublayer's output before it is added?",
    hint_ja="評価モードでは違いが表れません。学習のとき、サブレイヤーの出力は、足される前にどこを通りますか。",
)
class NoDropout(_Parts):
    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        x = self.norm1(x + self.attend(x, self_mask))
        x = self.norm2(x + self.look_up(x, memory, memory_mask))
        return self.norm3(x + self.think(x))


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
class WithFusedAttention(DecoderLayer):
    """The heads written out around F.scaled_dot_product_attention, which reads True as keep."""

    def look(self, attention: nn.MultiheadAttention, x: Tensor, at: Tensor, keep_mask: Tensor | None) -> Tensor:
        weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(given, weight, bias).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for given, weight, bias in zip((x, at, at), weights, biases, strict=True)
        )
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=keep_mask)
        return self.dropout(attention.out_proj(heads.transpose(1, 2).flatten(2)))

    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        x = self.norm1(self.look(self.self_attention, x, x, self_mask) + x)
        x = self.norm2(self.look(self.cross_attention, x, memory, memory_mask) + x)
        return self.norm3(self.dropout(self.linear2(self.linear1(x).relu())) + x)


@exercise.accepted
class InALoopOverSublayers(_Parts):
    """Three sublayers and three norms, wrapped in one loop."""

    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        sublayers = (
            lambda x: self.attend(x, self_mask),
            lambda x: self.look_up(x, memory, memory_mask),
            self.think,
        )
        for sublayer, norm in zip(sublayers, (self.norm1, self.norm2, self.norm3), strict=True):
            x = norm(x + self.dropout(sublayer(x)))
        return x


@exercise.accepted
class WithMasksToBeAdded(DecoderLayer):
    """Masks of 0 and -inf, which nn.MultiheadAttention adds to the scores."""

    def added(self, keep_mask: Tensor | None, x: Tensor, at: Tensor) -> Tensor:
        scores = torch.zeros(x.size(0), self.num_heads, x.size(1), at.size(1), dtype=x.dtype, device=x.device)
        return (scores if keep_mask is None else torch.where(keep_mask, scores, -torch.inf)).flatten(0, 1)

    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        own = self.self_attention(x, x, x, need_weights=False, attn_mask=self.added(self_mask, x, x))[0]
        x = self.norm1(x + self.dropout(own))
        mask = self.added(memory_mask, x, memory)
        found = self.cross_attention(query=x, key=memory, value=memory, attn_mask=mask)[0]
        x = self.norm2(x + self.dropout(found))
        return self.norm3(x + self.dropout(self.linear2(F.relu(self.linear1(x)))))
