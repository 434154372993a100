"""Dynamic padding: a batch is as long as its longest text (transformers' DataCollatorWithPadding does the same)."""

from typing import Any

import torch
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make


def pad_batch(features: list[dict[str, list[int] | int]], pad_id: int | None) -> dict[str, Tensor]:
    """Make one batch of a few tokenised texts of different lengths: what a DataLoader calls a collate function.

    Every text is padded on the right, up to the longest one of this batch and no further.

    Args:
        features: one dict for each text, {"input_ids": its token ids, a list of one or more; "label": its class}.
        pad_id: the id of the padding token. It may occur inside a text, too: GPT-2 is often padded with the token that
            ends its texts. None means that the tokenizer has no padding token.

    Returns:
        a dict of three tensors, with the names that models in transformers expect:
        "input_ids": (batch, longest), integers;
        "attention_mask": (batch, longest), True = keep: a token of the text, whatever its id, and no padding;
        "labels": (batch,), integers.

    Raises:
        ValueError: pad_id is None.
    """
    if pad_id is None:
        raise ValueError("the tokenizer has no padding token: set tokenizer.pad_token = tokenizer.eos_token first")
    ### BEGIN SOLUTION
    lengths = [len(feature["input_ids"]) for feature in features]
    longest = max(lengths)
    rows = [feature["input_ids"] + [pad_id] * (longest - len(feature["input_ids"])) for feature in features]
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    labels = torch.tensor([feature["label"] for feature in features])
    return {"input_ids": torch.tensor(rows), "attention_mask": mask, "labels": labels}
    ### END SOLUTION


exercise = Exercise(
    pad_batch,
    points=3,
    objectives=["3.5"],
    title_en="A batch with dynamic padding",
    title_ja="動的パディングでバッチを作る",
    device=False,  # lists go in: no device is given
)


# -- cases -------------------------------------------------------------------------------------------------------------


def features_of(make: Make, lengths: list[int], *, low: int, classes: int = 3) -> list[dict[str, Any]]:
    """Texts of these lengths, of ids from `low` up."""
    labels = make.integers(0, classes, len(lengths)).tolist()
    return [
        {"input_ids": make.integers(low, 30, length).tolist(), "label": label}
        for length, label in zip(lengths, labels, strict=True)
    ]


@exercise.visible(en="the example worked by hand in the text", ja="本文で手計算した例")
def _(make: Make) -> dict[str, Any]:
    texts = [([5, 8, 2], 1), ([7, 3, 9, 4, 2], 0), ([6, 2], 1)]
    return {"features": [{"input_ids": ids, "label": label} for ids, label in texts], "pad_id": 0}


@exercise.visible(en="padded with the token that ends every text", ja="文末のトークンでパディングする場合")
def _(make: Make) -> dict[str, Any]:
    features = features_of(make, [3, 1, 6, 2], low=3)
    for feature in features:
        feature["input_ids"].append(2)
    return {"features": features, "pad_id": 2}


@exercise.hidden(en="a batch of five texts", ja="5 文のバッチ", weight=2)
def _(make: Make) -> dict[str, Any]:
    return {"features": features_of(make, [4, 2, 7, 1, 6], low=4), "pad_id": 3}


@exercise.hidden(en="the padding token stands inside the texts, too", ja="パディングのトークンが文の中にもある場合")
def _(make: Make) -> dict[str, Any]:
    features = features_of(make, [3, 6, 2], low=2)
    for feature in features:
        feature["input_ids"] = [1, *feature["input_ids"], 1]
    return {"features": features, "pad_id": 1}


# -- mistakes ----------------------------------------------------------------------------------------------------------


def _batch(rows: list[list[int]], mask: list[list[int]], features: Any) -> dict[str, Tensor]:
    labels = torch.tensor([feature["label"] for feature in features])
    return {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(mask), "labels": labels}


def _filled(features: Any, pad_id: int, longest: int) -> tuple[list[list[int]], list[list[int]]]:
    ids = [feature["input_ids"][:longest] for feature in features]
    rows = [row + [pad_id] * (longest - len(row)) for row in ids]
    return rows, [[1] * len(row) + [0] * (longest - len(row)) for row in ids]


def _longest(features: Any) -> int:
    return max(len(feature["input_ids"]) for feature in features)


@exercise.mistake(
    en="The mask is worked out from the ids: where pad_id stands inside a text, a true token is hidden.",
    ja="マスクを ID から求めています。文の中に pad_id があると、本物のトークンまで隠れてしまいます。",
    hint_en="Which tokens are padding is known before they are put in. What tells it, if the ids do not?",
    hint_ja="どれがパディングかは、詰める前からわかっています。ID 以外の何からわかるでしょうか。",
)
def mask_from_the_ids(features: Any, pad_id: int) -> Any:
    rows, _ = _filled(features, pad_id, _longest(features))
    return _batch(rows, [[int(token != pad_id) for token in row] for row in rows], features)


@exercise.mistake(
    en="The mask is the wrong way round: it is True where the padding is.",
    ja="マスクが逆です。パディングの位置が True になっています。",
    hint_en="In this course, as in transformers, True (or 1) in a mask means: may be looked at.",
    hint_ja="この教材でも transformers でも、マスクの True（または 1）は「見てよい」という意味です。",
)
def mask_of_the_padding(features: Any, pad_id: int) -> Any:
    rows, mask = _filled(features, pad_id, _longest(features))
    return _batch(rows, [[1 - keep for keep in row] for row in mask], features)


@exercise.mistake(
    en="The texts are cut to the shortest one: tokens are lost.",
    ja="一番短い文に合わせて切っています。トークンが失われています。",
    hint_en="Padding adds something to the short texts. Which text sets the length of the batch?",
    hint_ja="パディングは短い文に何かを足すことです。バッチの長さを決めるのはどの文でしょうか。",
)
def cut_to_the_shortest(features: Any, pad_id: int) -> Any:
    rows, mask = _filled(features, pad_id, min(len(feature["input_ids"]) for feature in features))
    return _batch(rows, mask, features)


@exercise.mistake(
    en="The padding stands on the left.",
    ja="パディングが左側に付いています。",
    hint_en="The docstring says on which side. A BERT numbers its positions from the left: where should a text begin?",
    hint_ja="どちら側かは docstring に書いてあります。BERT の位置の番号は左から付きます。"
    "文はどこから始まるべきでしょうか。",
)
def padded_on_the_left(features: Any, pad_id: int) -> Any:
    rows, mask = [], []
    for feature in features:
        missing = _longest(features) - len(feature["input_ids"])
        rows.append([pad_id] * missing + feature["input_ids"])
        mask.append([0] * missing + [1] * len(feature["input_ids"]))
    return _batch(rows, mask, features)


@exercise.mistake(
    en="The padding is always 0, whatever pad_id is.",
    ja="pad_id にかかわらず、いつも 0 でパディングしています。",
    hint_en="BERT's padding token is number 0, RoBERTa's is number 1. Which argument knows it?",
    hint_ja="パディングのトークンは、BERT では 0 番、RoBERTa では 1 番です。それを知っている引数はどれですか。",
)
def always_zero(features: Any, pad_id: int) -> Any:
    return _batch(*_filled(features, 0, _longest(features)), features)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_the_library(features: Any, pad_id: int) -> Any:
    rows = [torch.tensor(feature["input_ids"]) for feature in features]
    ones = [torch.ones_like(row) for row in rows]
    return {
        "labels": torch.tensor([feature["label"] for feature in features], dtype=torch.int32),
        "input_ids": nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id),
        "attention_mask": nn.utils.rnn.pad_sequence(ones, batch_first=True),
    }


@exercise.accepted
def written_into_a_full_tensor(features: Any, pad_id: int) -> Any:
    shape = len(features), max(len(feature["input_ids"]) for feature in features)
    ids, mask = torch.full(shape, pad_id), torch.zeros(shape)
    labels = torch.zeros(shape[0], dtype=torch.long)
    for row, feature in enumerate(features):
        length = len(feature["input_ids"])
        ids[row, :length] = torch.tensor(feature["input_ids"])
        mask[row, :length] = 1.0
        labels[row] = feature["label"]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@exercise.accepted
def padded_in_place(features: Any, pad_id: int) -> Any:
    masks = []
    longest = max(map(len, (feature["input_ids"] for feature in features)))
    for feature in features:
        masks.append([True] * len(feature["input_ids"]))
        while len(feature["input_ids"]) < longest:
            feature["input_ids"].append(pad_id)
            masks[-1].append(False)
    labels = [feature["label"] for feature in features]
    return {
        "input_ids": torch.tensor([feature["input_ids"] for feature in features]).numpy(),
        "attention_mask": torch.tensor(masks).numpy(),
        "labels": torch.tensor(labels).numpy(),
    }
