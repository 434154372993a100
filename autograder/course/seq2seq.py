"""What the notebook on the Transformer is given: masks as PyTorch's module wants them, positions, a tiny translator."""

import torch
from torch import Tensor, nn


def as_attn_mask(keep_mask: Tensor | None, num_heads: int, query: Tensor, key: Tensor) -> Tensor | None:
    """Say with the `attn_mask` of nn.MultiheadAttention, where True forbids, what `keep_mask` says.

    Args:
        keep_mask: bool, True = keep, broadcasts to (batch, num_heads, queries, keys); None keeps everything.
        num_heads: the heads of the module.
        query: (batch, queries, d_model); key: (batch, keys, d_model).

    Returns:
        bool (batch * num_heads, queries, keys), True = must not look; None for None.
    """
    if keep_mask is None:
        return None
    return ~keep_mask.expand(query.size(0), num_heads, query.size(1), key.size(1)).flatten(0, 1)


def sinusoids(max_len: int, d_model: int) -> Tensor:
    """The sinusoidal positions of Vaswani et al. (2017, section 3.5): (max_len, d_model), sin and cos interleaved.

    A pair is a point on the unit circle, which turns at a speed of its own. d_model must be even.
    """
    if d_model % 2:
        raise ValueError(f"d_model ({d_model}) must be even")
    speeds = torch.logspace(0, -4, d_model // 2 + 1)[:-1]
    angles = torch.outer(torch.arange(max_len).to(speeds), speeds)
    return torch.view_as_real(torch.polar(torch.ones_like(angles), angles)).flip(-1).flatten(1)


class TinySeq2Seq(nn.Module):
    """A translator in miniature that is called like the chapter's Transformer, with plain averages for attention."""

    def __init__(self, source_vocab: int, target_vocab: int, width: int, dropout: float) -> None:
        super().__init__()
        self.source_embedding = nn.Embedding(source_vocab, width)
        self.target_embedding = nn.Embedding(target_vocab, width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, target_vocab)
        nn.init.zeros_(self.output.bias)

    def forward(
        self, source: Tensor, target: Tensor, source_mask: Tensor | None = None, target_mask: Tensor | None = None
    ) -> Tensor:
        """Ids (batch, time) of both and masks that broadcast to (batch, 1, queries, keys) -> logits."""
        read = _average(self.source_embedding(source), source_mask)
        written = _average(self.target_embedding(target), target_mask)
        hidden = torch.tanh(read + written.expand(-1, target.size(1), -1))
        logits: Tensor = self.output(self.dropout(hidden))
        return logits


def tiny_seq2seq(source_vocab: int, target_vocab: int, width: int, dropout: float = 0.0) -> TinySeq2Seq:
    """A `TinySeq2Seq` in evaluation mode, as a model is found after it has been evaluated."""
    return TinySeq2Seq(source_vocab, target_vocab, width, dropout).eval()


def _average(x: Tensor, keep_mask: Tensor | None) -> Tensor:
    """For every query the mean of what it may look at: (batch, keys, width) -> (batch, queries or 1, width)."""
    if keep_mask is None:
        return x.mean(dim=1, keepdim=True)
    kept = keep_mask[:, 0].to(x)
    return kept / kept.sum(dim=-1, keepdim=True) @ x
