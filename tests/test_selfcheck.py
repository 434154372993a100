"""The self-check in a real IPython shell: verdicts, one quiet line when something is wrong, and what to do."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
import toycourse
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import RichOutput, capture_output
from toys import SEED, exercise_of, mean_exercise, question
from traitlets.config import Config

from autograder import selfcheck
from autograder.checksfile import pack
from autograder.errors import CheckFailed, CourseError
from autograder.key import Key, make_key
from autograder.render import MIME
from autograder.selfcheck import IN_PROCESS, Session, check, start
from autograder.serialize import encode

START = "from autograder import check, exam, progress, start\nstart('toy')"
RIGHT = """
def weighted_mean(values, weights):
    shares = weights / weights.sum(-1, keepdim=True)
    return (shares * values).sum(-1), shares
"""
MISTAKEN = "def weighted_mean(values, weights):\n    return (weights * values).sum(-1), weights"
WRONG = "def weighted_mean(values, weights):\n    return values.sum(-1), weights"
BLANK = "def weighted_mean(values, weights):\n    raise NotImplementedError()"
CENTRED = "def centred(values, weights):\n    return values - weighted_mean(values, weights)[0].unsqueeze(-1)"


def centred(values: Any, weights: Any) -> Any:
    shares = weights / weights.sum(dim=-1, keepdim=True)
    return values - (shares * values).sum(dim=-1, keepdim=True)


def centring() -> Any:
    exercise = exercise_of(centred, stand_ins={"weighted_mean": "toys:right_mean"})
    exercise.visible(en="a matrix", ja="行列")(
        lambda make: {"values": make.normal(2, 3), "weights": make.uniform(2, 3, low=0.5)}
    )
    exercise.hidden(en="another", ja="別")(exercise.cases[0].build)
    return exercise


def keys() -> list[Key]:
    return [make_key(exercise, SEED, hidden=False) for exercise in (mean_exercise(), centring(), question())]


@dataclass
class Ran:
    """What one cell did."""

    printed: str
    shown: list[RichOutput]
    error: BaseException | None

    @property
    def texts(self) -> list[str]:
        return [output.data["text/plain"] for output in self.shown]

    @property
    def verdict(self) -> dict[str, Any]:
        (output,) = self.shown
        data: dict[str, Any] = output.data[MIME]
        return data


class Notebook:
    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def run(self, source: str) -> Ran:
        with capture_output() as captured:
            result = self.shell.run_cell(source)
        return Ran(captured.stdout, captured.outputs, result.error_in_exec or result.error_before_exec)


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A shell in an empty folder, without a checks file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.delenv(IN_PROCESS, raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    monkeypatch.setattr(selfcheck, "_session", Session("", None, None, "en"))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}), colors="nocolor")
    try:
        yield Notebook(shell)
    finally:
        InteractiveShell.clear_instance()


@pytest.fixture
def started(notebook: Notebook, tmp_path: Path) -> Notebook:
    """With an English checks file that was read."""
    (tmp_path / "toy.checks").write_bytes(pack(keys(), "en"))
    ran = notebook.run(START)
    assert (ran.printed, ran.shown, ran.error) == ("", [], None)
    return notebook


def quiet_line(ran: Ran) -> str:
    """The one line that a failing cell prints in place of a traceback."""
    assert isinstance(ran.error, CheckFailed)
    (line,) = ran.printed.strip().splitlines()
    assert "Traceback" not in line
    return line


# -- right, wrong, not attempted -----------------------------------------------------------------------------------


def test_a_right_answer_is_shown_and_returns_nothing(started: Notebook) -> None:
    started.run(RIGHT)
    ran = started.run("check(weighted_mean)")
    assert (ran.error, ran.printed) == (None, "")
    assert ran.verdict["status"] == "right"
    assert set(ran.shown[0].data) == {"text/plain", "text/html", MIME}
    assert "✓ a matrix" in ran.texts[0]
    assert started.run("out = check(weighted_mean)\nprint(out)").printed.strip() == "None"


def test_a_mistake_is_named_with_its_hint_and_the_cell_fails_in_one_line(started: Notebook) -> None:
    started.run(MISTAKEN)
    ran = started.run("check(weighted_mean)")
    assert "The weights are not divided by their sum." in quiet_line(ran)
    assert ran.verdict["mistake"] == "not_divided"
    assert "Hint: What do shares sum to?" in ran.texts[0]
    assert "expected" in ran.texts[0]
    assert "<svg" in ran.shown[0].data["text/html"]


def test_a_wrong_answer_says_what_was_expected(started: Notebook) -> None:
    started.run(WRONG)
    ran = started.run("check(weighted_mean)")
    line = quiet_line(ran)
    assert line.startswith("weighted_mean · wrong")
    assert "entries differ" in line
    assert ran.verdict["mistake"] is None


def test_not_attempted_is_told_apart_from_wrong(started: Notebook) -> None:
    started.run(BLANK)
    ran = started.run("check(weighted_mean)")
    assert quiet_line(ran) == "weighted_mean · not attempted yet"
    assert ran.verdict["status"] == "not_attempted"
    assert "not attempted yet" in ran.texts[0]


def test_an_exception_names_the_line_of_the_students_cell(started: Notebook) -> None:
    started.run("def weighted_mean(values, weights):\n    shares = 1\n    return values @ values @ undefined")
    ran = started.run("check(weighted_mean)")
    assert re.search(r"line 3 of your cell: return values @ values @ undefined", quiet_line(ran))


def test_the_line_in_a_syntax_error_is_pythons_own(started: Notebook) -> None:
    ran = started.run("def weighted_mean(values weights):\n    pass")
    assert isinstance(ran.error, SyntaxError)


@pytest.mark.parametrize(
    ("source", "call"),
    [
        (RIGHT, "check('weighted_mean')"),
        ("weighted_mean = lambda v, w: ((w * v).sum(-1) / w.sum(-1), w / w.sum(-1, True))", "check(weighted_mean)"),
        ("from toys import right_mean as weighted_mean", "check(weighted_mean)"),
        (RIGHT + "check = check", "check(weighted_mean, weighted_mean)"),
    ],
)
def test_an_answer_is_found_by_the_variable_that_holds_it(started: Notebook, source: str, call: str) -> None:
    started.run(source)
    ran = started.run(call)
    assert ran.error is None
    assert ran.verdict["status"] == "right"


def test_what_is_no_exercise_lists_those_that_are(started: Notebook) -> None:
    for call in ("check(len)", "check('lens')", "check(3)"):
        line = quiet_line(started.run(call))
        assert "is not an exercise of this notebook" in line
        assert "weighted_mean, centred, best" in line


def test_the_stand_in_carries_an_error_forward(started: Notebook) -> None:
    started.run(WRONG)
    started.run(CENTRED)
    ran = started.run("check(centred)")
    assert ran.error is None
    assert "Judged with a right weighted_mean in place of yours" in ran.texts[0]
    assert "entries differ" in quiet_line(started.run("check(weighted_mean)"))  # it is the student's own again


def test_an_answer_cannot_change_the_inputs_of_the_next_check(started: Notebook) -> None:
    started.run("def weighted_mean(values, weights):\n    values.zero_()\n    weights.zero_()\n    return None")
    assert started.run("check(weighted_mean)").error is not None
    started.run(RIGHT)
    assert started.run("check(weighted_mean)").error is None


def test_random_numbers_of_the_notebook_stay(started: Notebook) -> None:
    started.run("import torch\ntorch.manual_seed(1)\na = torch.rand(1)\ntorch.manual_seed(1)")
    started.run("def weighted_mean(values, weights):\n    return torch.rand(2)")
    started.run("check(weighted_mean)")
    assert started.run("print(bool(torch.rand(1) == a))").printed.strip() == "True"


# -- questions -----------------------------------------------------------------------------------------------------


def test_an_answer_to_a_question_is_recorded_and_not_judged(started: Notebook) -> None:
    for source in ("best = 'a'", "best = 'b'"):
        started.run(source)
        ran = started.run("check('best')")
        assert ran.error is None
        assert "answer recorded" in ran.texts[0]
        assert ran.verdict["mistake"] is None
    started.run("best = ''")
    assert "not attempted yet" in quiet_line(started.run("check('best')"))
    started.run("best = 'z'")
    assert "Answer with one of a, b, c." in quiet_line(started.run("check('best')"))


# -- names that are not there --------------------------------------------------------------------------------------


def test_an_answer_that_is_not_defined_yet_says_which_cell_to_run(started: Notebook) -> None:
    ran = started.run("check(weighted_mean)")
    assert isinstance(ran.error, NameError)
    assert ran.printed.strip() == (
        "weighted_mean is not defined yet: run the cell above that defines it, then this one again."
    )


def test_any_other_name_gets_pythons_own_traceback(started: Notebook) -> None:
    ran = started.run("1 + somewhere_else")
    assert isinstance(ran.error, NameError)
    assert "Traceback" in ran.printed
    assert "name 'somewhere_else' is not defined" in ran.printed
    assert ran.printed.count("NameError") <= 2


def test_other_errors_are_left_alone(started: Notebook) -> None:
    assert "ZeroDivisionError" in started.run("1 / 0").printed
    assert started.run("print('still here')").printed == "still here\n"


# -- the checks file -----------------------------------------------------------------------------------------------


def told(notebook: Notebook, language: str | None = None) -> str:
    """What `start` shows where it finds no checks; `check` and `progress` repeat it in one line."""
    (text,) = notebook.run(START.replace("'toy'", f"'toy', {language!r}") if language else START).texts
    notebook.run(RIGHT)
    for call in ("check(weighted_mean)", "progress()"):
        assert quiet_line(notebook.run(call)) == text
    return text


def test_a_missing_file(notebook: Notebook) -> None:
    assert told(notebook).startswith("toy.checks is not here: it came with this notebook; put it back beside it")
    assert told(notebook, "ja").startswith("toy.checks が見つかりません。")


def test_a_file_of_another_format(notebook: Notebook, tmp_path: Path) -> None:
    (tmp_path / "toy.checks").write_bytes(encode({"format": 7}))
    assert "another version of autograder (format 7, this one reads 1)" in told(notebook)
    assert "別のバージョン" in told(notebook, "ja")


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"", lambda data: data[:-9] + b"x" * 9])
def test_a_file_cut_short_or_damaged(notebook: Notebook, tmp_path: Path, damage: Any) -> None:
    (tmp_path / "toy.checks").write_bytes(damage(pack(keys(), "en")))
    assert told(notebook).startswith("toy.checks is damaged or cut short: fetch the assignment again")
    assert told(notebook, "ja").startswith("toy.checks が壊れているか、途中で切れています。")


def test_a_folder_in_its_place(notebook: Notebook, tmp_path: Path) -> None:
    (tmp_path / "toy.checks").mkdir()
    assert "toy.checks is not here" in told(notebook)


def test_a_file_that_is_put_back_is_read(notebook: Notebook, tmp_path: Path) -> None:
    told(notebook)
    (tmp_path / "toy.checks").write_bytes(pack(keys(), "en"))
    assert notebook.run(START).shown == []
    assert notebook.run("check(weighted_mean)").error is None


def test_a_check_before_start(notebook: Notebook) -> None:
    notebook.run("from autograder import check, progress")
    notebook.run(RIGHT)
    for call in ("check(weighted_mean)", "progress()"):
        assert "Run the notebook's first code cell" in quiet_line(notebook.run(call))


# -- Japanese ------------------------------------------------------------------------------------------------------


def test_a_japanese_course(notebook: Notebook, tmp_path: Path) -> None:
    (tmp_path / "toy.checks").write_bytes(pack(keys(), "ja"))
    notebook.run(START)
    notebook.run(MISTAKEN)
    ran = notebook.run("check(weighted_mean)")
    assert "重みの和で割っていません。" in quiet_line(ran)
    assert "ヒント: 割合の和は?" in ran.texts[0]
    assert "行列" in ran.texts[0]
    assert "不正解" in ran.shown[0].data["text/html"]
    notebook.run("del weighted_mean")
    ran = notebook.run("check(weighted_mean)")
    assert ran.printed.startswith("weighted_mean がまだ定義されていません。")
    assert "問中 0 問正解" in notebook.run("progress()").texts[0]


def test_a_student_may_choose_the_other_language(notebook: Notebook, tmp_path: Path) -> None:
    (tmp_path / "toy.checks").write_bytes(pack(keys(), "ja"))
    notebook.run(START.replace("'toy'", "'toy', language='en'"))
    notebook.run(BLANK)
    assert quiet_line(notebook.run("check(weighted_mean)")) == "weighted_mean · not attempted yet"


# -- grading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [MISTAKEN, WRONG, BLANK, "weighted_mean = 3"])
def test_while_grading_a_failing_check_only_displays(
    started: Notebook, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started.run(source)
    for mode, fails in (("validate", True), ("autograde", False)):
        monkeypatch.setenv("NBGRADER_EXECUTION", mode)
        ran = started.run("check('weighted_mean')")
        assert (ran.error is not None) == fails
        assert ran.verdict["status"] != "right"


# -- progress ------------------------------------------------------------------------------------------------------


def objectives_of(ran: Any) -> dict[str, str]:
    """What a progress picture says of each objective."""
    rows = re.findall(r"<span[^>]*>([^<]*)</span></div><div[^>]*>([^<]*)</div>", ran.shown[0].data["text/html"])
    return {name: said for said, name in rows}


def test_progress_counts_exercises_and_objectives(started: Notebook) -> None:
    ran = started.run("progress()")
    assert ran.error is None
    assert ran.texts[0].splitlines() == [
        "0 of 3 exercises right",
        "no answer is found: A mean",
        "no answer is found: A toy",
        "no answer is found: Which is best?",
    ]
    html = ran.shown[0].data["text/html"]
    assert (html.count("✓ "), html.count("0.1"), html.count("0.2")) == (0, 1, 1)
    for source in (RIGHT, CENTRED.replace("values - ", "values + "), "best = 'c'"):
        started.run(source)
    ran = started.run("progress()")
    assert "1 of 3 exercises right, answers recorded: 1" in ran.texts[0]
    assert "wrong: A toy" in ran.texts[0]
    assert "answer recorded" in ran.texts[0]
    assert objectives_of(ran) == {"0.1": "open", "0.2": "✓ met"}  # one of the two exercises of 0.1 is wrong
    started.run(CENTRED)
    assert objectives_of(started.run("progress()")) == {"0.1": "✓ met", "0.2": "✓ met"}


# -- exams in a notebook -------------------------------------------------------------------------------------------


def test_an_exam_outside_the_grader_gives_no_marks(started: Notebook) -> None:
    started.run(RIGHT)
    assert "judged outside the notebook by `nbgrader autograde`" in quiet_line(started.run("exam('weighted_mean')"))


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An author's folder: source/toy beside solutions/toy, and the notebook's folder is the current one."""
    for folder in ("source", "solutions"):
        (tmp_path / folder / "toy").mkdir(parents=True)
    (tmp_path / "solutions" / "toy" / "double.py").write_text(toycourse.DOUBLE, encoding="utf-8")
    nb = nbformat.v4.new_notebook(cells=[toycourse.exam_cell("check(double)", "double", 2.0)])
    nbformat.write(nb, tmp_path / "source" / "toy" / "toy.ipynb")
    monkeypatch.chdir(tmp_path / "source" / "toy")
    return tmp_path


@pytest.mark.usefixtures("course")
def test_an_authors_notebook_needs_no_checks_file(notebook: Notebook, course: Path) -> None:
    os.chdir(course / "source" / "toy")
    assert notebook.run(START).shown == []
    notebook.run("def double(x):\n    return x.square()")
    assert "x is squared, not doubled." in quiet_line(notebook.run("check(double)"))
    assert notebook.run("print(exam('double'))").printed.strip().splitlines()[-1] == "0.0"
    notebook.run("def double(x):\n    return x + x")
    assert notebook.run("check(double)").error is None
    assert notebook.run("print(exam('double'))").printed.strip().splitlines()[-1] == "2.0"


def test_an_exam_may_be_judged_in_process_where_that_is_allowed(
    started: Notebook, course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(IN_PROCESS, str(course / "solutions" / "toy"))
    started.run("double = lambda x: x + x")
    ran = started.run("score = exam('double')\nprint(type(score).__name__, score)")
    assert ran.printed.strip() == "float 2.0"
    ran = started.run("exam('triple')")
    assert isinstance(ran.error, CourseError)
    assert "triple.py does not exist" in ran.printed
    assert len(ran.printed.strip().splitlines()) == 1


def test_an_authors_broken_file_is_told_in_one_line(notebook: Notebook, course: Path) -> None:
    os.chdir(course / "source" / "toy")
    (course / "solutions" / "toy" / "double.py").write_text("def")
    ran = notebook.run(START)
    assert isinstance(ran.error, CourseError)
    (line,) = ran.printed.strip().splitlines()
    assert "solutions/toy/double.py cannot be imported (line 1): SyntaxError" in line


def test_outside_a_notebook_the_verdict_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    InteractiveShell.clear_instance()
    (tmp_path / "toy.checks").write_bytes(pack(keys(), "en"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(selfcheck, "_session", Session("", None, None, "en"))
    start("toy")
    with pytest.raises(CheckFailed, match="no answer is found"):
        check("weighted_mean")
    assert "weighted_mean · no answer is found" in capsys.readouterr().out


# -- calls that say too little -------------------------------------------------------------------------------------


def test_a_check_of_nothing_says_what_to_name(started: Notebook) -> None:
    assert "check(weighted_mean)" in quiet_line(started.run("check()"))


def test_a_check_of_nothing_before_start_says_to_start(notebook: Notebook) -> None:
    notebook.run("from autograder import check")
    assert "first code cell" in quiet_line(notebook.run("check()"))


def test_a_language_that_there_is_not_is_told(started: Notebook) -> None:
    ran = started.run("start('toy', language='fr')")
    assert ran.error is None
    assert ran.texts == ["start(..., language='fr'): choose one of 'en', 'ja'; 'en' is used now."]
    assert started.run("start('toy', language='ja')").shown == []
