"""The checks file that lies beside a release notebook: the visible cases, what the reference and each known mistake
give on them, and the hints in both languages. Data only; no source of an exercise file is in it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from autograder.errors import DataError
from autograder.key import Key, key_as_data, key_from_data
from autograder.serialize import decode, encode
from autograder.text import LANGUAGES, Text

FORMAT = 1
SUFFIX = ".checks"


class OtherVersion(DataError):
    """The file has another format than this program reads."""

    def __init__(self, theirs: object) -> None:
        super().__init__(f"the file has format {theirs}, this program reads format {FORMAT}")
        self.theirs = str(theirs)[:20]


@dataclass(frozen=True)
class Checks:
    """A notebook's self-checks."""

    language: str
    keys: dict[str, Key]
    objectives: dict[str, Text] = field(default_factory=dict)  # what the syllabus calls them, by number

    def of(self, name: str) -> Key | None:
        """The key of the exercise that has this slug, or this answer."""
        if name in self.keys:
            return self.keys[name]
        return next((key for key in self.keys.values() if name in key.answers), None)


def pack(keys: Iterable[Key], language: str, objectives: Mapping[str, Text] | None = None) -> bytes:
    """The bytes of a checks file; the same for the same keys. Raises ValueError for a key with hidden cases."""
    called = {number: text.as_data() for number, text in (objectives or {}).items()}
    body = encode({"language": language, "objectives": called, "exercises": [key_as_data(key) for key in keys]})
    content = torch.frombuffer(bytearray(body), dtype=torch.uint8)
    return encode({"format": FORMAT, "digest": hashlib.sha256(body).hexdigest(), "content": content})


def unpack(data: bytes) -> Checks:
    """Read a checks file. Raises OtherVersion, or DataError when it is damaged."""
    tree = decode(data)
    if not isinstance(tree, dict) or "format" not in tree:
        raise DataError("it is not a checks file")
    if tree["format"] != FORMAT:
        raise OtherVersion(tree["format"])
    content = tree.get("content")
    body = content.numpy().tobytes() if isinstance(content, Tensor) and content.dtype == torch.uint8 else b""
    if hashlib.sha256(body).hexdigest() != tree.get("digest"):  # one wrong bit would make a right answer wrong
        raise DataError("its content is not what was written")
    content = decode(body, recipes=True)
    try:
        keys = [key_from_data(item) for item in content["exercises"]]
        language = content["language"]
        objectives = {number: Text(**text) for number, text in content["objectives"].items()}
    except (KeyError, TypeError, AttributeError):
        raise DataError("a part of it is missing") from None
    if language not in LANGUAGES:
        raise DataError(f"it is in no language that there is: {language!r}")
    return Checks(language, {key.sheet.slug: key for key in keys}, objectives)
