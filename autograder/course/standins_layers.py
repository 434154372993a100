"""The answers that a whole Transformer is stacked from, built on PyTorch's own layers; see `standins`."""

import torch
from torch import Tensor, nn

from autograder.course.seq2seq import as_attn_mask


def causal_mask(time: int) -> Tensor:
    """Bool (time, time), True = may look: the library's float mask holds 0 there, and -inf elsewhere."""
    return torch.nn.Transformer.generate_square_subsequent_mask(time).isfinite()


class EncoderLayer(nn.Module):
    """nn.TransformerEncoderLayer, whose parts bear the names of the course."""

    def __init__(self, d_model: int, num_heads: int, d_ff: int, dropout: float = 0.0) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(d_model, num_heads, d_ff, dropout=0.0, batch_first=True)
        layer.dropout1 = layer.dropout2 = self.dropout = nn.Dropout(dropout)
        self.num_heads, self.self_attention = num_heads, layer.self_attn
        self.linear1, self.linear2 = layer.linear1, layer.linear2
        self.norm1, self.norm2 = layer.norm1, layer.norm2
        self._library = (layer,)  # in a tuple: its parameters shall have one name each

    def forward(self, x: Tensor, keep_mask: Tensor | None = None) -> Tensor:
        output: Tensor = self._library[0](x, as_attn_mask(keep_mask, self.num_heads, x, x))
        return output


class DecoderLayer(nn.Module):
    """nn.TransformerDecoderLayer, whose parts bear the names of the course."""

    def __init__(self, d_model: int, num_heads: int, d_ff: int, dropout: float = 0.0) -> None:
        super().__init__()
        layer = nn.TransformerDecoderLayer(d_model, num_heads, d_ff, dropout=0.0, batch_first=True)
        layer.dropout1 = layer.dropout2 = layer.dropout3 = self.dropout = nn.Dropout(dropout)
        self.num_heads = num_heads
        self.self_attention, self.cross_attention = layer.self_attn, layer.multihead_attn
        self.linear1, self.linear2 = layer.linear1, layer.linear2
        self.norm1, self.norm2, self.norm3 = layer.norm1, layer.norm2, layer.norm3
        self._library = (layer,)

    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        among_themselves = as_attn_mask(self_mask, self.num_heads, x, x)
        across = as_attn_mask(memory_mask, self.num_heads, x, memory)
        output: Tensor = self._library[0](x, memory, among_themselves, across)
        return output
