"""The small GPT of chapter 4: its sizes, and stand-ins for the answers that build on one another.

`GPTBlock` and `GPT` have the parameter names of the exercises and compute what GPT-2 computes (Radford et al., 2019).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # query, key, value -> mixed; all (batch, heads, time, head_dim)


@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT.

    Args:
        vocab_size: how many different tokens there are; ids run from 0 to vocab_size - 1.
        max_len: the longest sequence, in tokens, that there are positions for.
        d_model: width of a token's vector; num_heads must divide it.
        num_heads: attention heads of each block, d_model / num_heads wide.
        num_layers: how many blocks are stacked.
        dropout: the share that is dropped in training, from 0 to 1.
        eps: what every layer norm adds to the variance.
    """

    vocab_size: int
    max_len: int
    d_model: int
    num_heads: int
    num_layers: int
    dropout: float = 0.0
    eps: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("vocab_size", "max_len", "d_model", "num_heads", "num_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"GPTConfig: {name} is {getattr(self, name)}; give at least 1.")
        if self.d_model % self.num_heads:
            raise ValueError(
                f"GPTConfig: d_model={self.d_model} cannot be divided into num_heads={self.num_heads} heads of the "
                "same width; choose a multiple."
            )
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"GPTConfig: dropout is {self.dropout}; give a share from 0 to 1.")


def causal_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention in which no token looks ahead; all are (batch, heads, time, head_dim)."""
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


class GPTBlock(nn.Module):
    """A pre-norm block of GPT-2: causal self-attention, then a feed-forward network with the tanh form of GELU.

    Args:
        config: the sizes; vocab_size, max_len and num_layers do not matter here.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        width = config.d_model
        self.num_heads = config.num_heads
        self.norm1 = nn.LayerNorm(width, eps=config.eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=config.eps)
        self.inner = nn.Linear(width, 4 * width)
        self.outer = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, attend: Attend = causal_attention) -> Tensor:
        """x: (batch, time, d_model) -> the same shape.

        `attend` is what mixes the heads' values, (query, key, value) -> mixed, all of them (batch, num_heads, time,
        head_dim): causal attention among the tokens of x if nothing else is given, or a cache's own attention.
        """
        query, key, value = self.qkv(self.norm1(x)).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = attend(query, key, value).transpose(1, 2).flatten(2)
        x = torch.add(x, self.dropout(self.output(mixed)))
        activated = F.gelu(self.inner(self.norm2(x)), approximate="tanh")
        return torch.add(x, self.dropout(self.outer(activated)))


class GPT(nn.Module):
    """A decoder-only Transformer with learned positions, whose output layer is its token table (Radford et al., 2019).

    Weights start as GPT-2's: normal with standard deviation 0.02, those that write into the residual stream divided
    by √(2 · num_layers); biases are 0.

    Args:
        config: the sizes; kept as `config`.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocab_size, config.d_model)
        self.position = nn.Embedding(config.max_len, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(GPTBlock(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.d_model, eps=config.eps)
        start_like_gpt2(self)

    def forward(self, ids: Tensor) -> Tensor:
        """ids: (batch, time), int64, time up to max_len -> logits of the next token, (batch, time, vocab_size)."""
        if ids.size(1) > self.config.max_len:
            raise ValueError(f"There are {ids.size(1)} tokens, but only {self.config.max_len} positions (max_len).")
        x = self.token(ids) + self.position.weight[: ids.size(1)]
        return self.logits(nn.Sequential(self.dropout, *self.blocks)(x))

    def logits(self, x: Tensor) -> Tensor:
        """What the last block gave, (batch, time, d_model) -> logits (batch, time, vocab_size)."""
        return F.linear(self.norm(x), self.token.weight)


def start_like_gpt2(model: nn.Module) -> None:
    """Draw the weights of a GPT as GPT-2 does (Radford et al., 2019, section 2.3); the norms stay as they are."""
    deep = math.sqrt(2 * len(list(model.get_submodule("blocks").children())))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif name.endswith(("output.weight", "outer.weight")):
            nn.init.normal_(parameter, std=0.02 / deep)
        elif parameter.ndim == 2:
            nn.init.normal_(parameter, std=0.02)


def random_gpt(std: float = 0.2, **sizes: int) -> GPT:
    """A GPT in eval mode whose weights are redrawn at a visible scale; `sizes` are the arguments of GPTConfig.

    For recipes: `make.recipe("autograder.course.gpt:random_gpt", vocab_size=11, max_len=8, d_model=6, num_heads=2,
    num_layers=2, seed=3)`.
    """
    model = GPT(GPTConfig(**sizes)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=std)
    return model


class _KVCache:
    """What the keys and values of one block's earlier tokens are kept in: a list of pieces, joined when asked for."""

    def __init__(self) -> None:
        self.pieces: list[Tensor] = []  # each (2, batch, heads, time, head_dim): keys and values

    @property
    def length(self) -> int:
        """How many tokens it holds."""
        return sum(piece.size(-2) for piece in self.pieces)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Keep the new keys and values; mix all values so far, for every new query the ones up to its own."""
        self.pieces.append(torch.stack([key, value]))
        keys, values = torch.cat(self.pieces, dim=-2).unbind()
        unseen = query.new_zeros(*query.shape[:-2], self.length - query.size(-2), query.size(-1))
        return causal_attention(torch.cat([unseen, query], dim=-2), keys, values)[..., -query.size(-2) :, :]


def filled_caches(model: GPT, ids: Tensor | None = None) -> list[_KVCache]:
    """One cache for each block of a model, which hold the keys and values of the tokens ids (batch, time), if any."""
    caches = [_KVCache() for _ in model.blocks]
    if ids is not None:
        x = model.token(ids) + model.position.weight[: ids.size(1)]
        for block, cache in zip(model.blocks, caches, strict=True):
            x = block(x, cache.attend)
    return caches
