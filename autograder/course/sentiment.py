"""Sentences with a sentiment: SST-2 or IMDb where they can be had, else reviews that were written for this course.

The reviews of `data/reviews` are about films, books, restaurants, gadgets, hotels and concerts, half of each kind good.
"""

import random
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.course import sources
from autograder.course.messages import SOURCES
from autograder.text import Text, same

if TYPE_CHECKING:
    from datasets import Dataset

Row = tuple[str, int]  # a text and its label

SPLITS = ("train", "validation")
LABELS = ("negative", "positive")
REVIEWS = Path(__file__).parent / "data" / "reviews"

# On the hub: the data set, its column of texts, and its name of each split
_HUB = {
    "sst2": ("stanfordnlp/sst2", "sentence", {"train": "train", "validation": "validation"}),
    "imdb": ("stanfordnlp/imdb", "text", {"train": "train", "validation": "test"}),
}
# In a folder: tables whose first line names the columns, or one table for both splits without such a line
_TABLES = {"train": ("train.tsv",), "validation": ("validation.tsv", "dev.tsv")}
_BOTH = "{name}_labelled.txt"
_TEXT_COLUMNS = ("sentence", "text", "content")
_EVERY = 5  # every fifth row of a table for both splits is for validation
_LONGEST = 60  # characters of a faulty line that a message repeats


def load_sentiment(split: str = "train", limit: int | None = None, name: str = "sst2") -> "Dataset":
    """Sentences and whether they are positive. Prints one line that says where they come from.

    Args:
        split: "train" or "validation".
        limit: take so many rows only: the same ones each time, as many of each label as there are, and with a larger
            limit the same ones and more. None takes all rows, in the order of the source.
        name: "sst2" or "imdb". Where neither the folder in AUTOGRADER_DATA nor the Hugging Face hub has it, the
            course's own reviews are taken.

    Returns:
        A data set with the columns `text` and `label` (0 negative, 1 positive).

    Raises:
        CourseError: an argument or a file in the folder is not as it should be; the sentence says what to do.
    """
    from datasets import ClassLabel, Dataset, Features, Value

    sources.chosen("name", name, tuple(_HUB))
    sources.chosen("split", split, SPLITS)
    sources.counted("limit", limit)
    rows, source = _rows(name, split)
    taken = rows if limit is None else _first(rows, limit)
    sources.say("served", name=name, split=split, rows=f"{len(taken):,}", total=f"{len(rows):,}", source=source)
    columns = {"text": [text for text, _ in taken], "label": [label for _, label in taken]}
    features = Features({"text": Value("string"), "label": ClassLabel(names=list(LABELS))})
    return Dataset.from_dict(columns, features=features)


def _rows(name: str, split: str) -> tuple[list[Row], Text]:
    """All rows of a split from the first source that has them, and what the source is called."""
    folder = sources.in_folder_or_say(name)
    if folder is not None:
        return _from_folder(folder, name, split)
    called, column, splits = _HUB[name]
    rows = sources.hub.load(called, lambda: _from_hub(called, column, splits[split]))
    if rows is not None:
        return rows, SOURCES["hub"].format(name=called)
    return read_table(REVIEWS / f"{split}.tsv"), SOURCES["reviews"]


def _from_folder(folder: Path, name: str, split: str) -> tuple[list[Row], Text]:
    both = _BOTH.format(name=name)
    path = sources.first_of(folder, (*_TABLES[split], both))
    if path.name != both:
        return read_table(path), same(str(path))
    rows = read_table(path, header="text\tlabel")
    held_out = split == "validation"
    kept = [row for number, row in enumerate(rows, 1) if (number % _EVERY == 0) is held_out]
    if not kept:
        raise sources.wrong("no_rows", file=path)
    return kept, same(str(path))


def _from_hub(called: str, column: str, split: str) -> list[Row]:
    from datasets import load_dataset

    loaded = load_dataset(called, split=split)
    return list(zip(loaded[column], loaded["label"], strict=True))


def read_table(path: Path, header: str | None = None) -> list[Row]:
    """The rows of a table whose cells are separated by tabs; `header` stands in for the first line if it has none.

    Raises:
        CourseError: the table is malformed; the sentence names the file and the line.
    """
    # not splitlines: reviews hold characters that Python, but no editor, takes for the end of a line
    lines = list(enumerate(sources.read(path).split("\n"), 1))
    columns = (header or lines.pop(0)[1]).split("\t")
    columns = [column.strip().lower() for column in columns]
    text = next((columns.index(name) for name in _TEXT_COLUMNS if name in columns), None)
    if "label" not in columns or text is None:
        found = repr("\t".join(columns)[:_LONGEST])
        raise sources.wrong("header", file=path, columns=", ".join(_TEXT_COLUMNS), found=found)
    label, rows = columns.index("label"), []
    for number, line in lines:
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != len(columns) or cells[label] not in ("0", "1") or not cells[text]:
            found = repr(line[:_LONGEST])
            raise sources.wrong("row", file=path, line=number, columns=len(columns), found=found)
        rows.append((cells[text], int(cells[label])))
    if not rows:
        raise sources.wrong("no_rows", file=path)
    return rows


def _first(rows: list[Row], limit: int) -> list[Row]:
    """So many rows, drawn with a fixed seed and taken from both labels in turn: the hub's IMDb is sorted by label."""
    draw = random.Random(0)
    of_labels = [[row for row in rows if row[1] == label] for label in range(len(LABELS))]
    drawn = [draw.sample(of_label, len(of_label)) for of_label in of_labels]
    return [row for pair in zip_longest(*drawn) for row in pair if row is not None][:limit]
