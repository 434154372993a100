"""What scoring by a language model is tried on: logits that can be followed by hand and depend on all that was read."""

import torch
from torch import Tensor, nn


class PrefixLogits(nn.Module):
    """Logits from two tables: one row for the last token, and the mean of the other table's rows over the whole prefix.

    It behaves as a causal language model does: the logits at a position depend on all tokens up to it, on their order,
    on no later one and on no other row. They are not normalised.

    Args:
        last: (vocab, vocab), the logits that a token gives to its successor.
        prefix: (vocab, vocab), what every token up to here adds; all zeros if it is left out.
    """

    last: Tensor
    prefix: Tensor

    def __init__(self, last: Tensor, prefix: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("last", last)
        self.register_buffer("prefix", torch.zeros_like(last) if prefix is None else prefix)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (..., time) -> logits (..., time, vocab)."""
        count = torch.arange(1, ids.size(-1) + 1, device=ids.device).unsqueeze(-1)
        return self.last[ids] + self.prefix[ids].cumsum(dim=-2) / count
