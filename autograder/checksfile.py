"""The checks file that lies beside a release notebook: the visible cases, what the reference and each known mistake
give on them, and the hints in both languages. Data only; no source of an exercise file is in it."""

from collections.abc import Iterable
from dataclasses import dataclass

from autograder.errors import DataError
from autograder.key import Key, key_as_data, key_from_data
from autograder.serialize import decode, encode

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

    def of(self, name: str) -> Key | None:
        """The key of the exercise that has this slug, or this answer."""
        if name in self.keys:
            return self.keys[name]
        return next((key for key in self.keys.values() if name in key.answers), None)


def pack(keys: Iterable[Key], language: str) -> bytes:
    """The bytes of a checks file; the same for the same keys. Raises ValueError for a key with hidden cases."""
    return encode({"format": FORMAT, "language": language, "exercises": [key_as_data(key) for key in keys]})


def unpack(data: bytes) -> Checks:
    """Read a checks file. Raises OtherVersion, or DataError when it is damaged."""
    tree = decode(data, recipes=True)
    if not isinstance(tree, dict) or "format" not in tree:
        raise DataError("it is not a checks file")
    if tree["format"] != FORMAT:
        raise OtherVersion(tree["format"])
    try:
        keys = [key_from_data(item) for item in tree["exercises"]]
        return Checks(tree["language"], {key.sheet.slug: key for key in keys})
    except (KeyError, TypeError):
        raise DataError("a part of it is missing") from None
