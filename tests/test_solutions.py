"""A chapter's folder is scanned, and a file that is wrong is told in one sentence with its name."""

import os
from pathlib import Path

import pytest
from toycourse import CHOICE, DOUBLE, QUADRUPLE

from autograder.errors import CourseError
from autograder.exercise import ConceptQuestion
from autograder.solutions import load_chapter, load_exercise


@pytest.fixture
def chapter(tmp_path: Path) -> Path:
    folder = tmp_path / "solutions" / "toy"
    folder.mkdir(parents=True)
    (folder / "double.py").write_text(DOUBLE, encoding="utf-8")
    return folder


def error_of(chapter: Path) -> str:
    with pytest.raises(CourseError) as caught:
        load_chapter(chapter)
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def test_exercises_by_slug_in_the_order_of_their_names(chapter: Path) -> None:
    (chapter / "quadruple.py").write_text(QUADRUPLE, encoding="utf-8")
    (chapter / "a_choice.py").write_text(CHOICE, encoding="utf-8")
    (chapter / "__init__.py").write_text("raise SystemExit")
    (chapter / "notes.txt").write_text("no exercise")
    found = load_chapter(chapter)
    assert list(found) == ["a_choice", "double", "quadruple"]
    assert isinstance(found["a_choice"], ConceptQuestion)
    assert found["double"].path.name == "double.py"
    assert "factor_of_the_reference" in found["double"].blank()["double"]


def test_a_changed_file_is_read_again(chapter: Path) -> None:
    first = load_chapter(chapter)["double"]
    assert load_chapter(chapter)["double"] is first
    path = chapter / "double.py"
    path.write_text(DOUBLE.replace("points=2", "points=5"), encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert load_chapter(chapter)["double"].points == 5.0


def without(text: str, start: str) -> str:
    """The file without the block that starts with `start`, up to the next empty pair of lines."""
    before, _, rest = text.partition(start)
    assert rest
    return before + rest.partition("\n\n\n")[2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (without(DOUBLE, "@exercise.visible"), "there is no visible case: add one with @exercise.visible"),
        (DOUBLE.replace("@exercise.hidden", "@exercise.visible"), "there is no hidden case with weight"),
        (DOUBLE.replace("a hidden matrix", "a row"), "two cases are called 'a row'"),
        (DOUBLE.replace('ja="一つの行"', 'ja=""'), "lacks one of the two languages"),
        (DOUBLE.replace("import torch\n", "import torch_that_is_not_there\n", 1), "(line 5): ModuleNotFoundError"),
        (DOUBLE.replace("return factor", "retrun factor"), "SyntaxError"),
        (DOUBLE.replace("    return x + x", "return x + x"), "IndentationError"),
        (DOUBLE.replace("exercise = Exercise(double", "other = Exercise(double"), "NameError"),
        ("x = 1\n", "defines no `exercise = Exercise(...)`"),
        ("exercise = 'Exercise'\n", "defines no `exercise = Exercise(...)`"),
        ("", "defines no `exercise = Exercise(...)`"),
        ("raise SystemExit(3)\n", "(line 1): SystemExit: 3"),
        ("raise ValueError('two\\nlines')\n", "(line 1): ValueError: two lines"),
        ("x = '\0'\n", "cannot be imported"),
        (DOUBLE.replace("points=2", "points=2, colour=3"), "TypeError"),
        (DOUBLE.replace("hint_ja=", "hint_jp="), "TypeError"),
        (DOUBLE.replace("hidden matrix", "hidden", 1).replace('ja="非公開の行列")', 'ja="x", wieght=2)'), "TypeError"),
        (DOUBLE.replace("points=2", "points=0"), "points must be above 0"),
        (DOUBLE.replace('objectives=["0.1"]', "objectives=[]"), "objectives is empty"),
    ],
)
def test_a_file_that_is_wrong_is_named_in_one_sentence(chapter: Path, text: str, says: str) -> None:
    (chapter / "broken.py").write_text(text, encoding="utf-8")
    (chapter / "double.py").unlink()
    error = error_of(chapter)
    assert "solutions/toy/broken.py" in error
    assert says in error


def test_a_file_that_is_no_text(chapter: Path) -> None:
    (chapter / "broken.py").write_bytes(b"\xff\xfe\xfa")
    assert "solutions/toy/broken.py cannot be imported" in error_of(chapter)


def test_a_name_of_a_file_that_is_no_name_of_an_exercise(chapter: Path) -> None:
    (chapter / "Two-Words.py").write_text(DOUBLE, encoding="utf-8")
    assert "solutions/toy/Two-Words.py: the file's name is the exercise's name: use only" in error_of(chapter)


def test_two_files_that_give_an_answer_the_same_name(chapter: Path) -> None:
    (chapter / "again.py").write_text(DOUBLE, encoding="utf-8")
    assert "solutions/toy/double.py: the name double is taken by again.py: rename one of the two" in error_of(chapter)


def test_a_file_named_like_an_answer_of_another(chapter: Path) -> None:
    (chapter / "double.py").rename(chapter / "twofold.py")
    (chapter / "double.py").write_text(DOUBLE.replace("double", "doubled"), encoding="utf-8")
    assert "solutions/toy/twofold.py: the name double is taken by double.py" in error_of(chapter)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "solutions/ch9 is not a folder" in error_of(tmp_path / "solutions" / "ch9")


def test_one_broken_file_leaves_no_half_imported_module(chapter: Path) -> None:
    path = chapter / "broken.py"
    path.write_text("import torch\nraise ValueError('first')\n")
    with pytest.raises(CourseError, match=r"line 2\): ValueError: first"):
        load_exercise(path)
    path.write_text(DOUBLE)
    assert load_exercise(path).slug == "broken"
