"""Chapter 5's small world of instructions: a language of made-up words, a GPT of its own, and a simulated annotator.

Documents of the base corpus are numbered notes: a word, and the word again in some form. The number says nothing about
the form. Instructions name it.
Everything is made on the spot from a seed. Texts are letters and words with spaces between them.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from autograder.course.in_context import small_gpt

LETTERS = "abcdefghij"
COMMANDS: dict[str, Callable[[str], str]] = {
    "copy": str,
    "reverse": lambda word: word[::-1],
    "upper": str.upper,
}
NUMBERS = "123456789"
POLITE = "you are welcome"  # what a polite answer ends with
EOS = "<eos>"
LONGEST = 32  # tokens that the model can see
WRITTEN = 12  # tokens that it writes at most


def tokenizer() -> PreTrainedTokenizerFast:
    """One token for each letter, command and other word; padding is eos, as in GPT-2."""
    words = [EOS, *LETTERS, *LETTERS.upper(), *NUMBERS, *COMMANDS, *POLITE.split(), ":", "="]
    made = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token=EOS))
    made.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=EOS, pad_token=EOS, padding_side="left")


def tiny_gpt(width: int = 64, layers: int = 2, heads: int = 4, seed: int = 0) -> GPT2LMHeadModel:
    """A GPT-2 of about a hundred thousand parameters with random weights."""
    torch.manual_seed(seed)
    model = small_gpt(len(tokenizer()), LONGEST, width, layers, heads, use_cache=True)
    model.loss_type = "ForCausalLM"
    return model


# -- texts ---------------------------------------------------------------------------------------------------------


def _words(count: int, seed: int, held_out: bool = False) -> list[str]:
    """Different made-up words of three and four letters, for training or held out."""
    spelled = ("".join(letters) for length in (3, 4) for letters in itertools.product(LETTERS, repeat=length))
    words = [word for word in spelled if _held_out(word) == held_out]
    return random.Random(seed).sample(words, count)


def _held_out(word: str) -> bool:
    """Whether a word is kept away from all training: about one in five, told by its first two letters."""
    return (LETTERS.index(word[0]) + LETTERS.index(word[1])) % 5 == 0


def _spaced(word: str) -> str:
    return " ".join(word)


def documents(count: int, seed: int = 0) -> Dataset:
    """Raw text: a number, ":", a word, "=", and the word again in one of three forms, which nothing announces."""
    draw = random.Random(seed)
    forms = list(COMMANDS.values())
    texts = [
        f"{draw.choice(NUMBERS)} : {_spaced(word)} = {_spaced(draw.choice(forms)(word))}"
        for word in _words(count, seed)
    ]
    return Dataset.from_dict({"text": texts})


def instructions(count: int, seed: int = 0, *, held_out: bool = False) -> Dataset:
    """Instructions with an answer each; half of the answers are polite. Columns: prompt, response, right.

    `right` is the answer without politeness. Held-out instructions have words that occur in no training text.
    """
    draw = random.Random(seed)
    rows = []
    for word in _words(count, seed, held_out):
        command = draw.choice(list(COMMANDS))
        right = _spaced(COMMANDS[command](word))
        response = f"{right} {POLITE}" if draw.random() < 0.5 else right
        rows.append({"prompt": f"{command} : {_spaced(word)} =", "response": response, "right": right})
    return Dataset.from_list(rows)


def is_polite(answer: str) -> bool:
    return answer.endswith(POLITE)


def is_right(answer: str, right: str) -> bool:
    """Whether the task was done, politely or not."""
    return answer.removesuffix(POLITE).strip() == right


# -- answers -------------------------------------------------------------------------------------------------------


def write(model: GPT2LMHeadModel, prompts: Sequence[str], *, seed: int | None = None) -> list[str]:
    """The model's answers: the likeliest token at every step, or drawn at temperature 1 where a seed is given."""
    tokens = tokenizer()
    batch = tokens(list(prompts), padding=True, return_tensors="pt", return_token_type_ids=False)
    if seed is not None:
        torch.manual_seed(seed)
    drawing = {} if seed is None else {"do_sample": True, "top_k": 0}
    with torch.no_grad():
        written = model.eval().generate(**batch, **drawing, max_new_tokens=WRITTEN, pad_token_id=tokens.pad_token_id)
    answers: list[str] = tokens.batch_decode(written[:, batch["input_ids"].size(1) :], skip_special_tokens=True)
    return answers


def log_probability(model: GPT2LMHeadModel, input_ids: Tensor, labels: Tensor) -> Tensor:
    """The log-probability of each row's labelled tokens: (batch,). Padding must stand on the right."""
    logits = model(input_ids=input_ids, attention_mask=torch.ones_like(input_ids)).logits[:, :-1]
    labels = labels[:, 1:]
    each = logits.log_softmax(dim=-1).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return each.masked_fill(labels == -100, 0.0).sum(dim=1)


# -- preferences ---------------------------------------------------------------------------------------------------


def annotator_score(answer: str, right: str) -> float:
    """What the simulated annotator thinks of an answer: the task done counts 2, politeness 2."""
    return 2.0 * is_right(answer, right) + 2.0 * is_polite(answer)


def preferences(tasks: Dataset, first: Sequence[str], second: Sequence[str], seed: int = 0) -> Dataset:
    """What the annotator chooses between two answers to each task. Columns: prompt, chosen, rejected, foretold.

    Equal answers are left out. The choice is drawn as Bradley and Terry have it, from the difference of the scores;
    `foretold` is 1 where the answer with the higher score was chosen, 0 where it was not, 1/2 for equal scores.
    """
    draw = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for task, one, other in zip(tasks, first, second, strict=True):
        if one == other:
            continue
        ahead = annotator_score(one, task["right"]) - annotator_score(other, task["right"])
        takes_one = draw.random() < float(torch.sigmoid(torch.tensor(ahead)))
        chosen, rejected = (one, other) if takes_one else (other, one)
        foretold = 0.5 if ahead == 0 else float((ahead > 0) == takes_one)
        rows.append({"prompt": task["prompt"], "chosen": chosen, "rejected": rejected, "foretold": foretold})
    return Dataset.from_list(rows)
