"""The loader of questions about passages: which source serves, what it gives, and what is wrong with a faulty one."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from toycourse import ROOT

from autograder.course import load_questions, sources
from autograder.course.questions import PASSAGES, read_articles
from autograder.errors import CourseError

SLICE = ROOT.parent / "shared" / "data"
CONTEXT = "The ferry leaves at noon."


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder, no network, and a process that has not asked the hub yet."""
    monkeypatch.delenv(sources.VARIABLE, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(sources, "hub", sources.Hub())


@pytest.fixture
def squad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder squad in the one that AUTOGRADER_DATA names."""
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path))
    (tmp_path / "squad").mkdir()
    return tmp_path / "squad"


def article(number: int, *, context: str = CONTEXT, answers: Any = ({"text": "noon", "answer_start": 20},)) -> Any:
    asked = {"id": f"q{number}", "question": "When does the ferry leave?", "answers": list(answers)}
    return {"title": f"a{number}", "paragraphs": [{"context": context, "qas": [asked]}]}


def write(path: Path, articles: Any) -> Path:
    path.write_text(json.dumps({"version": "v2.0", "data": articles}), encoding="utf-8")
    return path


def the_error(call: Callable[[], object]) -> str:
    """The one line that the call fails with."""
    with pytest.raises(CourseError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


# -- passages written for the course ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "passages"), [("train", 50), ("validation", 15)])
def test_the_courses_own_passages_are_in_order(split: str, passages: int) -> None:
    articles = read_articles(PASSAGES / f"{split}.json")  # which checks that each answer stands at its place
    assert len(articles) >= passages
    rows = [row for rows in articles for row in rows]
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert 50 <= len(row.context.split()) <= 100, row.id
        assert re.fullmatch(r"[A-Z].*\?", row.question), row.id
        for text, start in zip(row.texts, row.starts, strict=True):
            around = f" {row.context} "[start : start + len(text) + 2]
            assert re.fullmatch(r"\W.*\W", around), f"{row.id}: {text} begins or ends inside a word"
    for questions in articles:
        assert 3 <= len(questions) <= 4
        assert 1 <= sum(not row.texts for row in questions) < len(questions)


def test_no_passage_is_in_both_splits() -> None:
    train, validation = ({row["context"] for row in load_questions(split)} for split in ("train", "validation"))
    assert len(train) + len(validation) >= 60
    assert not train & validation


def test_they_are_the_last_resort_and_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert load_questions().column_names == ["id", "context", "question", "answers"]
    *_, line = capsys.readouterr().out.splitlines()
    assert line == "squad (train): 224 of 224 rows, from the passages written for this course."


def test_they_can_be_asked_for_by_name(squad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (squad / "mine.json").write_text("not looked at", encoding="utf-8")
    assert len(load_questions("validation", name="passages")) == 72
    assert capsys.readouterr().out.startswith("passages (validation): 72 of 72 rows, from the passages written for")


def test_a_limit_takes_the_same_questions_each_time() -> None:
    few, many = load_questions(limit=12), load_questions(limit=60)
    assert few["id"][:] == many["id"][:12] == load_questions(limit=12)["id"][:]
    assert len({row["context"] for row in few}) > 8
    assert len(load_questions(limit=10_000)) == len(load_questions())


@pytest.mark.parametrize("options", [{"split": "test"}, {"name": "triviaqa"}, {"limit": 0}, {"limit": True}])
def test_an_argument_that_is_not_known(options: dict[str, Any]) -> None:
    assert re.search("choose one of|above 0", the_error(lambda: load_questions(**options)))


# -- the folder ------------------------------------------------------------------------------------------------------


def test_the_two_files_of_squad(squad: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(sources, "hub", None)  # not looked at
    train = write(squad / "train-v2.0.json", [article(1), article(2, answers=[])])
    write(squad / "dev-v2.0.json", [article(3)])
    rows = load_questions()
    assert rows[0] == {
        "id": "q1",
        "context": CONTEXT,
        "question": "When does the ferry leave?",
        "answers": {"text": ["noon"], "answer_start": [20]},
    }
    assert rows[1]["answers"] == {"text": [], "answer_start": []}
    assert load_questions("validation")["id"][:] == ["q3"]
    assert f"squad (train): 2 of 2 rows, from {train}." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["mine.json", "dev-v2.0.json", "train-v2.0.json"])
def test_one_file_is_parted_by_article(squad: Path, name: str) -> None:
    write(squad / name, [article(number, context=f"{CONTEXT} {number}") for number in range(1, 13)])
    train, validation = (load_questions(split)["id"][:] for split in ("train", "validation"))
    assert validation == ["q5", "q10"]
    assert sorted([*train, *validation], key=lambda each: int(each[1:])) == [f"q{n}" for n in range(1, 13)]


def test_one_file_with_few_articles(squad: Path) -> None:
    path = write(squad / "mine.json", [article(1), article(2)])
    assert (load_questions()["id"][:], load_questions("validation")["id"][:]) == (["q1"], ["q2"])
    write(path, [article(1)])
    assert "nothing to read" in the_error(load_questions)


def test_no_file_or_several_that_cannot_be_told_apart(squad: Path) -> None:
    assert "train-v2.0.json + dev-v2.0.json" in the_error(load_questions)
    for name in ("a.json", "dev-v2.0.json"):
        write(squad / name, [article(1)])
    assert "parted by article" in the_error(load_questions)


def test_a_missing_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path))
    assert len(load_questions("validation")) == 72
    assert "no folder squad" in capsys.readouterr().out
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path / "gone"))
    assert "not a folder" in the_error(load_questions)


FAULTY = {
    "not JSON": ('{"data": [\n{"title": }]}', "line 2: this is not JSON"),
    "empty": ("", "nothing to read"),
    "no articles": ('{"data": []}', "nothing to read"),
    "a list": ("[]", "not in the form of SQuAD"),
    "no data": ('{"version": "v2.0"}', "not in the form of SQuAD"),
    "data is a text": ('{"data": "none"}', "a list is expected"),
    "no paragraphs": ('{"data": [{"title": "a"}]}', "KeyError: 'paragraphs'"),
    "an empty context": (json.dumps({"data": [article(1, context=" ")]}), "a text is expected"),
    "answers by columns": (
        json.dumps({"data": [{"paragraphs": [{"context": "a", "qas": [{"id": 1, "question": "b", "answers": {}}]}]}]}),
        "a list is expected, not dict",
    ),
    "an answer without a place": (json.dumps({"data": [article(1, answers=[{"text": "noon"}])]}), "answer_start"),
    "a place that is no number": (
        json.dumps({"data": [article(1, answers=[{"text": "noon", "answer_start": "far"}])]}),
        "not in the form of SQuAD",
    ),
    "another place": (
        json.dumps({"data": [article(1), article(2, answers=[{"text": "noon", "answer_start": 19}])]}),
        "question q2: the answer 'noon' does not stand at answer_start 19, where the context has ' noo'",
    ),
    "a place from the end": (
        json.dumps({"data": [article(1, answers=[{"text": "noon", "answer_start": -5}])]}),
        "answer_start -5",
    ),
    "a place behind the end": (
        json.dumps({"data": [article(1, answers=[{"text": "noon", "answer_start": 99}])]}),
        "where the context has ''",
    ),
    "not UTF-8": (b'{"data": "\xe9"}', "line 1: this is not UTF-8"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_file_is_named_and_no_other_source_is_taken(
    squad: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content, says = FAULTY[fault]
    path = squad / "mine.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = the_error(load_questions)
    assert said.startswith(str(path))
    assert says in said
    assert not capsys.readouterr().out


@pytest.mark.skipif(not (SLICE / "squad").is_dir(), reason="the real slice is not here")
def test_the_real_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sources.VARIABLE, str(SLICE))
    train, validation = load_questions(), load_questions("validation")
    assert (len(train), len(validation)) == (1_160, 247)
    assert train[0]["question"] == "In what country is Normandy located?"
    assert train[0]["answers"] == {"text": ["France"] * 4, "answer_start": [159] * 4}
    for row in validation:
        for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
            assert row["context"][start:].startswith(text)


# -- the hub, simulated ----------------------------------------------------------------------------------------------


def test_the_hub_comes_second(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    columns = {
        "id": ["x", "y"],
        "title": ["t", "t"],
        "context": [CONTEXT, CONTEXT],
        "question": ["When?", "Who?"],
        "answers": [{"text": ["noon"], "answer_start": [20]}, {"text": [], "answer_start": []}],
    }

    def load_dataset(name: str, *, split: str) -> datasets.Dataset:
        assert (name, split) == ("rajpurkar/squad_v2", "validation")
        return datasets.Dataset.from_dict(columns)

    monkeypatch.setattr(sources.hub, "answers", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    rows = load_questions("validation")
    assert [row["answers"]["text"] for row in rows] == [["noon"], []]
    said = capsys.readouterr().out
    assert said == "squad (validation): 2 of 2 rows, from the Hugging Face hub (rajpurkar/squad_v2).\n"
