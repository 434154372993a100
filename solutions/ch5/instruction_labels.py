"""Inputs and labels for instruction tuning (Wei et al., 2021, "FLAN", section 2; Ouyang et al., 2022, section 3.5).

The loss is taken over the response alone, as in the public code of Alpaca (Taori et al., 2023).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make


def instruction_labels(
    prompt_ids: list[list[int]], response_ids: list[list[int]], eos_id: int
) -> tuple[Tensor, Tensor]:
    """Join prompts and responses to a batch for a causal language model, and say which tokens are to be learnt.

    Row i of the batch is prompt_ids[i], then response_ids[i], then one eos_id, then padding up to the longest row. As
    GPT-2 has no id of its own for padding, the padding is eos_id, too.

    Args:
        prompt_ids: the ids of the prompts, a list for each; lists differ in length and may be empty. eos_id may occur
            in a prompt, as a separator.
        response_ids: the ids of the responses, as many lists as prompts, without the eos that ends them; they may be
            empty.
        eos_id: the id that ends a response.

    Returns:
        input_ids: (batch, longest), int64, as described above.
        labels: (batch, longest), int64: at the tokens of the response and at the eos that ends it the same id as in
            input_ids, at the prompt and at the padding -100. The model shifts by itself: a label stands where its own
            token stands.
    """
    ### BEGIN SOLUTION
    inputs, targets = [], []
    for prompt, response in zip(prompt_ids, response_ids, strict=True):
        answer = [*response, eos_id]
        inputs.append(torch.tensor([*prompt, *answer]))
        targets.append(torch.tensor([-100] * len(prompt) + answer))
    input_ids = nn.utils.rnn.pad_sequence(inputs, batch_first=True, padding_value=eos_id)
    labels = nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=-100)
    ### END SOLUTION
    return input_ids, labels


exercise = Exercise(
    instruction_labels,
    points=3,
    objectives=["5.5"],
    title_en="Labels for instruction tuning",
    title_ja="指示チューニングのラベル",
    device=False,
    equivalent={
        "for prompt, response in zip(prompt_ids, response_ids, strict=False):": "there are as many responses as "
        "prompts",
        "for prompt, response in zip(prompt_ids, response_ids):": "the same",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def ids(make: Make, *lengths: int) -> list[list[int]]:
    """Lists of ids from 10 to 89, of these lengths."""
    return [make.integers(10, 90, length).tolist() for length in lengths]


@exercise.visible(en="the two pairs worked by hand in the text", ja="本文で書き出した二つのペア")
def _(make: Make) -> dict[str, Any]:
    return {"prompt_ids": [[5, 6, 7], [8, 9]], "response_ids": [[21, 22], [23]], "eos_id": 0}


@exercise.visible(en="three pairs of different lengths", ja="長さの違う三つのペア")
def _(make: Make) -> dict[str, Any]:
    return {"prompt_ids": ids(make, 2, 5, 1), "response_ids": ids(make, 4, 2, 7), "eos_id": 3}


@exercise.visible(en="an empty response", ja="応答が空の場合")
def _(make: Make) -> dict[str, Any]:
    return {"prompt_ids": ids(make, 4, 2), "response_ids": [[], *ids(make, 3)], "eos_id": 1}


@exercise.hidden(en="a larger batch", ja="もっと大きなバッチ", weight=2)
def _(make: Make) -> dict[str, Any]:
    return {"prompt_ids": ids(make, 3, 6, 2, 9, 5), "response_ids": ids(make, 8, 1, 4, 3, 11), "eos_id": 7}


@exercise.hidden(en="a prompt with separators", ja="区切りのトークンを含むプロンプト")
def _(make: Make) -> dict[str, Any]:
    first, second, third = ids(make, 3, 2, 6)
    return {"prompt_ids": [[95, *first, 95, *second], third], "response_ids": ids(make, 2, 5), "eos_id": 95}


@exercise.hidden(en="an empty prompt and an empty response", ja="空のプロンプトと空の応答")
def _(make: Make) -> dict[str, Any]:
    return {"prompt_ids": [[], *ids(make, 7, 3)], "response_ids": [*ids(make, 3), [], *ids(make, 2)], "eos_id": 4}


# -- mistakes ----------------------------------------------------------------------------------------------------------


def batch(prompts: list[list[int]], responses: list[list[int]], eos_id: int) -> tuple[Tensor, Tensor]:
    """The right inputs, and the place of each token in its row, counted from the first of the response."""
    rows = [torch.tensor([*prompt, *response, eos_id]) for prompt, response in zip(prompts, responses, strict=True)]
    inputs = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=eos_id)
    starts = torch.tensor([len(prompt) for prompt in prompts])
    return inputs, torch.arange(inputs.size(1)) - starts[:, None]


def ends(responses: list[list[int]]) -> Tensor:
    """How many tokens each response has, as a column; so it is the place of its eos, counted as in `batch`."""
    return torch.tensor([len(response) for response in responses])[:, None]


@exercise.mistake(
    en="The prompt has labels, too: the model is trained to write the user's questions.",
    ja="プロンプトにもラベルが付いています。これでは、モデルは利用者の質問を書く練習までしてしまいます。",
    hint_en="Which part of the text will the model have to write when it is used?",
    hint_ja="実際に使うとき、モデルが書くのは文のどの部分でしょうか。",
)
def prompt_not_masked(prompt_ids: list[list[int]], response_ids: list[list[int]], eos_id: int) -> tuple[Tensor, Tensor]:
    inputs, place = batch(prompt_ids, response_ids, eos_id)
    return inputs, inputs.masked_fill(place > ends(response_ids), -100)


@exercise.mistake(
    en="Every eos_id has the label -100, the one that ends the response as well: the model never learns to stop.",
    ja="eos_id がすべて -100 になっています。応答を終える eos までラベルがないと、モデルは書き終えることを学べません。",
    hint_en="Padding and the end of a response are the same id. By what else can you tell them apart?",
    hint_ja="パディングと応答の終わりは、同じ id です。id 以外の何で見分けられるでしょうか。",
)
def every_eos_masked(prompt_ids: list[list[int]], response_ids: list[list[int]], eos_id: int) -> tuple[Tensor, Tensor]:
    inputs, place = batch(prompt_ids, response_ids, eos_id)
    return inputs, inputs.masked_fill((place < 0) | (inputs == eos_id), -100)


@exercise.mistake(
    en="The padding has labels: the model is trained to write eos after eos.",
    ja="パディングにもラベルが付いています。モデルは eos の後にまた eos を書く練習をしてしまいます。",
    hint_en="Short rows would add many easy tokens to the loss. How many eos of each row should be learnt?",
    hint_ja="短い行ほど、簡単に当たるトークンが損失にたくさん加わります。各行で学習すべき eos はいくつですか。",
)
def padding_learnt(prompt_ids: list[list[int]], response_ids: list[list[int]], eos_id: int) -> tuple[Tensor, Tensor]:
    inputs, place = batch(prompt_ids, response_ids, eos_id)
    return inputs, inputs.masked_fill(place < 0, -100)


@exercise.mistake(
    en="No eos is put after the response.",
    ja="応答の後に eos がありません。",
    hint_en="How is the model to know, later on, that it has said everything?",
    hint_ja="言うべきことを言い終えたと、モデルは後でどうやって知るのでしょうか。",
)
def without_eos(prompt_ids: list[list[int]], response_ids: list[list[int]], eos_id: int) -> tuple[Tensor, Tensor]:
    pairs = list(zip(prompt_ids, response_ids, strict=True))
    inputs = [torch.tensor([*prompt, *response], dtype=torch.long) for prompt, response in pairs]
    labels = [torch.tensor([-100] * len(prompt) + [*response], dtype=torch.long) for prompt, response in pairs]
    pad = nn.utils.rnn.pad_sequence
    return pad(inputs, batch_first=True, padding_value=eos_id), pad(labels, batch_first=True, padding_value=-100)


@exercise.mistake(
    en="The labels are shifted by one place: the model, which shifts by itself, would learn to skip a token.",
    ja="ラベルが一つずれています。ずらすのはモデルの側なので、これではトークンを一つ飛ばすことを学んでしまいます。",
    hint_en="The docstring says who shifts. At which place does the label of a token stand?",
    hint_ja="ずらすのは誰の仕事か、docstring に書いてあります。トークンのラベルは、どの位置に置きますか。",
)
def labels_shifted(prompt_ids: list[list[int]], response_ids: list[list[int]], eos_id: int) -> tuple[Tensor, Tensor]:
    inputs, labels = instruction_labels(prompt_ids, response_ids, eos_id)
    return inputs, torch.cat([labels[:, 1:], labels.new_full((len(labels), 1), -100)], dim=1)


@exercise.mistake(
    en="In every row the same number of places is masked, as many as the longest prompt has.",
    ja="どの行でも、最も長いプロンプトの長さだけ -100 にしています。",
    hint_en="Where does the response begin in a row whose prompt is short?",
    hint_ja="プロンプトの短い行では、応答はどこから始まりますか。",
)
def longest_prompt_masked(
    prompt_ids: list[list[int]], response_ids: list[list[int]], eos_id: int
) -> tuple[Tensor, Tensor]:
    inputs, labels = instruction_labels(prompt_ids, response_ids, eos_id)
    labels[:, : max(len(prompt) for prompt in prompt_ids)] = -100
    return inputs, labels


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def filled_in(prompt_ids: list[list[int]], response_ids: list[list[int]], eos_id: int) -> tuple[Tensor, Tensor]:
    """Two full tables, and each row written into them."""
    size = max(len(prompt) + len(response) + 1 for prompt, response in zip(prompt_ids, response_ids, strict=True))
    inputs = torch.full((len(prompt_ids), size), eos_id)
    labels = torch.full((len(prompt_ids), size), -100)
    for row, (prompt, response) in enumerate(zip(prompt_ids, response_ids, strict=True)):
        start, end = len(prompt), len(prompt) + len(response)
        inputs[row, :end] = torch.tensor([*prompt, *response], dtype=torch.long)
        labels[row, start : end + 1] = inputs[row, start : end + 1]
    return inputs, labels


@exercise.accepted
def lists_of_lists(prompt_ids: list[list[int]], response_ids: list[list[int]], eos_id: int) -> tuple[Tensor, Tensor]:
    """Plain Python, made a tensor at the end."""
    rows = [list(prompt) + list(response) + [eos_id] for prompt, response in zip(prompt_ids, response_ids, strict=True)]
    longest = max(map(len, rows))
    labels = [
        [-100] * len(prompt) + row[len(prompt) :] + [-100] * (longest - len(row))
        for prompt, row in zip(prompt_ids, rows, strict=True)
    ]
    return torch.tensor([row + [eos_id] * (longest - len(row)) for row in rows]), torch.tensor(labels)


@exercise.accepted
def by_place(prompt_ids: list[list[int]], response_ids: list[list[int]], eos_id: int) -> tuple[Tensor, Tensor]:
    """Which token is learnt is a question of its place; the table is NumPy's."""
    starts = np.array([len(prompt) for prompt in prompt_ids])[:, None]
    stops = starts + np.array([len(response) for response in response_ids])[:, None]
    table = np.full((len(prompt_ids), int(stops.max()) + 1), eos_id, dtype=np.int64)
    for row, prompt, response in zip(table, prompt_ids, response_ids, strict=True):
        row[: len(prompt) + len(response)] = np.array([*prompt, *response], dtype=np.int64)
    place = np.arange(table.shape[1])
    labels = np.where((place >= starts) & (place <= stops), table, -100)
    return torch.from_numpy(table), torch.from_numpy(labels)
