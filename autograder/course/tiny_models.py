"""Tiny GPTs that train in seconds, for chapter 5's measurements: language models of growing size, and a secret code."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.course.gpt import GPT, GPTConfig
from autograder.course.threads import one_thread

BLOCK = 1000  # characters: a text is divided into training and held-out pieces of this length
HELD_OUT = 16  # one piece in so many is held out
WINDOW, ROWS = 32, 32  # a batch of text: so many rows of so many characters to predict
MEASURED = 2048  # rows at most on which a held-out loss is measured


def tiny_gpt(vocab_size: int, max_len: int, d_model: int, num_layers: int = 2, seed: int = 0) -> GPT:
    """A GPT with random weights; a head for every 16 numbers of the width.

    Its weights are larger than GPT-2's, whose standard deviation of 0.02 belongs to a width of several hundred.
    """
    torch.manual_seed(seed)
    heads = next(heads for heads in range(max(1, d_model // 16), 0, -1) if d_model % heads == 0)
    model = GPT(GPTConfig(vocab_size, max_len, d_model, heads, num_layers))
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.6 / math.sqrt(parameter.size(1)))
    return model


def train(
    model: GPT,
    batch: Callable[[torch.Generator], Tensor],
    steps: int,
    learning_rate: float,
    answer: int | None = None,
    decay: bool = True,
    seed: int = 0,
    look: Callable[[int], None] | None = None,
) -> None:
    """Train a GPT in place, with AdamW, to predict the next token.

    Args:
        batch: draws ids (rows, time) with the generator that it is handed; each but the first of a row is predicted.
        steps: how many batches are drawn.
        learning_rate: the largest one. It is reached after a tenth of the steps.
        answer: only so many tokens at the end of each row count; None for all.
        decay: whether the learning rate falls to zero after that, along a cosine.
        seed: of the batches. Two models with the same seed see the same ones.
        look: is called after each step with the number of steps that have been made.
    """
    if steps < 1:
        return
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    warmup = max(1, steps // 10)

    def factor(step: int) -> float:
        falling = 0.5 + 0.5 * math.cos(math.pi * max(0, step - warmup) / max(1, steps - warmup))
        return min(1.0, (step + 1) / warmup) * (falling if decay else 1.0)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    model.train()
    with one_thread():
        for step in range(1, steps + 1):
            ids = batch(generator)
            first = 0 if answer is None else ids.size(1) - 1 - answer
            logits = model(ids[:, :-1])[:, first:]
            optimizer.zero_grad()
            F.cross_entropy(logits.flatten(0, 1), ids[:, 1 + first :].flatten()).backward()
            optimizer.step()
            schedule.step()
            if look is not None:
                look(step)
    model.eval()


# -- text --------------------------------------------------------------------------------------------------------------


class Characters:
    """A text as ids of its characters, divided into pieces of which every sixteenth is held out.

    Args:
        text: at least two windows long.

    Attributes:
        vocabulary: the characters that occur, sorted; an id is a place in it.
        training: ids, one long row.
        held_out: ids (rows, WINDOW + 1), spread over the whole text.
    """

    def __init__(self, text: str) -> None:
        self.vocabulary = sorted(set(text))
        number = {character: i for i, character in enumerate(self.vocabulary)}
        ids = torch.tensor([number[character] for character in text])
        length = min(BLOCK, len(ids) // 2)
        pieces = ids[: len(ids) // length * length].view(-1, length)
        held = torch.arange(len(pieces)) % HELD_OUT == min(HELD_OUT // 2, len(pieces) - 1)
        self.training = pieces[~held].flatten()
        rows = pieces[held].unfold(1, min(WINDOW, length - 1) + 1, min(WINDOW, length - 1)).flatten(0, 1)
        self.held_out = rows[torch.linspace(0, len(rows) - 1, min(MEASURED, len(rows))).long()]

    def passes(self) -> int:
        """After how many batches as many characters have been drawn as there are."""
        return max(1, len(self.training) // (WINDOW * ROWS))

    def batch(self, generator: torch.Generator) -> Tensor:
        """ids (ROWS, time) from anywhere in the training pieces."""
        time = self.held_out.size(1)
        starts = torch.randint(len(self.training) - time + 1, (ROWS, 1), generator=generator)
        return self.training[starts + torch.arange(time)]

    def loss(self, model: GPT) -> float:
        """The mean cross-entropy of the held-out characters, in nats."""
        total = 0.0
        with torch.no_grad():
            for ids in self.held_out.split(256):
                logits = model(ids[:, :-1]).flatten(0, 1)
                total += F.cross_entropy(logits, ids[:, 1:].flatten(), reduction="sum").item()
        return total / self.held_out[:, 1:].numel()


# -- a secret code -----------------------------------------------------------------------------------------------------


class SecretCode:
    """Words of random letters and their code: each place has a substitution table of its own, which is to be learned.

    Args:
        length: letters of a word, and so the number of tables.
        letters: size of the alphabet.
        seed: of the tables.
    """

    def __init__(self, length: int = 10, letters: int = 26, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.length, self.letters = length, letters
        self.tables = torch.stack([torch.randperm(letters, generator=generator) for _ in range(length)])

    @property
    def vocab_size(self) -> int:
        return self.letters + 1  # and the mark between a word and its code

    @property
    def max_len(self) -> int:
        return 2 * self.length + 1

    def batch(self, generator: torch.Generator, rows: int = 32) -> Tensor:
        """ids (rows, 2 * length + 1): a word, the mark, its code."""
        word = torch.randint(self.letters, (rows, self.length), generator=generator)
        code = self.tables[torch.arange(self.length), word]
        return torch.cat([word, torch.full((rows, 1), self.letters), code], dim=1)

    def right(self, model: GPT, words: int = 1000, seed: int = 1) -> Tensor:
        """bool (words, length): which letters of the code of new words the model finds, each after the right ones.

        A word whose letters are all right here is one that the model writes right from beginning to end.
        """
        ids = self.batch(torch.Generator().manual_seed(seed), words)
        with torch.no_grad():
            logits = model(ids[:, :-1])[:, -self.length :]
        return torch.eq(logits.argmax(dim=-1), ids[:, -self.length :])

    def spell(self, ids: Tensor) -> str:
        """A row of `batch` in letters."""
        return "".join(chr(ord("a") + i) if i < self.letters else ">" for i in ids.tolist())
