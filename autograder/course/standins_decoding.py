"""What perplexity and generation are built from, by means of their own; see `standins`."""

import torch
from torch import Tensor


def top_k_filter(logits: Tensor, k: int) -> Tensor:
    """The k largest logits of the last dimension as they are, -inf elsewhere: those that fewer than k others exceed."""
    exceeded_by = (logits.unsqueeze(-2) > logits.unsqueeze(-1)).sum(dim=-1)
    return torch.where(exceeded_by < k, logits, -torch.inf)


def top_p_filter(logits: Tensor, p: float) -> Tensor:
    """The likeliest tokens whose probabilities reach p as they are, -inf elsewhere.

    A token stays when those less likely than it have more than 1 - p together with it, or when none is likelier.
    """
    no_likelier = logits.unsqueeze(-2) <= logits.unsqueeze(-1)
    together = (no_likelier * logits.softmax(dim=-1).unsqueeze(-2)).sum(dim=-1)
    return torch.where((together > 1 - p) | no_likelier.all(dim=-1), logits, -torch.inf)


def causal_lm_loss(logits: Tensor, ids: Tensor) -> Tensor:
    """How far the scores of the tokens that came lie below the logarithm of all exponentials, on average; 0 over none.

    Args:
        logits: (batch, time, vocab_size); ids: (batch, time), of which all but the first column are guessed.
    """
    guesses = logits[:, : ids.size(1) - 1]
    came = torch.take_along_dim(guesses, ids[:, 1:].unsqueeze(-1), dim=-1).squeeze(-1)
    surprise = guesses.logsumexp(dim=-1) - came
    return surprise.sum() / max(1, surprise.numel())
