"""The syllabus of a chapter: read, or refused with a sentence that says what to write."""

from pathlib import Path

import pytest

from autograder.errors import CourseError
from autograder.syllabus import read_syllabus

WHOLE = """
title_en = "A toy"
title_ja = "おもちゃ"
[minutes]
toy = 5
[objectives]
"9.1" = { en = "To centre", ja = "中心化" }
"""


def written(folder: Path, text: str) -> Path:
    (folder / "syllabus.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_syllabus_says_title_minutes_and_objectives(tmp_path: Path) -> None:
    syllabus = read_syllabus(written(tmp_path, WHOLE))
    assert (syllabus.title.en, syllabus.title.ja) == ("A toy", "おもちゃ")
    assert syllabus.minutes == {"toy": 5}
    assert {number: text.ja for number, text in syllabus.objectives.items()} == {"9.1": "中心化"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('title_ja = "おもちゃ"', "", "title_en or title_ja is missing"),
        ('title_ja = "おもちゃ"', "title_ja = 3", "title_en or title_ja is missing"),
        ("toy = 5", "", "[minutes] is missing"),
        ("toy = 5", 'toy = "long"', "the minutes of toy must be a whole number"),
        ("toy = 5", "toy = true", "the minutes of toy must be a whole number"),
        (', ja = "中心化"', "", "objective 9.1 lacks one of the two languages"),
        ('{ en = "To centre", ja = "中心化" }', "4", "objective 9.1 lacks one of the two languages"),
        ('"9.1" = { en = "To centre", ja = "中心化" }', "", "[objectives] is missing"),
        ("[minutes]", "[minutes", "is not a TOML file"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in WHOLE
    with pytest.raises(CourseError) as caught:
        read_syllabus(written(tmp_path, WHOLE.replace(old, new)))
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"solutions/{tmp_path.name}/syllabus.toml")


def test_a_chapter_without_a_syllabus_is_told_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=r"cannot be read: write one with title_en"):
        read_syllabus(tmp_path)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "syllabus.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CourseError, match="not a TOML file"):
        read_syllabus(tmp_path)
