"""What learning in context is tried on: logits that can be followed by hand, and small models that learn in a notebook.

transformers is imported only where a model is built: it takes seconds, and the exam's logits do without it.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from autograder.course.threads import one_thread

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel


class PrefixLogits(nn.Module):
    """Logits from two tables: one row for the last token, and the mean of the other table's rows over the whole prefix.

    It behaves as a causal language model does: the logits at a position depend on all tokens up to it, on no later one
    and on no other row. They are not normalised.

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
        logits: Tensor = self.last[ids] + self.prefix[ids].cumsum(dim=-2) / count
        return logits


def small_gpt(
    vocab_size: int, max_len: int, width: int = 64, layers: int = 2, heads: int = 4, use_cache: bool = False
) -> "GPT2LMHeadModel":
    """A GPT-2 with random weights, small enough to be trained in a notebook, without dropout.

    `use_cache` is for models that write; those that are only asked for logits need no cache.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocab_size,
        n_positions=max_len,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        activation_function="gelu_pytorch_tanh",  # the same function as GPT-2's own, in one operation
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=use_cache,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPT2LMHeadModel(config)


class RegressionTransformer(nn.Module):
    """A GPT-2 that reads examples (x, y) and predicts the y of each x from the examples before it (Garg et al., 2022).

    Every example becomes two tokens: x alone, where the prediction is made, and then x together with y, which only
    later tokens see.

    Args:
        features: d, the width of x.
        examples: how many examples a prompt holds at most.
    """

    def __init__(self, features: int, examples: int, width: int = 64, layers: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.read = nn.Linear(features + 2, width)
        self.body = small_gpt(1, 2 * examples, width, layers, heads).transformer
        self.write = nn.Linear(width, 1)

    def forward(self, xs: Tensor, ys: Tensor) -> Tensor:
        """xs (batch, n, features), ys (batch, n) -> predictions (batch, n), the one at i made from i examples."""
        asked = torch.cat([xs, torch.zeros_like(xs[..., :2])], dim=-1)
        shown = torch.cat([xs, ys.unsqueeze(-1), torch.ones_like(ys).unsqueeze(-1)], dim=-1)
        tokens = self.read(torch.stack([asked, shown], dim=2).flatten(1, 2))
        states = self.body(inputs_embeds=tokens).last_hidden_state
        predictions: Tensor = self.write(states[:, ::2]).squeeze(-1)
        return predictions


def train(
    model: nn.Module, loss_of: Callable[[], Tensor], steps: int, seconds: float, rate: float = 2e-3
) -> list[float]:
    """Train until so many steps are made or so many seconds are over, whichever comes first.

    The learning rate rises over the first twentieth and falls to zero along a straight line; gradients are clipped. One
    thread computes: models as small as these gain nothing from a second one, and lose much where cores are shared.

    Args:
        model: what is trained, all of its parameters.
        loss_of: draws a batch and returns the model's loss on it.

    Returns:
        the losses, one for each step.
    """
    with one_thread():
        losses = _train(model, loss_of, steps, seconds, rate)
    model.eval()
    return losses


def _train(model: nn.Module, loss_of: Callable[[], Tensor], steps: int, seconds: float, rate: float) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    began, losses = time.perf_counter(), list[float]()
    model.train()
    for step in range(steps):
        done = max(step / steps, (time.perf_counter() - began) / seconds)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / (0.05 * steps), (1.0 - done) / 0.8)
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
