"""A classifier on a pretrained encoder (Devlin et al., 2019, section 4; pooling as in Reimers and Gurevych, 2019).

pooled = mean of the vectors of the real tokens,  logits = W pooled + bias
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


class SentimentClassifier(nn.Module):
    """An encoder, the mean over the real tokens, and one linear layer on it.

    Args:
        encoder: a module; `encoder(ids, keep_mask)` gives a vector for each token, (batch, time, width), and
            `encoder.config.hidden_size` is that width. All of it goes on learning.
        num_labels: how many classes there are.

    Modules, by these names:
        encoder: the encoder that was handed over.
        classifier: nn.Linear with a bias, from the encoder's width to num_labels.
    """

    def __init__(self, encoder: nn.Module, num_labels: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.config.hidden_size, num_labels)
        ### END SOLUTION

    def forward(self, ids: Tensor, keep_mask: Tensor) -> Tensor:
        """Encode, take the mean of each text's real tokens, and classify it.

        The real tokens are those where keep_mask is True; [CLS] and [SEP] are among them. The encoder needs the mask
        as well, and gives vectors at the padded places, too: they must not get into the mean.

        Args:
            ids: (batch, time), int64.
            keep_mask: (batch, time), bool, True = a real token, False = padding. Every text has one real token at
                least; where the padding stands is not said.

        Returns:
            (batch, num_labels), raw logits.
        """
        ### BEGIN SOLUTION
        hidden = self.encoder(ids, keep_mask)  # (batch, time, width)
        kept = keep_mask.unsqueeze(-1).to(hidden.dtype)  # (batch, time, 1), 1 or 0
        pooled = (hidden * kept).sum(dim=1) / kept.sum(dim=1)
        return self.classifier(pooled)
        ### END SOLUTION


exercise = Exercise(
    SentimentClassifier,
    points=3,
    objectives=["4.5", "sentiment"],
    title_en="A sentiment classifier",
    title_ja="感情分類器",
    equivalent={
        "kept = keep_mask.unsqueeze(-1)": "a product with True or False, or a sum of them, is that with 1 or 0",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def classified(make: Make, keep_mask: Tensor, width: int, num_labels: int, **options: bool) -> Trial:
    """A small encoder with its classifier, on random ids of the mask's shape."""
    encoder = make.recipe("autograder.course.small_encoder:SmallEncoder", 13, width)
    init = {"encoder": encoder, "num_labels": num_labels}
    ids = make.integers(0, 13, *keep_mask.shape)
    return make.module(SentimentClassifier, init, ids=ids, keep_mask=keep_mask, **options)


def lengths(longest: int, *given: int) -> Tensor:
    return torch.arange(longest) < torch.tensor(given)[:, None]


@exercise.visible(
    en="the example worked by hand in the text: three tokens and as much padding",
    ja="本文で手計算した例：トークンが三つと、同じだけのパディング",
)
def _(make: Make) -> Trial:
    # The encoder gives (1, -1) for odd ids and (-1, 1) for even ones: the mean is (1/3, -1/3), the logits are ∓2/3.
    trial = classified(make, lengths(6, 3), 2, 2)
    state = {name: torch.zeros_like(value) for name, value in trial.fields["state"].items()}
    state["encoder.norm.weight"] += 1
    state["encoder.token.weight"] += torch.tensor([-1.0, 1.0]) * (-1.0) ** torch.arange(13)[:, None]
    state["classifier.weight"] += torch.tensor([[-1.0, 1.0], [1.0, -1.0]])
    inputs = {**trial.fields["inputs"], "ids": torch.tensor([[1, 3, 2, 0, 0, 0]])}
    return replace(trial, fields={**trial.fields, "state": state, "inputs": inputs})


@exercise.visible(en="texts of different lengths", ja="長さの違う文")
def _(make: Make) -> Trial:
    return classified(make, lengths(6, 6, 2, 4), 7, 2)


@exercise.visible(en="the gradients", ja="勾配", gradients=True)
def _(make: Make) -> Trial:
    return classified(make, lengths(3, 3, 2), 4, 2)


@exercise.hidden(en="more texts, and three classes", ja="もっと多くの文と、三つのクラス", weight=2)
def _(make: Make) -> Trial:
    return classified(make, lengths(7, 3, 7, 1, 5), 6, 3)


@exercise.hidden(en="padding at the beginning and in between", ja="先頭や途中にパディングがある場合")
def _(make: Make) -> Trial:
    return classified(make, make.keep_mask(3, 8), 5, 4)


@exercise.hidden(
    en="gradients, those of the encoder among them", ja="エンコーダも含めたすべての勾配", weight=2, gradients=True
)
def _(make: Make) -> Trial:
    return classified(make, lengths(5, 5, 3), 4, 3)


# -- wrong answers -----------------------------------------------------------------------------------------------------


class _Parts(SentimentClassifier):
    """The right pieces, for the wrong answers to replace one of."""

    def encode(self, ids: Tensor, keep_mask: Tensor) -> Tensor:
        return self.encoder(ids, keep_mask)

    def pool(self, hidden: Tensor, keep_mask: Tensor) -> Tensor:
        return hidden.masked_fill(~keep_mask[..., None], 0).sum(dim=1) / keep_mask.sum(dim=1, keepdim=True)

    def forward(self, ids: Tensor, keep_mask: Tensor) -> Tensor:
        return self.classifier(self.pool(self.encode(ids, keep_mask), keep_mask))


@exercise.mistake(
    en="The mean is taken over all places, the padded ones too.",
    ja="パディングも含めたすべての位置で平均をとっています。",
    hint_en="The encoder gives vectors at the padded places as well. Should a text's logits depend on how far the "
    "batch was padded?",
    hint_ja="エンコーダは、パディングの位置にもベクトルを返します。バッチをどれだけ埋めたかによって、"
    "文のロジットが変わってよいでしょうか。",
)
class PaddingInTheMean(_Parts):
    def pool(self, hidden: Tensor, keep_mask: Tensor) -> Tensor:
        return hidden.mean(dim=1)


@exercise.mistake(
    en="The sum leaves the padding out, but is divided by the length of the whole row.",
    ja="和ではパディングを除いていますが、それを行全体の長さで割っています。",
    hint_en="Of how many vectors is it the mean?",
    hint_ja="いくつのベクトルの平均でしょうか。",
)
class DividedByTheRow(_Parts):
    def pool(self, hidden: Tensor, keep_mask: Tensor) -> Tensor:
        return hidden.masked_fill(~keep_mask[..., None], 0).mean(dim=1)


@exercise.mistake(
    en="The sum over the real tokens is not divided by their number.",
    ja="実際のトークンの和を、その数で割っていません。",
    hint_en="Should a longer text get larger logits merely because it is longer?",
    hint_ja="長い文ほど、長いというだけでロジットが大きくなってよいでしょうか。",
)
class NotDivided(_Parts):
    def pool(self, hidden: Tensor, keep_mask: Tensor) -> Tensor:
        return hidden.masked_fill(~keep_mask[..., None], 0).sum(dim=1)


@exercise.mistake(
    en="The first token's vector is taken, as in the BERT paper, not the mean that is asked for here.",
    ja="ここで求められている平均ではなく、BERT の論文のように先頭のトークンのベクトルを使っています。",
    hint_en="Both are in use. Which one does the docstring describe?",
    hint_ja="どちらも実際に使われている方法です。docstring はどちらを求めていますか。",
)
class FirstToken(_Parts):
    def pool(self, hidden: Tensor, keep_mask: Tensor) -> Tensor:
        return hidden[:, 0]


@exercise.mistake(
    en="The encoder does not get the mask: its tokens look at the padding.",
    ja="エンコーダにマスクを渡していないため、トークンがパディングを見ています。",
    hint_en="The mask is needed twice: for the mean, and where else?",
    hint_ja="マスクは 2 回必要です。平均をとるときと、あと一つはどこでしょうか。",
)
class EncoderWithoutMask(_Parts):
    def encode(self, ids: Tensor, keep_mask: Tensor) -> Tensor:
        return self.encoder(ids)


@exercise.mistake(
    en="No gradient reaches the encoder: only the linear layer would learn.",
    ja="エンコーダに勾配が届いていません。これでは線形層しか学習しません。",
    hint_en="What cuts the way back: no_grad, detach, data? Whoever trains decides whether the encoder learns.",
    hint_ja="no_grad や detach などで、逆伝播の道を断っていませんか。"
    "エンコーダを学習させるかどうかは、学習を行う側が決めることです。",
)
class EncoderDetached(_Parts):
    def encode(self, ids: Tensor, keep_mask: Tensor) -> Tensor:
        with torch.no_grad():
            return self.encoder(ids, keep_mask)


@exercise.mistake(
    en="Probabilities are returned: there is a softmax over the logits.",
    ja="確率を返しています。ロジットにソフトマックスをかけています。",
    hint_en="F.cross_entropy takes the softmax itself. What does the docstring promise?",
    hint_ja="ソフトマックスは F.cross_entropy が自分でとります。docstring は何を返すと約束していますか。",
)
class Probabilities(_Parts):
    def forward(self, ids: Tensor, keep_mask: Tensor) -> Tensor:
        return super().forward(ids, keep_mask).softmax(dim=-1)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
class WithEinsum(SentimentClassifier):
    """The mean as a weighted sum whose weights are made first."""

    def forward(self, ids: Tensor, keep_mask: Tensor) -> Tensor:
        hidden = self.encoder(ids, keep_mask)
        weights = F.normalize(keep_mask.to(hidden), p=1, dim=1)
        return self.classifier(torch.einsum("bt,btd->bd", weights, hidden))


@exercise.accepted
class TextByText(SentimentClassifier):
    """A loop over the texts, each with its own tokens only."""

    def forward(self, ids: Tensor, keep_mask: Tensor) -> Tensor:
        rows = zip(self.encoder(ids, keep_mask), keep_mask, strict=True)
        return torch.stack([self.classifier(hidden[keep].mean(dim=0)) for hidden, keep in rows])


@exercise.accepted
class ClassifiedFirst(SentimentClassifier):
    """The linear layer on every token, and the mean of the logits: the same, since the layer is linear."""

    def forward(self, ids: Tensor, keep_mask: Tensor) -> Tensor:
        scores = self.classifier(self.encoder(ids, keep_mask))
        return torch.where(keep_mask[:, :, None], scores, torch.nan).nanmean(dim=1)
