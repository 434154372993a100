"""One block of GPT-2 (Radford et al., 2019, section 2.3; the activation is that of Radford et al., 2018).

h = x + Attention(LayerNorm(x)),  y = h + FFN(LayerNorm(h)); no token attends to a later one.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.course.gpt import GPTConfig
from autograder.exercise import Exercise
from autograder.inputs import Recipe
from autograder.make import Make, Trial


class GPTBlock(nn.Module):
    """A pre-norm block: causal self-attention, then a feed-forward network, each added to what came in.

    Args:
        config: the sizes. d_model, num_heads, dropout and eps matter here.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        d_model = config.d_model
        self.num_heads = config.num_heads
        self.norm1 = nn.LayerNorm(d_model, eps=config.eps)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.output = nn.Linear(d_model, d_model)
        self.norm2 = nn.LayerNorm(d_model, eps=config.eps)
        self.inner = nn.Linear(d_model, 4 * d_model)
        self.outer = nn.Linear(4 * d_model, d_model)
        self.dropout = nn.Dropout(config.dropout)

    def attend(self, x: Tensor) -> Tensor:
        """Causal self-attention with several heads, without norm and residual connection.

        One product with self.qkv gives all the queries, then all the keys, then all the values: the first d_model
        features of its result are the queries. In each of the three, the first head_dim = d_model / num_heads
        features belong to the first head. The scores are divided by √head_dim. A token sees itself and earlier ones
        only. The heads' results are put side by side again and go through self.output.

        Args:
            x: (batch, time, d_model).

        Returns:
            (batch, time, d_model).
        """
        ### BEGIN SOLUTION
        batch, time, d_model = x.shape
        by_head = (batch, time, self.num_heads, d_model // self.num_heads)
        query, key, value = (part.view(by_head).transpose(1, 2) for part in self.qkv(x).split(d_model, dim=-1))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.output(mixed.transpose(1, 2).reshape(batch, time, d_model))
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """The whole block. Pre-norm: norm1 before the attention, norm2 before the feed-forward network.

        The feed-forward network is self.inner, the tanh form of GELU, self.outer. self.dropout is applied to what
        each of the two sublayers gives, before it is added to what came in.

        Args:
            x: (batch, time, d_model).

        Returns:
            (batch, time, d_model).
        """
        ### BEGIN SOLUTION
        x = x + self.dropout(self.attend(self.norm1(x)))
        activated = F.gelu(self.inner(self.norm2(x)), approximate="tanh")
        return x + self.dropout(self.outer(activated))
        ### END SOLUTION


exercise = Exercise(
    GPTBlock,
    points=4,
    objectives=["4.3"],
    title_en="A block of GPT",
    title_ja="GPT のブロック",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def _config(make: Make, d_model: int, num_heads: int, **more: float) -> dict[str, Recipe]:
    sizes = {"vocab_size": 10, "max_len": 16, "d_model": d_model, "num_heads": num_heads, "num_layers": 1}
    return {"config": make.recipe("autograder.course.gpt:GPTConfig", **sizes, **more)}


def _with(trial: Trial, **changed: Tensor) -> Trial:
    """The same trial with some of its weights set; a name's dots are written as two underscores."""
    state: Mapping[str, Tensor] = trial.fields["state"]
    new = {name.replace("__", "."): value.to(torch.float64) for name, value in changed.items()}
    return replace(trial, fields={**trial.fields, "state": {**state, **new}})


@exercise.visible(en="attend, the two tokens worked by hand in the text", ja="attend、本文で手計算した 2 トークン")
def _(make: Make) -> Trial:
    # queries and keys are 0, so that every token looks equally at all that it may see; the values are x itself
    trial = make.module(
        GPTBlock, _config(make, 2, 1), method="attend", x=torch.tensor([[[1.0, 3.0], [5.0, 1.0]]]).double()
    )
    weight = torch.cat([torch.zeros(4, 2), torch.eye(2)])
    return _with(
        trial, qkv__weight=weight, qkv__bias=torch.zeros(6), output__weight=torch.eye(2), output__bias=torch.zeros(2)
    )


@exercise.visible(en="attend, two heads", ja="attend、2 ヘッド")
def _(make: Make) -> Trial:
    return make.module(GPTBlock, _config(make, 6, 2), method="attend", x=make.normal(2, 4, 6))


@exercise.visible(en="the whole block", ja="ブロック全体")
def _(make: Make) -> Trial:
    return make.module(GPTBlock, _config(make, 8, 4), x=make.normal(2, 5, 8))


@exercise.hidden(en="attend, three heads", ja="attend、3 ヘッド", weight=2)
def _(make: Make) -> Trial:
    return make.module(GPTBlock, _config(make, 12, 3), method="attend", x=make.normal(2, 5, 12, scale=2.0))


@exercise.hidden(en="the block, when the attention says nothing", ja="注意の出力が 0 のときのブロック", weight=1.5)
def _(make: Make) -> Trial:
    trial = make.module(GPTBlock, _config(make, 10, 2, eps=0.1), x=make.normal(3, 4, 10))
    return _with(trial, output__weight=torch.zeros(10, 10), output__bias=torch.zeros(10))


@exercise.hidden(en="the whole block, with another eps", ja="ブロック全体、eps を変えた場合", weight=1.5)
def _(make: Make) -> Trial:
    return make.module(GPTBlock, _config(make, 12, 4, eps=0.3), x=make.normal(2, 6, 12))


@exercise.hidden(en="gradients of all parameters", ja="すべてのパラメータの勾配", gradients=True)
def _(make: Make) -> Trial:
    return make.module(GPTBlock, _config(make, 9, 3), x=make.normal(2, 5, 9))


# A dropout of everything is the only one that draws nothing: what is left is x.
@exercise.hidden(en="in training, with a dropout of 1", ja="学習モード、ドロップアウト率は 1", weight=0.5)
def _(make: Make) -> Trial:
    return make.module(GPTBlock, _config(make, 8, 2, dropout=1.0), train=True, x=make.normal(2, 3, 8))


# -- wrong answers -----------------------------------------------------------------------------------------------------


def _heads(block: GPTBlock, x: Tensor) -> Tensor:
    """Query, key and value by head, stacked: (3, batch, heads, time, head_dim)."""
    return block.qkv(x).unflatten(-1, (3, block.num_heads, -1)).permute(2, 0, 3, 1, 4)


@exercise.mistake(
    en="Every token sees the whole sequence: the attention is not causal.",
    ja="どのトークンにも系列全体が見えています。注意が因果的になっていません。",
    hint_en="Change the last token. Which rows of the output may change?",
    hint_ja="最後のトークンを変えてみましょう。出力のうち、変わってよいのはどの行ですか。",
)
class SeesTheFuture(GPTBlock):
    def attend(self, x: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(*_heads(self, x))
        return self.output(mixed.transpose(1, 2).flatten(2))


@exercise.mistake(
    en="A token does not see itself: only strictly earlier tokens are left.",
    ja="トークンが自分自身を見ていません。自分より前のトークンしか残っていません。",
    hint_en="Which entries of the causal mask are on the diagonal, and what may the first token look at?",
    hint_ja="因果マスクの対角成分は何ですか。また、最初のトークンは何を見ればよいでしょうか。",
)
class NotItself(GPTBlock):
    def attend(self, x: Tensor) -> Tensor:
        time = x.size(1)
        keep = torch.ones(time, time, dtype=torch.bool, device=x.device).tril(-1)
        keep[0, 0] = True
        mixed = F.scaled_dot_product_attention(*_heads(self, x), attn_mask=keep)
        return self.output(mixed.transpose(1, 2).flatten(2))


@exercise.mistake(
    en="The result of qkv is divided among the heads first, and into query, key and value within each head.",
    ja="qkv の結果を先にヘッドに分け、各ヘッドの中でクエリ、キー、バリューに分けています。",
    hint_en="Which features of qkv(x) are the queries of the second head, according to the docstring?",
    hint_ja="docstring によれば、qkv(x) のうち 2 番目のヘッドのクエリになるのは、どの特徴ですか。",
)
class HeadsFirst(GPTBlock):
    def attend(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.output(mixed.transpose(1, 2).flatten(2))


@exercise.mistake(
    en="The heads are put together in the wrong order: time and heads are not exchanged back before the reshape.",
    ja="ヘッドのまとめ方が違います。形を変える前に、時間とヘッドの軸を元に戻していません。",
    hint_en="What is the shape after the attention, and which two axes have to lie side by side to become d_model?",
    hint_ja="注意の直後の形状はどうなっていますか。d_model にまとまるには、どの二つの軸が隣り合う必要がありますか。",
)
class NotMergedBack(GPTBlock):
    def attend(self, x: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(*_heads(self, x), is_causal=True)
        return self.output(mixed.reshape(x.shape))


@exercise.mistake(
    en="The scores are divided by √d_model, not by √head_dim.",
    ja="スコアを √head_dim ではなく √d_model で割っています。",
    hint_en="How many products are added up in one score of one head?",
    hint_ja="一つのヘッドの一つのスコアでは、いくつの積が足し合わされますか。",
)
class ScaledByWidth(GPTBlock):
    def attend(self, x: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(*_heads(self, x), is_causal=True, scale=x.size(-1) ** -0.5)
        return self.output(mixed.transpose(1, 2).flatten(2))


@exercise.mistake(
    en="The block is post-norm: the norms act on the sums.",
    ja="ポストノルムになっています。正規化が、足した後の和にかかっています。",
    hint_en="In GPT-2 nothing but additions happens to x on its way from the bottom to the top. Is that so here?",
    hint_ja="GPT-2 では、下から上まで、x には足し算しか行われません。このコードではどうですか。",
)
class PostNorm(GPTBlock):
    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.dropout(self.attend(x)))
        return self.norm2(x + self.dropout(self.outer(F.gelu(self.inner(x), approximate="tanh"))))


@exercise.mistake(
    en="The residual connections add the normalised input, not the input itself.",
    ja="残差接続で、入力そのものではなく、正規化した入力を足しています。",
    hint_en="Which of the two does the formula add: x, or LayerNorm(x)?",
    hint_ja="式で足されているのは x ですか、それとも LayerNorm(x) ですか。",
)
class NormalisedResidual(GPTBlock):
    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x)
        x = self.norm2(x + self.dropout(self.attend(x)))
        return x + self.dropout(self.outer(F.gelu(self.inner(x), approximate="tanh")))


@exercise.mistake(
    en="The feed-forward network is handed what came into the block, not what the attention has made of it.",
    ja="フィードフォワードネットワークに、注意の結果を足したものではなく、ブロックの入力を渡しています。",
    hint_en="The two sublayers work one after the other. Which letter does the second line of the formula begin with?",
    hint_ja="二つの副層は順番にはたらきます。式の 2 行目は、どの文字から始まっていますか。",
)
class InParallel(GPTBlock):
    def forward(self, x: Tensor) -> Tensor:
        transformed = self.outer(F.gelu(self.inner(self.norm2(x)), approximate="tanh"))
        return x + self.dropout(self.attend(self.norm1(x))) + self.dropout(transformed)


@exercise.mistake(
    en="The activation is the exact GELU, not its tanh form.",
    ja="活性化関数が、tanh による近似形ではなく、厳密な GELU になっています。",
    hint_en="The two differ by less than 0.001. Look at the arguments of F.gelu.",
    hint_ja="二つの差は 0.001 未満です。F.gelu の引数を調べてみましょう。",
)
class ExactGelu(GPTBlock):
    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attend(self.norm1(x)))
        return x + self.dropout(self.outer(F.gelu(self.inner(self.norm2(x)))))


@exercise.mistake(
    en="The activation is ReLU, as in the original Transformer.",
    ja="活性化関数が、最初の Transformer と同じ ReLU になっています。",
    hint_en="Which activation does the docstring of forward name?",
    hint_ja="forward の docstring には、どの活性化関数が書かれていますか。",
)
class Relu(GPTBlock):
    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attend(self.norm1(x)))
        return x + self.dropout(self.outer(F.relu(self.inner(self.norm2(x)))))


@exercise.mistake(
    en="self.dropout is not used.",
    ja="self.dropout が使われていません。",
    hint_en="In evaluation nothing shows. What happens to a sublayer's output before it is added?",
    hint_ja="評価モードでは違いが表れません。副層の出力は、足される前に何を通りますか。",
)
class NoDropout(GPTBlock):
    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.norm1(x))
        return x + self.outer(F.gelu(self.inner(self.norm2(x)), approximate="tanh"))


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
class ByHand(GPTBlock):
    """Scores, mask and softmax one after the other; the heads in a loop; GELU from its formula."""

    def attend(self, x: Tensor) -> Tensor:
        time, width = x.size(1), x.size(2) // self.num_heads
        pieces = self.qkv(x).split(width, dim=-1)
        future = torch.full((time, time), float("-inf"), dtype=x.dtype, device=x.device).triu(1)
        results = []
        for head in range(self.num_heads):
            query, key, value = pieces[head :: self.num_heads]
            scores = query @ key.transpose(1, 2) / width**0.5 + future
            results.append(scores.softmax(dim=-1) @ value)
        return self.output(torch.cat(results, dim=-1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.dropout(self.attend(self.norm1(x))) + x
        z = self.inner(self.norm2(h))
        gelu = 0.5 * z * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (z + 0.044715 * z**3)))
        return self.dropout(self.outer(gelu)) + h


@exercise.accepted
class WithEinsum(GPTBlock):
    """One array of all heads, sums over indices, an in-place mask."""

    def attend(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).unbind(2)
        scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / query.size(-1) ** 0.5
        earlier = torch.arange(x.size(1), device=x.device)
        scores = scores.masked_fill(earlier[None, :] > earlier[:, None], -torch.inf)
        return self.output(torch.einsum("bhqk,bkhd->bqhd", torch.softmax(scores, -1), value).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.add(x, self.dropout(self.attend(self.norm1(x))))
        layers = nn.Sequential(self.norm2, self.inner, nn.GELU("tanh"), self.outer, self.dropout)
        return torch.add(x, layers(x))


@exercise.accepted
class WithTheLibrary(GPTBlock):
    """PyTorch's own attention, which is handed the weights."""

    def attend(self, x: Tensor) -> Tensor:
        mixed, _ = F.multi_head_attention_forward(
            *[x.transpose(0, 1)] * 3,
            x.size(-1),
            self.num_heads,
            self.qkv.weight,
            self.qkv.bias,
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.output.weight,
            out_proj_bias=self.output.bias,
            attn_mask=torch.ones(x.size(1), x.size(1), dtype=torch.bool, device=x.device).triu(1),
            need_weights=False,
        )
        return mixed.transpose(0, 1)
