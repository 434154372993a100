"""Questions about passages: SQuAD v2 where it can be had, else passages that were written for this course.

The passages of `data/questions` are about everyday and general matters. Each has questions whose answer stands in it,
word for word, and one that it does not answer.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.course import sources
from autograder.course.messages import SOURCES
from autograder.text import Text, same

if TYPE_CHECKING:
    from datasets import Dataset

SPLITS = ("train", "validation")
OWN = "passages"
NAMES = ("squad", OWN)
PASSAGES = Path(__file__).parent / "data" / "questions"

_HUB = "rajpurkar/squad_v2"
_FILES = {"train": "train-v2.0.json", "validation": "dev-v2.0.json"}
_EVERY = 5  # every fifth article of one file for both splits is for validation
_LONGEST = 60  # characters of a faulty text that a message repeats


@dataclass(frozen=True)
class Row:
    """One question, with all the answers that people gave: none if the passage does not answer it."""

    id: str
    context: str
    question: str
    texts: tuple[str, ...]
    starts: tuple[int, ...]


def load_questions(split: str = "train", limit: int | None = None, name: str = "squad") -> "Dataset":
    """Questions about passages, in the form of SQuAD v2. Prints one line that says where they come from.

    Args:
        split: "train" or "validation"; no passage is in both.
        limit: take so many questions only, drawn from all: the same ones each time, and with a larger limit the same
            ones and more. None takes all of them, in the order of the source.
        name: "squad", or "passages", the course's own. Where neither the folder in AUTOGRADER_DATA nor the Hugging
            Face hub has SQuAD, the course's own passages are taken for it.

    Returns:
        A data set with the columns `id`, `context` (the passage), `question` and `answers`: a dict with the lists
        `text` and `answer_start`, both empty for a question that the passage does not answer. Each text stands in the
        context from its answer_start on.

    Raises:
        CourseError: an argument or a file in the folder is not as it should be; the sentence says what to do.
    """
    from datasets import Dataset, Features, Sequence, Value

    sources.chosen("name", name, NAMES)
    sources.chosen("split", split, SPLITS)
    sources.counted("limit", limit)
    rows, source = _rows(name, split)
    taken = rows if limit is None else random.Random(0).sample(rows, len(rows))[:limit]
    sources.say("served", name=name, split=split, rows=f"{len(taken):,}", total=f"{len(rows):,}", source=source)
    columns = {
        "id": [row.id for row in taken],
        "context": [row.context for row in taken],
        "question": [row.question for row in taken],
        "answers": [{"text": list(row.texts), "answer_start": list(row.starts)} for row in taken],
    }
    answers = {"text": Sequence(Value("string")), "answer_start": Sequence(Value("int32"))}
    text = {column: Value("string") for column in ("id", "context", "question")}
    return Dataset.from_dict(columns, features=Features({**text, "answers": answers}))


def _rows(name: str, split: str) -> tuple[list[Row], Text]:
    """All questions of a split from the first source that has them, and what the source is called."""
    if name != OWN:
        folder = sources.in_folder_or_say(name)
        if folder is not None:
            return _from_folder(folder, split)
        rows = sources.hub.load(_HUB, lambda: _from_hub(split))
        if rows is not None:
            return rows, SOURCES["hub"].format(name=_HUB)
    return [row for article in read_articles(PASSAGES / f"{split}.json") for row in article], SOURCES["passages"]


def _from_folder(folder: Path, split: str) -> tuple[list[Row], Text]:
    found = sorted(folder.glob("*.json"))
    if all(folder / file in found for file in _FILES.values()):
        path = folder / _FILES[split]
        kept = read_articles(path)
    elif len(found) == 1:
        (path,) = found
        articles = read_articles(path)
        held_out = articles[_EVERY - 1 :: _EVERY] or articles[-1:]
        kept = held_out if split == "validation" else [each for each in articles if each not in held_out]
    else:
        raise sources.wrong("no_questions", folder=folder, files=" + ".join(_FILES.values()))
    if not kept:
        raise sources.wrong("no_rows", file=path)
    return [row for article in kept for row in article], same(str(path))


def _from_hub(split: str) -> list[Row]:
    from datasets import load_dataset

    loaded = load_dataset(_HUB, split=split)
    columns = (loaded[column] for column in ("id", "context", "question", "answers"))
    return [
        Row(number, context, question, tuple(answers["text"]), tuple(answers["answer_start"]))
        for number, context, question, answers in zip(*columns, strict=True)
    ]


def read_articles(path: Path) -> list[list[Row]]:
    """The questions of each article of a file in SQuAD's form; articles without any are left out.

    Raises:
        CourseError: the file is malformed; the sentence names it and the place.
    """
    text = sources.read(path)
    try:
        articles = json.loads(text)["data"]
        found = [_of_article(path, article) for article in _listed(articles)]
    except json.JSONDecodeError as error:
        raise sources.wrong("not_json", file=path, line=error.lineno, why=error.msg) from None
    except (KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"[:_LONGEST]
        raise sources.wrong("not_squad", file=path, why=why) from None
    found = [rows for rows in found if rows]
    if not found:
        raise sources.wrong("no_rows", file=path)
    return found


def _of_article(path: Path, article: Mapping[str, Any]) -> list[Row]:
    rows = []
    for paragraph in _listed(article["paragraphs"]):
        context = _worded(paragraph["context"])
        for asked in _listed(paragraph["qas"]):
            answers = [(_worded(each["text"]), int(each["answer_start"])) for each in _listed(asked["answers"])]
            for text, start in answers:
                if start < 0 or not context.startswith(text, start):
                    shown = repr(context[max(start, 0) :][: min(len(text), _LONGEST)])
                    fields = {"text": repr(text[:_LONGEST]), "start": start, "found": shown}
                    raise sources.wrong("misplaced", file=path, id=asked["id"], **fields)
            texts, starts = tuple(text for text, _ in answers), tuple(start for _, start in answers)
            rows.append(Row(str(asked["id"]), context, _worded(asked["question"]), texts, starts))
    return rows


def _listed(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise TypeError(f"a list is expected, not {type(value).__name__}")
    return value


def _worded(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"a text is expected, not {value!r}")
    return value
