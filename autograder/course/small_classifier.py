"""Classifiers with the interface of transformers' models that are trained, or read off, in milliseconds.

As there, `model(**batch)` returns an object with `logits` and, when the batch holds labels, `loss`; the parts bear the
names of BertForSequenceClassification; and a model arrives in eval mode, as from_pretrained hands it over.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Output:
    """What a model returns. `output.loss`, `output["loss"]` and `output[0]` are the same, as in transformers."""

    loss: Tensor | None
    logits: Tensor

    def __getitem__(self, key: str | int | slice) -> Any:
        given = [value for value in (self.loss, self.logits) if value is not None]
        return getattr(self, key) if isinstance(key, str) else given[key]


def _output(logits: Tensor, labels: Tensor | None) -> Output:
    return Output(None if labels is None else F.cross_entropy(logits, labels), logits)


# -- one to train ------------------------------------------------------------------------------------------------------


class _Embeddings(nn.Module):
    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.LayerNorm(self.word_embeddings(input_ids))


class _Layer(nn.Module):
    """A residual layer that looks at one token at a time: what is examined on it is the training, not the model."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.LayerNorm = nn.LayerNorm(width)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.LayerNorm(hidden + torch.tanh(self.dense(hidden)))


class _Encoder(nn.Module):
    def __init__(self, width: int, num_layers: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(width) for _ in range(num_layers))

    def forward(self, hidden: Tensor) -> Tensor:
        for layer in self.layer:
            hidden = layer(hidden)
        return hidden


class _Pooler(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, pooled: Tensor) -> Tensor:
        return torch.tanh(self.dense(pooled))


class _Small(nn.Module):
    def __init__(self, vocab_size: int, width: int, num_layers: int) -> None:
        super().__init__()
        self.embeddings = _Embeddings(vocab_size, width)
        self.encoder = _Encoder(width, num_layers)
        self.pooler = _Pooler(width)

    def forward(self, input_ids: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """The mean of the kept tokens' vectors (batch, width), and the same through the pooler."""
        hidden = self.encoder(self.embeddings(input_ids))
        weight = keep.to(hidden)[..., None]
        mean = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
        return mean, self.pooler(mean)


class SmallClassifier(nn.Module):
    """A classifier of sequences. Dropout acts on the pooler's output, which is added to the mean of the tokens.

    Args:
        vocab_size, width, num_layers, num_labels: the sizes.
        dropout: its probability. With 1.0 training mode shows without any chance: the pooler's output is gone.
        spread: the standard deviation of the weights.
        frozen: the name of a part that is frozen, such as "bert.embeddings"; "" for none.
    """

    def __init__(
        self,
        vocab_size: int = 11,
        width: int = 5,
        num_layers: int = 2,
        num_labels: int = 3,
        *,
        dropout: float = 0.0,
        spread: float = 0.4,
        frozen: str = "",
    ) -> None:
        super().__init__()
        self.bert = _Small(vocab_size, width, num_layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_labels)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.normal_(std=spread)  # no two are equal, biases neither: each can be told by its values
                if name.endswith("LayerNorm.weight"):
                    parameter.add_(1.0)
        if frozen:
            self.get_submodule(frozen).requires_grad_(False)
        self.eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None) -> Output:
        """Logits (batch, num_labels), and the mean cross-entropy where labels (batch,) are given.

        Args:
            input_ids: (batch, time).
            attention_mask: (batch, time), True or 1 = keep.
            labels: (batch,).
        """
        keep = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mean, pooled = self.bert(input_ids, keep)
        return _output(self.classifier(mean + self.dropout(pooled)), labels)


# -- one to evaluate ---------------------------------------------------------------------------------------------------


class TableClassifier(nn.Module):
    """A classifier that reads the logits of a text from a table, by its first token: its predictions are known.

    Args:
        table: (vocab_size, num_labels) of logits.
        dropout: its probability, on the logits. With 1.0 all logits are 0 in training mode.
        training: the mode in which it arrives.
        shows: what its state tells besides the table: "mode" the mode that it is in, "gradients" how many passes were
            run with gradients being recorded; "" nothing.
    """

    def __init__(self, table: Tensor, *, dropout: float = 0.0, training: bool = False, shows: str = "") -> None:
        super().__init__()
        self.table = nn.Parameter(table)
        self.dropout = nn.Dropout(dropout)
        self.passes_with_gradients, self.shows = 0, shows
        self.train(training)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None) -> Output:
        """Logits (batch, num_labels), and the mean cross-entropy where labels (batch,) are given."""
        self.passes_with_gradients += torch.is_grad_enabled()
        return _output(self.dropout(self.table[input_ids[:, 0]]), labels)

    def get_extra_state(self) -> Any:
        seen = {"mode": int(self.training), "gradients": self.passes_with_gradients}
        return torch.tensor(seen.get(self.shows, 0))

    def set_extra_state(self, state: Any) -> None:
        """What was seen belongs to the model that has seen it."""
