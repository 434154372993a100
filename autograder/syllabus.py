"""What a chapter sets out to teach: `solutions/<chapter>/syllabus.toml`, its title, honest minutes, its objectives."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.errors import CourseError
from autograder.text import Text

FILE = "syllabus.toml"


@dataclass(frozen=True)
class Syllabus:
    """A chapter's title, the minutes that each of its notebooks takes, and its objectives by number."""

    title: Text
    minutes: Mapping[str, int]
    objectives: Mapping[str, Text]


def read_syllabus(folder: Path) -> Syllabus:
    """The syllabus of the chapter whose exercise files are in `folder`.

    Raises:
        CourseError: the file is missing, is not TOML, or lacks something; the sentence says what to write.
    """
    name = f"solutions/{folder.name}/{FILE}"
    try:
        data = tomllib.loads((folder / FILE).read_text(encoding="utf-8"))
    except OSError:
        raise CourseError(
            f"{name} cannot be read: write one with title_en, title_ja, [minutes] and [objectives]"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CourseError(f"{name} is not a TOML file: {error}") from None
    title = Text(_string(data.get("title_en")), _string(data.get("title_ja")))
    minutes, objectives = _table(data, "minutes"), _table(data, "objectives")
    texts = {number: _text(value) for number, value in objectives.items()}
    wrong = [] if title.is_whole else ["title_en or title_ja is missing"]
    wrong += [] if minutes else ["[minutes] is missing: name each notebook, such as attention = 90"]
    wrong += [
        f"the minutes of {notebook} must be a whole number above 0"
        for notebook, value in minutes.items()
        if type(value) is not int or value <= 0
    ]
    wrong += [] if objectives else ['[objectives] is missing: "1.1" = { en = "...", ja = "..." }']
    wrong += [
        f"objective {number} lacks one of the two languages" for number, text in texts.items() if not text.is_whole
    ]
    if wrong:
        raise CourseError(f"{name}: {'; '.join(wrong)}")
    return Syllabus(title, minutes, texts)


def _table(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> Text:
    known = value if isinstance(value, dict) else {}
    return Text(_string(known.get("en")), _string(known.get("ja")))


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
