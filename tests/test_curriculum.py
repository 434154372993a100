"""docs/syllabus.md says what meets each objective, and the course meets them all."""

from pathlib import Path

import pytest
from toycourse import ROOT, lay_out

from autograder.curriculum import BEGIN, DOCUMENT, END, curriculum, sync_curriculum
from autograder.exercise import ConceptQuestion
from autograder.notebook import read_notebook
from autograder.solutions import load_chapter
from autograder.syllabus import read_syllabus

CHAPTERS = sorted(path.name for path in (ROOT / "solutions").glob("ch*"))
TOPICS = {"ch1": 5, "ch2": 5, "ch3": 5, "ch4": 5, "ch5": 5}  # of the series, by chapter
SKILLS = {"sentiment", "answers", "generation", "prompts"}
SYLLABUS = """
title_en = "A toy"
title_ja = "おもちゃ"
[minutes]
toy = 5
[objectives]
"0.1" = { en = "To double", ja = "2 倍にする" }
"0.9" = { en = "The same", ja = "The same" }
"""


@pytest.fixture
def course(tmp_path: Path) -> Path:
    course = lay_out(tmp_path / "course")
    (course / "solutions" / "toy" / "syllabus.toml").write_text(SYLLABUS, encoding="utf-8")
    (course / "docs").mkdir()
    (course / DOCUMENT).write_text(f"# Ours\n{BEGIN}\n{END}\nThe end.\n", encoding="utf-8")
    return course


def test_a_table_names_what_meets_each_objective_in_the_order_of_the_notebook(course: Path) -> None:
    table = curriculum(course)
    assert "## toy: A toy · おもちゃ" in table
    (row,) = [line for line in table.splitlines() if line.startswith("| **0.1**")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0] == "**0.1** To double · 2 倍にする"
    assert cells[1].startswith("`double`, `quadruple`")
    assert cells[3] == "`toy`"
    assert "| **0.9** The same |  |  |  |" in table  # a gap is seen, and a title that is the same is said once
    assert "| `toy` | 5 | 2 |" in table


def test_it_is_written_between_the_marks_and_found_stale_after_a_change(course: Path) -> None:
    assert sync_curriculum(course, write=False) == ["docs/syllabus.md"]
    assert sync_curriculum(course, write=False) == ["docs/syllabus.md"]  # nothing was written
    assert sync_curriculum(course, write=True) == ["docs/syllabus.md"]
    assert sync_curriculum(course, write=False) == []
    text = (course / DOCUMENT).read_text(encoding="utf-8")
    assert text.startswith(f"# Ours\n{BEGIN}\n")
    assert text.endswith(f"{END}\nThe end.\n")
    syllabus = course / "solutions" / "toy" / "syllabus.toml"
    syllabus.write_text(SYLLABUS.replace("toy = 5", "toy = 6"), encoding="utf-8")
    assert sync_curriculum(course, write=False) == ["docs/syllabus.md"]


def test_a_course_that_keeps_no_table_is_left_alone(course: Path) -> None:
    (course / DOCUMENT).write_text("no marks", encoding="utf-8")
    assert sync_curriculum(course, write=True) == []
    assert (course / DOCUMENT).read_text(encoding="utf-8") == "no marks"
    (course / DOCUMENT).unlink()
    assert sync_curriculum(course, write=True) == []


def test_the_course_s_own_table_is_up_to_date() -> None:
    assert sync_curriculum(ROOT, write=False) == [], "run `autograder sync`"
    assert BEGIN in (ROOT / DOCUMENT).read_text(encoding="utf-8")


def test_every_topic_of_the_series_and_every_skill_is_met_by_an_exercise() -> None:
    assert list(TOPICS) == CHAPTERS
    skills = set[str]()
    for chapter, count in TOPICS.items():
        folder = ROOT / "solutions" / chapter
        syllabus, exercises = read_syllabus(folder), load_chapter(folder).values()
        met = {number for each in exercises if not isinstance(each, ConceptQuestion) for number in each.objectives}
        assert set(syllabus.objectives) == met
        assert {f"{chapter[2:]}.{topic}" for topic in range(1, count + 1)} <= met
        skills |= {name for name in met if not name[0].isdigit()}
    assert skills == SKILLS


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_asks_questions_and_one_in_writing_with_a_rubric(chapter: Path) -> None:
    exercises = load_chapter(ROOT / "solutions" / chapter).values()
    assert sum(isinstance(each, ConceptQuestion) for each in exercises) >= 4
    notebooks = [read_notebook(path) for path in (ROOT / "source" / chapter).glob("*.ipynb")]
    assert len(notebooks) == 2
    tasks = [cell for nb in notebooks for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("task")]
    assert len(tasks) == 1
    assert "### BEGIN MARK SCHEME" in tasks[0].source
