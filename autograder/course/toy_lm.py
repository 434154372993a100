"""Language models that can be followed by hand: what a loss, a loop that generates, and a search are tried on."""

from types import SimpleNamespace

import torch
from torch import Tensor, nn


class ToyLM(nn.Module):
    """A causal language model with a GPT's interface and nothing to learn: it looks its logits up in a table.

    Which row of the table it reads depends on all tokens up to a position, on their order, and on where the text that
    it is shown begins; on no later token, and on no other row of the batch:

        row after the tokens x_1 ... x_t:   (1·x_1 + 2·x_2 + ... + t·x_t) mod the number of rows.

    Args:
        table: (rows, vocab_size), logits.
        max_len: how many tokens it can be shown at once; `config.max_len` says so, too.
    """

    table: Tensor

    def __init__(self, table: Tensor, max_len: int) -> None:
        super().__init__()
        self.register_buffer("table", table)
        self.config = SimpleNamespace(vocab_size=table.size(1), max_len=max_len)

    def rows_read(self, ids: Tensor) -> Tensor:
        """Which row of the table it reads at each position: (batch, time)."""
        place = torch.arange(1, ids.size(1) + 1, device=ids.device)
        return (place * ids).cumsum(dim=1) % len(self.table)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (batch, time, vocab_size) of the token that follows each position of ids: (batch, time).

        Raises:
            ValueError: there are more tokens than the model has positions, or none.
        """
        if not 1 <= ids.size(1) <= self.config.max_len:
            raise ValueError(f"this model reads 1 to {self.config.max_len} tokens, not {ids.size(1)}")
        return self.table[self.rows_read(ids)]


class ToyMaskedLM(nn.Module):
    """A masked language model with nothing to learn: its logits at a position depend on all tokens, on both sides.

    Args:
        table: (rows, vocab_size), logits. At a position it reads the row (place + 1·x_1 + 2·x_2 + ...) mod rows.
    """

    table: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (batch, time, vocab_size) for the token at each position of ids: (batch, time)."""
        place = torch.arange(1, ids.size(1) + 1, device=ids.device)
        return self.table[(place + (place * ids).sum(dim=1, keepdim=True)) % len(self.table)]


class ToySteps:
    """What a search asks, step by step: `steps(prefixes)` gives log-probabilities, read off a `ToyLM`.

    Args:
        table: (rows, vocab_size), logits; their log-softmax is taken.
        max_len: the longest prefix that there is an answer for.
    """

    def __init__(self, table: Tensor, max_len: int) -> None:
        self.model = ToyLM(table.log_softmax(dim=1), max_len)

    def __call__(self, prefixes: Tensor) -> Tensor:
        """(n, time), ids, to (n, vocab_size): the log-probabilities of the token that follows each prefix."""
        logits: Tensor = self.model.to(prefixes.device)(prefixes)[:, -1]
        return logits
