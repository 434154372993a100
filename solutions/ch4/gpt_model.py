"""A whole GPT (Radford et al., 2018, section 3.1, and Radford et al., 2019, section 2.3).

Token plus position, a stack of pre-norm blocks, one more norm, and the token table once again as the output layer.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.course.gpt import GPTBlock, GPTConfig
from autograder.exercise import Exercise
from autograder.inputs import Recipe
from autograder.make import Make, Trial


class GPT(nn.Module):
    """A decoder-only Transformer, made of your blocks.

    Args:
        config: the sizes. The model keeps them as self.config.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocab_size, config.d_model)
        self.position = nn.Embedding(config.max_len, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(GPTBlock(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.d_model, eps=config.eps)
        for name, parameter in self.named_parameters():  # small weights at the start, as GPT-2 has them
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim == 2:
                into_the_sum = name.endswith(("output.weight", "outer.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * config.num_layers) ** 0.5 if into_the_sum else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of the next token at every place.

        Token vectors plus the vectors of their positions, counted from 0, then self.dropout; all blocks, one after
        the other; self.norm; and the inner product with every row of the token table, which has no bias.

        Args:
            ids: (batch, time), int64, from 0 to vocab_size - 1; time is at most config.max_len.

        Returns:
            (batch, time, vocab_size), raw logits: no softmax. Those at place t speak of the token at place t + 1.
        """
        time = ids.size(1)
        if time > self.config.max_len:
            raise ValueError(f"There are {time} tokens, but only {self.config.max_len} positions (max_len).")
        ### BEGIN SOLUTION
        x = self.token(ids) + self.position(torch.arange(time, device=ids.device))
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.token.weight.T
        ### END SOLUTION


exercise = Exercise(
    GPT,
    points=4,
    objectives=["4.3"],
    title_en="The whole GPT",
    title_ja="GPT の全体",
    stand_ins={"GPTBlock": "autograder.course.gpt:GPTBlock"},
    equivalent={
        "x = self.token(ids) + self.position(torch.arange(time))": "on the CPU there is nothing to move",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def _config(
    make: Make, vocab: int, longest: int, width: int, heads: int, layers: int, **more: float
) -> dict[str, Recipe]:
    sizes = {"vocab_size": vocab, "max_len": longest, "d_model": width, "num_heads": heads, "num_layers": layers}
    return {"config": make.recipe("autograder.course.gpt:GPTConfig", **sizes, **more)}


@exercise.visible(en="one block", ja="1 ブロック")
def _(make: Make) -> Trial:
    return make.module(GPT, _config(make, 7, 6, 8, 2, 1), ids=make.integers(0, 7, 2, 4))


@exercise.visible(en="three blocks, as long as there are positions", ja="3 ブロック、位置の数と同じ長さ")
def _(make: Make) -> Trial:
    return make.module(GPT, _config(make, 9, 5, 6, 3, 3), ids=make.integers(0, 9, 3, 5))


@exercise.hidden(en="two blocks, another eps", ja="2 ブロック、eps を変えた場合", weight=2)
def _(make: Make) -> Trial:
    return make.module(GPT, _config(make, 11, 9, 8, 4, 2, eps=0.2), ids=make.integers(0, 11, 2, 6))


@exercise.hidden(en="four blocks, as long as there are positions", ja="4 ブロック、位置の数と同じ長さ")
def _(make: Make) -> Trial:
    return make.module(GPT, _config(make, 6, 7, 10, 2, 4), ids=make.integers(0, 6, 2, 7))


@exercise.hidden(
    en="gradients of all parameters, the tied table's above all",
    ja="すべてのパラメータの勾配。とくに共有された表の勾配",
    gradients=True,
)
def _(make: Make) -> Trial:
    return make.module(GPT, _config(make, 8, 6, 6, 3, 2), ids=make.integers(0, 8, 2, 5))


# A dropout of everything is the only one that draws nothing: the blocks are handed zeros, and add nothing.
@exercise.hidden(en="in training, with a dropout of 1", ja="学習モード、ドロップアウト率は 1", weight=0.5)
def _(make: Make) -> Trial:
    init = _config(make, 7, 6, 8, 2, 2, dropout=1.0)
    return make.module(GPT, init, train=True, ids=make.integers(0, 7, 3, 4))


# -- wrong answers -----------------------------------------------------------------------------------------------------


def _stacked(model: GPT, x: Tensor) -> Tensor:
    return nn.Sequential(*model.blocks)(x)


def _embedded(model: GPT, ids: Tensor) -> Tensor:
    return model.dropout(model.token(ids) + model.position.weight[: ids.size(1)])


@exercise.mistake(
    en="No positions are added.",
    ja="位置のベクトルを足していません。",
    hint_en="The model has two tables. What is the second one for?",
    hint_ja="モデルには表が二つあります。2 番目の表は何のためのものでしょうか。",
)
class NoPositions(GPT):
    def forward(self, ids: Tensor) -> Tensor:
        return self.norm(_stacked(self, self.dropout(self.token(ids)))) @ self.token.weight.T


@exercise.mistake(
    en="The position table is read at the ids of the tokens, not at their places.",
    ja="位置の表を、トークンの位置ではなく ID で引いています。",
    hint_en="Which row of the table belongs to the first token, whatever it is?",
    hint_ja="先頭のトークンが何であっても、位置の表から引くべきなのはどの行ですか。",
)
class PositionsById(GPT):
    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids) + self.position(ids.clamp(max=self.config.max_len - 1))
        return self.norm(_stacked(self, self.dropout(x))) @ self.token.weight.T


@exercise.mistake(
    en="The token vectors are multiplied by √d_model, as in the original Transformer.",
    ja="最初の Transformer と同じように、トークンのベクトルに √d_model を掛けています。",
    hint_en="Is there a factor in the docstring? In GPT the positions are learned, too, and start as small.",
    hint_ja="docstring に係数は書かれていますか。GPT では位置も学習され、同じように小さな値から始まります。",
)
class Scaled(GPT):
    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids) * self.config.d_model**0.5 + self.position.weight[: ids.size(1)]
        return self.norm(_stacked(self, self.dropout(x))) @ self.token.weight.T


@exercise.mistake(
    en="The last norm is missing.",
    ja="最後の正規化がありません。",
    hint_en="In pre-norm blocks nothing normalises the sum itself. What does that after the last block?",
    hint_ja="プレノルムのブロックでは、和そのものは正規化されません。最後のブロックの後では、何がそれをしますか。",
)
class NoFinalNorm(GPT):
    def forward(self, ids: Tensor) -> Tensor:
        return _stacked(self, _embedded(self, ids)) @ self.token.weight.T


@exercise.mistake(
    en="Every block starts from the embeddings again, so that only the last one counts.",
    ja="どのブロックも埋め込みから始めているため、最後のブロックの結果しか使われていません。",
    hint_en="What should the second block be given: the embeddings, or what the first has made of them?",
    hint_ja="2 番目のブロックに渡すべきものは、埋め込みでしょうか、それとも 1 番目のブロックの出力でしょうか。",
)
class NotChained(GPT):
    def forward(self, ids: Tensor) -> Tensor:
        return self.norm(self.blocks[-1](_embedded(self, ids))) @ self.token.weight.T


@exercise.mistake(
    en="Probabilities are returned: there is a softmax over the logits.",
    ja="確率を返しています。ロジットにソフトマックスをかけています。",
    hint_en="F.cross_entropy takes the softmax itself. What does the docstring promise?",
    hint_ja="ソフトマックスは F.cross_entropy が自分でとります。docstring は何を返すと約束していますか。",
)
class Probabilities(GPT):
    def forward(self, ids: Tensor) -> Tensor:
        return (self.norm(_stacked(self, _embedded(self, ids))) @ self.token.weight.T).softmax(dim=-1)


@exercise.mistake(
    en="The output layer uses a detached copy of the token table, so that only half of its gradient arrives.",
    ja="出力層で、勾配から切り離した表を使っています。表に届く勾配が半分だけになっています。",
    hint_en="The table is used twice. Do gradients reach it along both ways?",
    hint_ja="この表は 2 回使われます。勾配は両方の道を通って届いていますか。",
)
class Untied(GPT):
    def forward(self, ids: Tensor) -> Tensor:
        return self.norm(_stacked(self, _embedded(self, ids))) @ self.token.weight.data.T


@exercise.mistake(
    en="The embeddings do not go through self.dropout.",
    ja="埋め込みの和を self.dropout に通していません。",
    hint_en="In evaluation nothing shows. What comes between the sum of the two vectors and the first block?",
    hint_ja="評価モードでは違いが表れません。二つのベクトルの和と最初のブロックの間には、何がありますか。",
)
class NoDropout(GPT):
    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids) + self.position.weight[: ids.size(1)]
        return self.norm(_stacked(self, x)) @ self.token.weight.T


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
class WithFunctions(GPT):
    """The functional forms, the blocks by number, a position for every id."""

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.ones_like(ids).cumsum(dim=1) - 1
        x = self.dropout(F.embedding(places, self.position.weight) + F.embedding(ids, self.token.weight))
        for number in range(self.config.num_layers):
            x = self.blocks[number](x)
        return F.linear(self.norm(x), self.token.weight)


@exercise.accepted
class WithEinsum(GPT):
    """A slice of the table, one sequence of modules, a sum over an index."""

    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids) + self.position.weight[None, : ids.shape[1]]
        x = nn.Sequential(self.dropout, *self.blocks, self.norm)(x)
        return torch.einsum("btd,vd->btv", x, self.token.weight)


@exercise.accepted
class OneSequenceAtATime(GPT):
    """A loop over the batch, and one-hot vectors in place of a look-up."""

    def forward(self, ids: Tensor) -> Tensor:
        rows = []
        for row in ids:
            x = F.one_hot(row, self.config.vocab_size).to(self.token.weight) @ self.token.weight
            x = self.dropout(x + self.position.weight[: len(row)])[None]
            for block in self.blocks:
                x = block(x)
            rows.append(torch.matmul(self.norm(x), self.token.weight.t())[0])
        return torch.stack(rows)
