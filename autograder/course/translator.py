"""A sequence-to-sequence model that can be followed by hand: what a decoding loop is tried on."""

import torch
from torch import Tensor, nn

SURE = 3.0  # the logit of the token that it would write; all others have 0


class ToyTranslator(nn.Module):
    """Writes the words of the source in reverse order, then eos. It has a Transformer's interface and nothing to learn.

    It behaves as a trained model does where a decoding loop can go wrong: the logits at a position depend on all tokens
    up to it, on no later one, and on no other row; and a row that is asked to go on after eos goes on writing.

    Args:
        vocab_size: the ids are 0 to vocab_size - 1; those that are not special are words.
        pad, bos, eos: the special ids.
        chained: whether each word is moved on, in the list of words, by the sum of all ids that the decoder was fed so
            far. One wrong id at the beginning then changes everything after it.
    """

    words: Tensor
    rows_encoded: Tensor

    def __init__(self, vocab_size: int, pad: int, bos: int, eos: int, chained: bool = False) -> None:
        super().__init__()
        self.vocab_size, self.eos, self.chained = vocab_size, eos, chained
        self.register_buffer("words", torch.tensor([i for i in range(vocab_size) if i not in (pad, bos, eos)]))
        self.register_buffer("rows_encoded", torch.tensor(0))  # how many rows the encoder has read, which takes time

    def encode(self, source: Tensor) -> Tensor:
        """Read the source: ids (batch, source_time), its words first, then padding. The memory is for `decode`."""
        self.rows_encoded += len(source)
        backwards = source.flip(1)
        is_word = (backwards.unsqueeze(-1) == self.words).any(dim=-1)
        order = (~is_word).long().argsort(dim=1, stable=True)  # the words to the front
        written = torch.cat([backwards.gather(1, order), backwards[:, :1]], dim=1)  # room for eos
        place = torch.arange(written.size(1), device=source.device)
        count = is_word.sum(dim=1, keepdim=True)
        return torch.where(place < count, written, torch.where(place == count, self.eos, -1))

    def decode(self, target: Tensor, memory: Tensor) -> Tensor:
        """Logits (batch, target_time, vocab) for the token after each position of target: ids (batch, target_time)."""
        place = torch.arange(target.size(1), device=target.device)
        token = memory.gather(1, place % (memory >= 0).sum(dim=1, keepdim=True))  # after eos it starts again
        if self.chained:
            number = torch.searchsorted(self.words, token) + target.cumsum(dim=1)
            token = torch.where(token == self.eos, token, self.words[number % len(self.words)])
        return SURE * torch.eye(self.vocab_size, device=target.device)[token]

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """What training calls: both halves at once, on a target that is known."""
        return self.decode(target, self.encode(source))
