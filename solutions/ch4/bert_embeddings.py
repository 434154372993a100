"""What BERT's first layer is given (Devlin et al., 2019, section 3 and figure 2).

LayerNorm(token + segment + position), then dropout; all three tables are learned.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


class BertEmbeddings(nn.Module):
    """Ids to vectors: which word, at which place, of which sentence.

    Args:
        vocab_size: how many different tokens there are.
        max_len: how many positions there are vectors for.
        d_model: width of the vectors.
        dropout: the share that is dropped in training.
        eps: the eps of the norm. BERT's is 1e-12; nn.LayerNorm's own would be 1e-5.

    Modules, by these names:
        token: nn.Embedding, one vector for each token.
        position: nn.Embedding, one vector for each position 0, 1, ..., max_len - 1.
        segment: nn.Embedding, one vector for each of the two segments 0 and 1.
        norm: nn.LayerNorm over the width, with eps.
        dropout: nn.Dropout.
    """

    def __init__(self, vocab_size: int, max_len: int, d_model: int, dropout: float = 0.0, eps: float = 1e-12) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.token = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(max_len, d_model)
        self.segment = nn.Embedding(2, d_model)
        self.norm = nn.LayerNorm(d_model, eps=eps)
        self.dropout = nn.Dropout(dropout)
        ### END SOLUTION

    def forward(self, ids: Tensor, segment_ids: Tensor | None = None) -> Tensor:
        """Add the three vectors of each token, normalise the sum, and apply dropout to what comes out of the norm.

        Args:
            ids: (batch, time), int64, with time at most max_len.
            segment_ids: (batch, time), int64, 0 or 1; None says that every token belongs to segment 0.

        Returns:
            (batch, time, d_model).
        """
        ### BEGIN SOLUTION
        if segment_ids is None:
            segment_ids = torch.zeros_like(ids)
        positions = torch.arange(ids.size(1), device=ids.device)  # (time,): the same for every row of the batch
        summed = self.token(ids) + self.position(positions) + self.segment(segment_ids)
        return self.dropout(self.norm(summed))
        ### END SOLUTION


exercise = Exercise(
    BertEmbeddings,
    points=3,
    objectives=["4.1"],
    title_en="BERT's embeddings",
    title_ja="BERT の埋め込み",
    equivalent={
        "positions = torch.arange(ids.size(1))": "on the CPU, where both are, there is nothing to move",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def _with_weights(trial: Trial, weights: Mapping[str, list[list[float]]]) -> Trial:
    """The same trial with tables that can be worked with by hand, and a norm that only normalises."""
    state = {name: torch.tensor(rows, dtype=torch.float64) for name, rows in weights.items()}
    width = len(next(iter(weights.values()))[0])
    norm = {"norm.weight": torch.ones(width).double(), "norm.bias": torch.zeros(width).double()}
    return replace(trial, fields={**trial.fields, "state": {**trial.fields["state"], **state, **norm}})


@exercise.visible(
    en="the example worked by hand in the text: the same word in either sentence",
    ja="本文で手計算した例：同じ単語が一つ目の文にある場合と二つ目の文にある場合",
)
def _(make: Make) -> Trial:
    # Place 0: (2, 0, 3, 3), normalised (0, -1.633, 0.816, 0.816).
    # Place 1: (1, 1, 3, 3), normalised (-1, -1, 1, 1); in segment 1 it is (3, 3, 1, 1), normalised (1, 1, -1, -1).
    init = {"vocab_size": 2, "max_len": 3, "d_model": 4}
    given = {"ids": torch.tensor([[0, 1], [0, 1]]), "segment_ids": torch.tensor([[0, 0], [0, 1]])}
    weights = {
        "token.weight": [[2.0, 0.0, 1.0, 0.0], [1.0, 0.0, 2.0, 1.0]],
        "position.weight": [[0.0, 0.0, 1.0, 2.0], [0.0, 1.0, 0.0, 1.0], [3.0, 1.0, 0.0, 0.0]],
        "segment.weight": [[0.0, 0.0, 1.0, 1.0], [2.0, 2.0, -1.0, -1.0]],
    }
    return _with_weights(make.module(BertEmbeddings, init, **given), weights)


@exercise.visible(en="a batch without segment ids", ja="セグメント ID を渡さないバッチ")
def _(make: Make) -> Trial:
    init = {"vocab_size": 9, "max_len": 7, "d_model": 6}
    return make.module(BertEmbeddings, init, ids=make.integers(0, 9, 2, 5))


@exercise.visible(en="a large eps", ja="eps が大きい場合")
def _(make: Make) -> Trial:
    init = {"vocab_size": 7, "max_len": 4, "d_model": 5, "eps": 0.5}
    return make.module(BertEmbeddings, init, ids=make.integers(0, 7, 2, 4), segment_ids=make.integers(0, 2, 2, 4))


# A dropout of everything is the only one that draws nothing.
@exercise.visible(en="in training, with a dropout of 1", ja="学習モードで、ドロップアウト率が 1 の場合")
def _(make: Make) -> Trial:
    init = {"vocab_size": 6, "max_len": 4, "d_model": 5, "dropout": 1.0}
    return make.module(BertEmbeddings, init, train=True, ids=make.integers(0, 6, 2, 3))


@exercise.hidden(en="pairs of sentences, longer", ja="文の対からなる、もっと長いバッチ", weight=2)
def _(make: Make) -> Trial:
    init = {"vocab_size": 13, "max_len": 11, "d_model": 8}
    ids, second = make.integers(0, 13, 3, 7), torch.arange(7) >= torch.tensor([4, 2, 6])[:, None]
    return make.module(BertEmbeddings, init, ids=ids, segment_ids=second.long())


@exercise.hidden(en="no segment ids, as many tokens as there are positions", ja="セグメント ID なし、長さが最大の場合")
def _(make: Make) -> Trial:
    init = {"vocab_size": 11, "max_len": 6, "d_model": 5}
    return make.module(BertEmbeddings, init, ids=make.integers(0, 11, 4, 6))


@exercise.hidden(en="another eps", ja="別の eps", weight=0.5)
def _(make: Make) -> Trial:
    init = {"vocab_size": 6, "max_len": 5, "d_model": 7, "eps": 0.25}
    return make.module(BertEmbeddings, init, ids=make.integers(0, 6, 2, 3), segment_ids=make.integers(0, 2, 2, 3))


# With 1e-5 in place of 1e-12 the vectors, which hardly differ from their mean, would be far smaller.
@exercise.hidden(
    en="vectors of tiny spread, with the eps of BERT", ja="ばらつきの小さいベクトルと既定の eps", weight=0.5
)
def _(make: Make) -> Trial:
    trial = make.module(BertEmbeddings, {"vocab_size": 5, "max_len": 4, "d_model": 6}, ids=make.integers(0, 5, 2, 4))
    tables = {name: v * 1e-3 for name, v in trial.fields["state"].items() if not name.startswith("norm")}
    return replace(trial, fields={**trial.fields, "state": {**trial.fields["state"], **tables}})


@exercise.hidden(en="the gradients of all tables", ja="すべての表の勾配", gradients=True)
def _(make: Make) -> Trial:
    init = {"vocab_size": 8, "max_len": 6, "d_model": 4}
    return make.module(BertEmbeddings, init, ids=make.integers(0, 8, 3, 5), segment_ids=make.integers(0, 2, 3, 5))


@exercise.hidden(en="another dropout of 1", ja="ドロップアウト率が 1 の、別の例", weight=0.5)
def _(make: Make) -> Trial:
    init = {"vocab_size": 7, "max_len": 5, "d_model": 6, "dropout": 1.0}
    return make.module(BertEmbeddings, init, train=True, ids=make.integers(0, 7, 2, 4))


# -- wrong answers -----------------------------------------------------------------------------------------------------


class _Parts(BertEmbeddings):
    """The right pieces, for the wrong answers to replace one of."""

    def places(self, ids: Tensor) -> Tensor:
        return self.position.weight[: ids.size(1)]

    def sentence(self, ids: Tensor, segment_ids: Tensor | None) -> Tensor:
        return self.segment(torch.zeros_like(ids) if segment_ids is None else segment_ids)

    def summed(self, ids: Tensor, segment_ids: Tensor | None) -> Tensor:
        return self.token(ids) + self.places(ids) + self.sentence(ids, segment_ids)

    def forward(self, ids: Tensor, segment_ids: Tensor | None = None) -> Tensor:
        return self.dropout(self.norm(self.summed(ids, segment_ids)))


@exercise.mistake(
    en="Without segment_ids no segment vector is added at all.",
    ja="segment_ids がないとき、セグメントのベクトルをまったく足していません。",
    hint_en="What does None stand for, according to the docstring? Is the vector of segment 0 a row of zeros?",
    hint_ja="docstring によれば、None は何を意味しますか。セグメント 0 のベクトルは、すべて 0 でしょうか。",
)
class NoSegmentForNone(_Parts):
    def sentence(self, ids: Tensor, segment_ids: Tensor | None) -> Tensor:
        return torch.zeros(()).to(self.segment.weight) if segment_ids is None else self.segment(segment_ids)


@exercise.mistake(
    en="segment_ids is not used: every token is put into segment 0.",
    ja="segment_ids を使っていません。どのトークンもセグメント 0 として扱われています。",
    hint_en="How is the model to tell the word of the second sentence from the same word of the first?",
    hint_ja="二つ目の文にある単語と、一つ目の文にある同じ単語を、モデルはどうやって区別するのでしょうか。",
)
class AlwaysSegmentZero(_Parts):
    def sentence(self, ids: Tensor, segment_ids: Tensor | None) -> Tensor:
        return self.segment(torch.zeros_like(ids))


@exercise.mistake(
    en="No position vectors are added.",
    ja="位置のベクトルを足していません。",
    hint_en="What would change in the output if two words of the row changed places?",
    hint_ja="二つの単語を入れ替えたら、出力はどう変わるべきでしょうか。",
)
class NoPositions(_Parts):
    def places(self, ids: Tensor) -> Tensor:
        return torch.zeros_like(super().places(ids))


@exercise.mistake(
    en="The sum is not normalised.",
    ja="和を正規化していません。",
    hint_en="Three of the five modules make vectors. What are the other two for?",
    hint_ja="五つのモジュールのうち三つがベクトルを作ります。残りの二つは何のためにありますか。",
)
class NotNormalised(_Parts):
    def forward(self, ids: Tensor, segment_ids: Tensor | None = None) -> Tensor:
        return self.dropout(self.summed(ids, segment_ids))


@exercise.mistake(
    en="Only the token vectors are normalised, before the other two are added.",
    ja="トークンのベクトルだけを正規化し、その後でほかの二つを足しています。",
    hint_en="Where does the bracket of LayerNorm open, and where does it close?",
    hint_ja="LayerNorm の括弧はどこで開き、どこで閉じていますか。",
)
class OnlyTokensNormalised(_Parts):
    def forward(self, ids: Tensor, segment_ids: Tensor | None = None) -> Tensor:
        return self.dropout(self.norm(self.token(ids)) + self.places(ids) + self.sentence(ids, segment_ids))


@exercise.mistake(
    en="The token vectors are multiplied by √d_model, as in the Transformer of chapter 2.",
    ja="第 2 章の Transformer と同じように、トークンのベクトルに √d_model を掛けています。",
    hint_en="BERT's position vectors are learned. Does the formula of this section have a factor?",
    hint_ja="BERT では位置のベクトルも学習します。この節の式に、係数は付いていますか。",
)
class Scaled(_Parts):
    def summed(self, ids: Tensor, segment_ids: Tensor | None) -> Tensor:
        scaled = self.token(ids) * self.token.embedding_dim**0.5
        return scaled + self.places(ids) + self.sentence(ids, segment_ids)


@exercise.mistake(
    en="Dropout stands before the norm, not after it.",
    ja="ドロップアウトが、正規化の後ではなく前にあります。",
    hint_en="In evaluation nothing shows. What is the outermost operation in the formula?",
    hint_ja="評価モードでは違いが表れません。式でいちばん外側にある操作は何ですか。",
)
class DropoutBeforeTheNorm(_Parts):
    def forward(self, ids: Tensor, segment_ids: Tensor | None = None) -> Tensor:
        return self.norm(self.dropout(self.summed(ids, segment_ids)))


@exercise.mistake(
    en="eps does not reach the norm, which keeps PyTorch's 1e-5.",
    ja="eps が正規化に渡されておらず、PyTorch の既定値 1e-5 のままです。",
    hint_en="Which argument of the constructor is used nowhere?",
    hint_ja="コンストラクタの引数のうち、どこでも使われていないものはどれですか。",
)
class EpsForgotten(BertEmbeddings):
    def __init__(self, vocab_size: int, max_len: int, d_model: int, dropout: float = 0.0, eps: float = 1e-12) -> None:
        super().__init__(vocab_size, max_len, d_model, dropout)
        self.norm = nn.LayerNorm(d_model)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
class WithSlices(_Parts):
    """The first rows of the position table, as they stand; a segment vector for everybody."""

    def sentence(self, ids: Tensor, segment_ids: Tensor | None) -> Tensor:
        return self.segment.weight[0] if segment_ids is None else self.segment.weight[segment_ids]


@exercise.accepted
class WithOneHot(BertEmbeddings):
    """Tables as matrices: a product with unit vectors picks the rows."""

    def forward(self, ids: Tensor, segment_ids: Tensor | None = None) -> Tensor:
        table = self.token.weight
        segments = ids * 0 if segment_ids is None else segment_ids
        x = F.one_hot(ids, self.token.num_embeddings).to(table) @ table
        x = x + F.one_hot(segments, 2).to(table) @ self.segment.weight
        x += self.position.weight.narrow(0, 0, ids.shape[1])[None]
        return self.dropout(F.layer_norm(x, x.shape[-1:], self.norm.weight, self.norm.bias, self.norm.eps))


@exercise.accepted
class TokenByToken(BertEmbeddings):
    """A loop over places, with the norm written out."""

    def forward(self, ids: Tensor, segment_ids: Tensor | None = None) -> Tensor:
        columns = []
        for place in range(ids.shape[1]):
            x = self.token(ids[:, place]) + self.position(torch.full_like(ids[:, place], place))
            x = x + (self.segment.weight[0] if segment_ids is None else self.segment(segment_ids[:, place]))
            centred = x - x.mean(dim=-1, keepdim=True)
            spread = (centred.square().mean(dim=-1, keepdim=True) + self.norm.eps).sqrt()
            columns.append(self.norm.weight * (centred / spread) + self.norm.bias)
        return self.dropout(torch.stack(columns, dim=1))
