"""Earlier answers, built on PyTorch's public API: what an exercise calls when its own helper was answered wrongly.

They say nothing about how the exercise is written: each is a call of the library's fused version.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(query: Tensor, key: Tensor, value: Tensor, keep_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention and its weights (Vaswani et al., 2017, equation 1).

    Args:
        query: (..., queries, d_k); key: (..., keys, d_k); value: (..., keys, d_v).
        keep_mask: bool, True = keep, broadcast to (..., queries, keys).

    Returns:
        output (..., queries, d_v) and weights (..., queries, keys). The weights are the attention of the identity.
    """
    identity = torch.eye(key.size(-2), dtype=value.dtype, device=value.device)
    identity = identity.expand(*value.shape[:-2], *identity.shape)
    output = F.scaled_dot_product_attention(query, key, value, attn_mask=keep_mask)
    return output, F.scaled_dot_product_attention(query, key, identity, attn_mask=keep_mask)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Softmax along one dimension: the library's own."""
    return F.softmax(x, dim)


def split(x: Tensor, num_heads: int) -> Tensor:
    """Blocks of neighbouring features as heads: (batch, time, width) to (batch, heads, time, width / heads).

    An image of one channel, cut into patches that are one row high.
    """
    batch, time, width = x.shape
    patch = (1, width // num_heads)
    patches = F.unfold(x.unsqueeze(1), kernel_size=patch, stride=patch)
    return patches.view(batch, patch[1], time, num_heads).permute(0, 3, 2, 1)


def merge(x: Tensor) -> Tensor:
    """The inverse of `split`: the patches are put back into the image."""
    batch, heads, time, head_dim = x.shape
    patches = x.permute(0, 3, 2, 1).reshape(batch, head_dim, time * heads)
    return F.fold(patches, (time, heads * head_dim), kernel_size=(1, head_dim), stride=(1, head_dim)).squeeze(1)
