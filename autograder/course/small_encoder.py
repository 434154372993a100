"""An encoder with the interface of chapter 4's sentiment classifier, for exams: `encoder(ids, keep_mask)`."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class EncoderConfig:
    """What an encoder says of itself; the name is that of transformers' configurations."""

    hidden_size: int


class SmallEncoder(nn.Module):
    """Token and position vectors, and one head of attention to both sides.

    What it gives at padded places is not zero, as in any real encoder.

    Args:
        vocab_size, width, max_len: the sizes.
    """

    def __init__(self, vocab_size: int = 11, width: int = 6, max_len: int = 16) -> None:
        super().__init__()
        self.config = EncoderConfig(width)
        self.token, self.position = nn.Embedding(vocab_size, width), nn.Embedding(max_len, width)
        self.mix, self.norm = nn.Linear(width, width), nn.LayerNorm(width, eps=1e-12)

    def forward(self, ids: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        """(batch, time, width) for ids (batch, time); keep_mask (batch, time), True = keep, hides keys from all."""
        x = self.token(ids) + self.position(torch.arange(ids.size(1), device=ids.device))
        keys = None if keep_mask is None else keep_mask.bool()[:, None]
        hidden: Tensor = self.norm(x + self.mix(F.scaled_dot_product_attention(x, x, x, attn_mask=keys)))
        return hidden
