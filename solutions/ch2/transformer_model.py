"""The whole Transformer (Vaswani et al., 2017, section 3 and figure 1).

Embeddings times √d_model plus positions (sections 3.4 and 3.5), a stack of encoder layers, a stack of decoder layers
that all look at what the last encoder layer gave, and a linear layer to logits.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.course.seq2seq import sinusoids
from autograder.course.standins_layers import DecoderLayer, EncoderLayer, causal_mask
from autograder.exercise import Exercise
from autograder.make import Make, Trial


class Transformer(nn.Module):
    """The encoder-decoder of the paper, with layers of yours.

    Args:
        source_vocab, target_vocab: how many different tokens there are on either side.
        d_model, num_heads, d_ff, dropout: as in EncoderLayer.
        num_layers: how many layers the encoder has, and the decoder as many.
        max_len: the longest sequence that there are positions for.
    """

    def __init__(
        self,
        source_vocab: int,
        target_vocab: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        num_layers: int = 6,
        dropout: float = 0.0,
        max_len: int = 64,
    ) -> None:
        super().__init__()
        self.d_model = d_model
        self.source_embedding = nn.Embedding(source_vocab, d_model)
        self.target_embedding = nn.Embedding(target_vocab, d_model)
        for embedding in (self.source_embedding, self.target_embedding):
            nn.init.normal_(embedding.weight, std=d_model**-0.5)
        self.register_buffer("positions", sinusoids(max_len, d_model))  # (max_len, d_model), not trained
        self.encoder_layers = nn.ModuleList(EncoderLayer(d_model, num_heads, d_ff, dropout) for _ in range(num_layers))
        self.decoder_layers = nn.ModuleList(DecoderLayer(d_model, num_heads, d_ff, dropout) for _ in range(num_layers))
        self.output = nn.Linear(d_model, target_vocab)
        self.dropout = nn.Dropout(dropout)

    def embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        """Tokens to vectors: the embedding times √d_model, plus the first positions, and self.dropout over the sum.

        Args:
            embedding: self.source_embedding or self.target_embedding.
            ids: (batch, time), integers.

        Returns:
            (batch, time, d_model).
        """
        ### BEGIN SOLUTION
        scaled = embedding(ids) * math.sqrt(self.d_model)
        return self.dropout(scaled + self.positions[: ids.size(1)])
        ### END SOLUTION

    def encode(self, source: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """The memory: the embedded source, after one encoder layer after the other.

        Args:
            source: (batch, source_time), integers.
            source_mask: bool, True = keep, broadcasts to (batch, num_heads, source_time, source_time), such as a
                padding mask (batch, 1, 1, source_time); None keeps everything.

        Returns:
            (batch, source_time, d_model).
        """
        ### BEGIN SOLUTION
        x = self.embed(self.source_embedding, source)
        for layer in self.encoder_layers:
            x = layer(x, source_mask)
        return x
        ### END SOLUTION

    def decode(
        self, target: Tensor, memory: Tensor, target_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """Logits of the next token at every position of the target.

        Args:
            target: (batch, time), integers.
            memory: (batch, source_time, d_model), from `encode`.
            target_mask: bool, True = keep, broadcasts to (batch, num_heads, time, time). None stands for your
                causal_mask, moved to the target's device: a decoder never looks ahead.
            memory_mask: bool, True = keep, broadcasts to (batch, num_heads, time, source_time); None keeps everything.

        Returns:
            (batch, time, target_vocab), raw logits: what self.output gives, without a softmax.
        """
        ### BEGIN SOLUTION
        if target_mask is None:
            target_mask = causal_mask(target.size(1)).to(target.device)
        x = self.embed(self.target_embedding, target)
        for layer in self.decoder_layers:
            x = layer(x, memory, target_mask, memory_mask)
        return self.output(x)
        ### END SOLUTION

    def forward(
        self, source: Tensor, target: Tensor, source_mask: Tensor | None = None, target_mask: Tensor | None = None
    ) -> Tensor:
        """Encode the source, then decode the target; what is padding in the source stays hidden from the decoder, too.

        Args:
            source: (batch, source_time) and target: (batch, time), integers.
            source_mask: bool, True = keep, (batch, 1, 1, source_time): which tokens of the source are no padding.
            target_mask: as in `decode`.

        Returns:
            (batch, time, target_vocab), raw logits.
        """
        ### BEGIN SOLUTION
        memory = self.encode(source, source_mask)
        return self.decode(target, memory, target_mask, source_mask)
        ### END SOLUTION


exercise = Exercise(
    Transformer,
    points=5,
    objectives=["2.1"],
    title_en="The whole Transformer",
    title_ja="Transformer の全体",
    stand_ins={
        name: f"autograder.course.standins_layers:{name}" for name in ("EncoderLayer", "DecoderLayer", "causal_mask")
    },
    equivalent={
        "target_mask = causal_mask(target.size(1))": "on the CPU, where both are, there is nothing to move",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def _sizes(source_vocab: int, target_vocab: int, width: int, heads: int, layers: int | None) -> dict[str, int]:
    sizes = {"source_vocab": source_vocab, "target_vocab": target_vocab, "d_model": width, "num_heads": heads}
    return {**sizes, "d_ff": width + 3, "max_len": 9, **({} if layers is None else {"num_layers": layers})}


def _lengths(longest: int, *lengths: int) -> Tensor:
    """A padding mask, (batch, 1, 1, longest)."""
    return (torch.arange(longest) < torch.tensor(lengths)[:, None])[:, None, None]


@exercise.visible(en="embed alone", ja="embed だけ")
def _(make: Make) -> Trial:
    embedding = make.recipe("torch.nn:Embedding", 7, 6, seed=1)
    ids = make.integers(0, 7, 2, 4)
    return make.module(Transformer, _sizes(7, 5, 6, 2, 1), method="embed", embedding=embedding, ids=ids)


@exercise.visible(en="encode, two layers, padding in the source", ja="encode、2 層、原文にパディングあり")
def _(make: Make) -> Trial:
    given = {"source": make.integers(0, 7, 2, 5), "source_mask": _lengths(5, 5, 3)}
    return make.module(Transformer, _sizes(7, 5, 6, 2, 2), method="encode", **given)


@exercise.visible(en="the whole model", ja="モデル全体")
def _(make: Make) -> Trial:
    given = {"source": make.integers(0, 9, 2, 5), "target": make.integers(0, 8, 2, 4)}
    return make.module(Transformer, _sizes(9, 8, 6, 3, 2), **given, source_mask=_lengths(5, 2, 5))


@exercise.hidden(en="encode, with the default number of layers", ja="encode、層の数は既定値", weight=1.5)
def _(make: Make) -> Trial:
    given = {"source": make.integers(0, 11, 3, 6), "source_mask": _lengths(6, 4, 6, 3)}
    return make.module(Transformer, _sizes(11, 5, 8, 2, None), method="encode", **given)


@exercise.hidden(en="decode, with a causal mask of its own", ja="decode、因果マスクは自分で作る場合", weight=1.5)
def _(make: Make) -> Trial:
    given = {"target": make.integers(0, 7, 2, 6), "memory": make.normal(2, 4, 8), "memory_mask": _lengths(4, 4, 2)}
    return make.module(Transformer, _sizes(5, 7, 8, 4, 3), method="decode", **given)


@exercise.hidden(en="the whole model, with both masks", ja="モデル全体、両方のマスクあり")
def _(make: Make) -> Trial:
    given = {"source": make.integers(0, 9, 3, 6), "target": make.integers(0, 8, 3, 4)}
    masks = {"source_mask": _lengths(6, 3, 6, 5), "target_mask": make.keep_mask(3, 1, 4, 4)}
    return make.module(Transformer, _sizes(9, 8, 6, 3, 2), **given, **masks)


@exercise.hidden(en="gradients of all parameters", ja="すべてのパラメータの勾配", gradients=True)
def _(make: Make) -> Trial:
    given = {"source": make.integers(0, 6, 2, 5), "target": make.integers(0, 7, 2, 4)}
    return make.module(Transformer, _sizes(6, 7, 4, 2, 2), **given, source_mask=_lengths(5, 5, 3))


# As in encoder_layer: a dropout of everything is the only one that draws nothing.
@exercise.hidden(en="embed in training, with a dropout of 1", ja="学習モードの embed、ドロップアウト率は 1", weight=0.5)
def _(make: Make) -> Trial:
    init = {**_sizes(6, 7, 8, 2, 1), "dropout": 1.0}
    embedding, ids = make.recipe("torch.nn:Embedding", 6, 8, seed=1), make.integers(0, 6, 3, 5)
    return make.module(Transformer, init, train=True, method="embed", embedding=embedding, ids=ids)


# -- wrong answers -----------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="The embeddings are not multiplied by √d_model.",
    ja="埋め込みに √d_model を掛けていません。",
    hint_en="How large are the entries of an embedding at the start, and how large those of the positions?",
    hint_ja="はじめの埋め込みの成分はどのくらいの大きさで、位置エンコーディングの成分はどのくらいですか。",
)
class EmbeddingNotScaled(Transformer):
    def embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        return self.dropout(embedding(ids) + self.positions[: ids.size(1)])


@exercise.mistake(
    en="The positions are multiplied by √d_model, too.",
    ja="位置エンコーディングにまで √d_model を掛けています。",
    hint_en="Where does the bracket close? Only one of the two summands is too small.",
    hint_ja="括弧はどこで閉じますか。小さすぎるのは、足し合わせる二つのうち片方だけです。",
)
class PositionsScaledToo(Transformer):
    def embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        return self.dropout((embedding(ids) + self.positions[: ids.size(1)]) * math.sqrt(self.d_model))


@exercise.mistake(
    en="No positions are added: the encoder cannot tell the order of the words.",
    ja="位置エンコーディングを足していません。エンコーダは語順を区別できません。",
    hint_en="What would encode give if two words of the source changed places?",
    hint_ja="原文の二つの単語を入れ替えたら、encode の結果はどうなるでしょうか。",
)
class NoPositions(Transformer):
    def embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        return self.dropout(embedding(ids) * math.sqrt(self.d_model))


@exercise.mistake(
    en="embed does not use self.dropout.",
    ja="embed で self.dropout を使っていません。",
    hint_en="In evaluation nothing shows. What is the outermost operation in the formula of embed?",
    hint_ja="評価モードでは違いが表れません。embed の式で、いちばん外側にある操作は何ですか。",
)
class NoDropout(Transformer):
    def embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        return embedding(ids) * math.sqrt(self.d_model) + self.positions[: ids.size(1)]


@exercise.mistake(
    en="Every layer starts from the embeddings again, so that only the last layer counts.",
    ja="どの層も埋め込みから始めているため、最後の層の結果しか使われていません。",
    hint_en="What should the second layer be given: the embeddings, or what the first has made of them?",
    hint_ja="2 番目の層に渡すべきものは、埋め込みでしょうか、それとも 1 番目の層の出力でしょうか。",
)
class LayersNotChained(Transformer):
    def encode(self, source: Tensor, source_mask: Tensor | None = None) -> Tensor:
        x = memory = self.embed(self.source_embedding, source)
        for layer in self.encoder_layers:
            memory = layer(x, source_mask)
        return memory

    def decode(
        self, target: Tensor, memory: Tensor, target_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        if target_mask is None:
            target_mask = causal_mask(target.size(1)).to(target.device)
        x = decoded = self.embed(self.target_embedding, target)
        for layer in self.decoder_layers:
            decoded = layer(x, memory, target_mask, memory_mask)
        return self.output(decoded)


@exercise.mistake(
    en="The decoder looks at the padding of the source: the source's mask does not reach it.",
    ja="デコーダが原文のパディングを見ています。原文のマスクがデコーダに届いていません。",
    hint_en="The mask of the source is needed twice: where the source looks at itself, and where else?",
    hint_ja="原文のマスクは 2 回必要です。原文が自分自身を見るときと、あと一つはどこでしょうか。",
)
class SourcePaddingSeen(Transformer):
    def forward(
        self, source: Tensor, target: Tensor, source_mask: Tensor | None = None, target_mask: Tensor | None = None
    ) -> Tensor:
        return self.decode(target, self.encode(source, source_mask), target_mask)


@exercise.mistake(
    en="Without a target_mask the decoder sees the future: no causal mask is put in.",
    ja="target_mask がないとき、デコーダに未来が見えています。因果マスクを補っていません。",
    hint_en="Change the last token of the target. Which logits should change, and which do?",
    hint_ja="ターゲットの最後のトークンを変えてみましょう。変わってよいロジットはどれで、実際に変わるのはどれですか。",
)
class FutureSeen(Transformer):
    def decode(
        self, target: Tensor, memory: Tensor, target_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        x = self.embed(self.target_embedding, target)
        for layer in self.decoder_layers:
            x = layer(x, memory, target_mask, memory_mask)
        return self.output(x)


@exercise.mistake(
    en="Probabilities are returned: there is a softmax over the logits.",
    ja="確率を返しています。ロジットにソフトマックスをかけています。",
    hint_en="F.cross_entropy takes the softmax itself. What does the docstring promise?",
    hint_ja="ソフトマックスは F.cross_entropy が自分でとります。docstring は何を返すと約束していますか。",
)
class Probabilities(Transformer):
    def decode(
        self, target: Tensor, memory: Tensor, target_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        return super().decode(target, memory, target_mask, memory_mask).softmax(dim=-1)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
class WithFunctions(Transformer):
    """Everything in other words: functional embedding and output, layers by number."""

    def embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        vectors = F.embedding(ids, embedding.weight).mul(self.d_model**0.5)
        return self.dropout(vectors + self.positions.narrow(0, 0, ids.shape[-1]).unsqueeze(0))

    def encode(self, source: Tensor, source_mask: Tensor | None = None) -> Tensor:
        memory = self.embed(self.source_embedding, source)
        for number in range(len(self.encoder_layers)):
            memory = self.encoder_layers[number](memory, keep_mask=source_mask)
        return memory

    def decode(
        self, target: Tensor, memory: Tensor, target_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        decoded = self.embed(self.target_embedding, target)
        future = causal_mask(target.shape[1]).to(decoded.device) if target_mask is None else target_mask
        for number in range(len(self.decoder_layers)):
            decoded = self.decoder_layers[number](decoded, memory, self_mask=future, memory_mask=memory_mask)
        return F.linear(decoded, self.output.weight, self.output.bias)


@exercise.accepted
class AllInForward(Transformer):
    """A causal mask without the earlier answer, the positions looked up by their numbers."""

    def embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        place = torch.arange(ids.size(1), device=ids.device).expand_as(ids)
        return self.dropout(F.embedding(place, self.positions) + math.sqrt(self.d_model) * embedding(ids))

    def decode(
        self, target: Tensor, memory: Tensor, target_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        x, time = self.embed(self.target_embedding, target), target.size(1)
        mask = torch.ones(time, time, dtype=torch.bool, device=x.device).tril() if target_mask is None else target_mask
        for layer in self.decoder_layers:
            x = layer(x, memory, mask, memory_mask)
        return self.output(x)
