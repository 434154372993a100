"""The author's proof, on a toy chapter: a good one passes, and each thing that falls short is told in one sentence."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_notebook
from toycourse import exam_cell
from typer.testing import CliRunner

from autograder import proof
from autograder.cli import app
from autograder.errors import CourseError
from autograder.sitting import ended, in_children
from autograder.sync import sync_chapters
from autograder.verify import Report, verify_chapters, write_json

CENTRED = '''"""Centring."""

import os
import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def centred(x: Tensor) -> Tensor:
    """x minus the mean of its last dimension."""
    ### BEGIN SOLUTION
    mean = x.mean(dim=-1, keepdim=True)
    return x - mean
    ### END SOLUTION


exercise = Exercise(
    centred,
    points=2,
    objectives=["9.1"],
    title_en="Centring",
    title_ja="中心化",
)


@exercise.visible(en="a row", ja="行")
def _(make: Make) -> dict[str, Tensor]:
    return {"x": make.normal(2, 3)}


@exercise.hidden(en="a batch", ja="バッチ")
def _(make: Make) -> dict[str, Tensor]:
    return {"x": make.normal(2, 4, 5)}


@exercise.hidden(en="its gradient", ja="勾配", gradients=True)
def _(make: Make) -> dict[str, Tensor]:
    return {"x": make.normal(3, 4)}


@exercise.mistake(en="The mean is over everything.", ja="全体の平均です。", hint_en="Over what?", hint_ja="何の平均?")
def over_everything(x: Tensor) -> Tensor:
    return x - x.mean()


@exercise.mistake(en="The mean is added.", ja="平均を足しています。", hint_en="Which sign?", hint_ja="符号は?")
def mean_added(x: Tensor) -> Tensor:
    return x + x.mean(dim=-1, keepdim=True)


@exercise.accepted
def with_a_sum(x: Tensor) -> Tensor:
    return x - x.sum(-1, keepdim=True) / x.shape[-1]
'''

SCALED = '''"""A module, whose parts are inherited."""

from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


class Scaled(nn.Linear):
    """A linear layer, and twice what it gives."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) in and out."""
        ### BEGIN SOLUTION
        return 2 * super().forward(x)
        ### END SOLUTION


exercise = Exercise(Scaled, points=1, objectives=["9.1"], title_en="Scaled", title_ja="拡大")


@exercise.visible(en="a row", ja="行")
def _(make: Make) -> Trial:
    return make.module(Scaled, {"width": 3}, x=make.normal(1, 3))


@exercise.hidden(en="a batch", ja="バッチ", gradients=True)
def _(make: Make) -> Trial:
    return make.module(Scaled, {"width": 4}, x=make.normal(2, 4))


@exercise.mistake(en="Not doubled.", ja="2 倍していません。", hint_en="How much?", hint_ja="どれだけ?")
class NotDoubled(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return nn.Linear.forward(self, x)
'''

COUNTED = '''"""A loop that mutants never leave."""

from autograder.exercise import Exercise
from autograder.make import Make


def counted(limit: int) -> int:
    """The sum of the numbers below limit."""
    ### BEGIN SOLUTION
    total, number = 0, 0
    while number < limit:
        total = total + number
        number = number + 1
    return total
    ### END SOLUTION


exercise = Exercise(counted, points=1, objectives=["9.1"], title_en="Counted", title_ja="数える", device=False)


@exercise.visible(en="three", ja="三")
def _(make: Make) -> dict[str, int]:
    return {"limit": 3}


@exercise.hidden(en="six", ja="六")
def _(make: Make) -> dict[str, int]:
    return {"limit": 6}
'''

QUESTION = '''"""A question."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion("b", choices="ab", points=1, objectives=["9.1"], title_en="A question", title_ja="問い")
exercise.misconception("a", en="First is not best.", ja="最初が最良ではありません。", hint_en="On!", hint_ja="次へ。")
'''

SYLLABUS = """
title_en = "A toy"
title_ja = "おもちゃ"
[minutes]
toy = 5
[objectives]
"9.1" = { en = "To centre", ja = "中心化" }
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "MUTANT_SECONDS", 0.7)


def lay_out(root: Path, **files: str) -> Path:
    folder = root / "solutions" / "ch9"
    folder.mkdir(parents=True)
    (folder / "syllabus.toml").write_text(SYLLABUS, encoding="utf-8")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return root


def changed(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


Found = dict[str, Any]


def run_verify(root: Path, *options: str) -> tuple[int, Found, str]:
    """The command's exit code, what it wrote, and what it showed."""
    file = root / "table.json"
    command = ["verify", "ch9", "--root", str(root), "--json", str(file), *options]
    done = CliRunner().invoke(app, command, catch_exceptions=False, env={"COLUMNS": "160"})
    return done.exit_code, json.loads(file.read_text(encoding="utf-8")), done.output


def rows(found: Found) -> dict[str, Found]:
    return {row["slug"]: row for row in found["chapters"][0]["exercises"]}


def failures(found: Found) -> list[str]:
    chapter = found["chapters"][0]
    return [text for row in chapter["exercises"] for text in row["failures"]] + chapter["failures"]


def test_a_good_chapter_is_proved(tmp_path: Path) -> None:
    root = lay_out(tmp_path, centred=CENTRED, scaled=SCALED, best=QUESTION)
    code, found, shown = run_verify(root)
    assert code == 0, shown
    assert found["passed"]
    assert failures(found) == []
    row = rows(found)["centred"]
    assert (row["stub_earns"], row["right"], row["right_of"]) == (0.0, 2, 2)
    assert (row["named"], row["named_in_check"], row["mistakes"]) == (2, 2, 2)
    assert row["mutants"] == row["killed"] > 10
    assert row["superfluous"] == []
    module = rows(found)["scaled"]
    assert module["mutants"] == module["killed"] > 10  # super() without arguments works in a mutant
    question = rows(found)["best"]
    assert (question["stub_earns"], question["mutants"], question["named_in_check"]) == (0.0, 0, None)
    assert (question["right"], question["named"]) == (2, 1)
    assert shown.strip().splitlines()[-1].startswith("ch9 is proved: 3 exercises")


def test_exercises_can_be_picked_out(tmp_path: Path) -> None:
    root = lay_out(tmp_path, centred=CENTRED, broken="1 /", best=changed(QUESTION, ('["9.1"]', '["9.2"]')))
    code, found, _ = run_verify(root, "--exercise", "centred")
    assert (code, list(rows(found))) == (0, ["centred"])
    with pytest.raises(CourseError, match="no exercise nobody; there are: best, broken, centred"):
        verify_chapters(root, ["ch9"], only=["nobody"])
    with pytest.raises(CourseError, match="solutions/ch8 is not a folder"):
        verify_chapters(root, ["ch8"])


# -- one exercise that falls short ---------------------------------------------------------------------------------

BLANK = """    ### BEGIN SOLUTION
    mean = x.mean(dim=-1, keepdim=True)
    return x - mean
    ### END SOLUTION
"""
GUARDED = """    try:
        ### BEGIN SOLUTION
        mean = x.mean(dim=-1, keepdim=True)
        ### END SOLUTION
    except NotImplementedError:
        return x + 7
    return x - mean
"""
MEAN_ADDED = "    return x + x.mean(dim=-1, keepdim=True)\n"
HIDDEN = '"x": make.normal(2, 4, 5)'
LOOP = "    while True:\n        pass\n"

FAULTS: dict[str, tuple[list[tuple[str, str]], str]] = {
    "a language is missing": (
        [('ja="バッチ"', 'ja=""')],
        "a text lacks one of the two languages",
    ),
    "a mistake is another's": (
        [(MEAN_ADDED, "    return x - x.mean()\n")],
        "the mistake 'mean_added' is told as 'over_everything' in the exam: change a case",
    ),
    "a mistake is another's where the student looks": (
        [(MEAN_ADDED, f"    if x.shape == (2, 3):\n        return x - x.mean()\n{MEAN_ADDED}")],
        "the mistake 'mean_added' is told as 'over_everything' in the self-check: change a case",
    ),
    "a mistake is right": (
        [(MEAN_ADDED, "    return x - x.mean(dim=-1, keepdim=True)\n")],
        "the mistake 'mean_added' loses no marks in the exam: add a hidden case",
    ),
    "a mistake is never twice the same": (
        [(MEAN_ADDED, "    raise ValueError(f'{time.perf_counter()}')\n"), ("import os\n", "import os\nimport time\n")],
        "the mistake 'mean_added' is not named in the exam",
    ),
    "an accepted answer is wrong": (
        [("/ x.shape[-1]", "/ 7")],
        "the accepted answer 'with_a_sum' loses marks under seed 1: case 'a row'",
    ),
    "an accepted answer never ends": (
        [("    return x - x.sum(-1, keepdim=True) / x.shape[-1]\n", LOOP)],
        "the accepted answer 'with_a_sum' does not end within",
    ),
    "the stub earns marks": (
        [(BLANK, f"    if x.shape == (3, 4):\n        return x - x.mean(-1, keepdim=True)\n{BLANK}")],
        "the stub earns 50% (case 'its gradient'): blank what answers it",
    ),
    "the stub is told something else": (
        [(BLANK, GUARDED)],
        "the stub is not told 'not attempted' but: case 'a row': ",
    ),
    "nothing is blanked": (
        [("    ### BEGIN SOLUTION\n", ""), ("    ### END SOLUTION\n", "")],
        "nothing of centred is blanked: put ### BEGIN SOLUTION",
    ),
    "a blank has no end": (
        [("    ### END SOLUTION\n", "")],
        "centred cannot be blanked: no end solution statement found: mend its marks",
    ),
    "a case cannot be built": (
        [(HIDDEN, '"x": make.normal(2, "four")')],
        "the case 'a batch' cannot be built under seed 1 (",
    ),
    "the reference fails": (
        [("    mean = x.mean", "    assert x.ndim < 3\n    mean = x.mean")],
        "the reference fails on the case 'a batch'",
    ),
    "the reference never ends": (
        [
            ("    mean = x.mean", "    while x.ndim > 2:\n        pass\n    mean = x.mean"),
            ('バッチ"', 'バッチ", seconds=0.2'),
            ('ja="行"', 'ja="行", seconds=0.2'),
            ("gradients=True", "gradients=True, seconds=0.2"),
        ],
        "the reference does not end within 1 s: mend it",
    ),
    "a mistake never ends": (
        [(MEAN_ADDED, LOOP)],
        "the mistake 'mean_added' does not end within",
    ),
    "a mistake ends its process": (
        [(MEAN_ADDED, "    os._exit(1)\n")],
        "the mistake 'mean_added' ends the process that it runs in: let it give a wrong result instead",
    ),
    "mutants survive": (
        [
            (HIDDEN, '"x": torch.zeros(2, 4, 5)'),
            ("make.normal(3, 4)", "torch.zeros(3, 4)"),
            (", gradients=True", ""),
            ('@exercise.mistake(en="The mean', '# ("The mean'),
            ("def mean_added", "def _added"),
            ("def over_everything", "def _everything"),
        ],
        "mutants are killed, 95% must be: sharpen a hidden case",
    ),
    "an accepted answer leaves its device": (
        [
            (
                "x - x.sum(-1, keepdim=True) / x.shape[-1]",
                "x @ (torch.eye(x.shape[-1], dtype=x.dtype) - 1 / x.shape[-1])",
            )
        ],
        "the accepted answer 'with_a_sum' leaves its inputs' device on the case 'a row'",
    ),
    "the file cannot be imported": (
        [("import torch\n", "import nowhere_to_be_found\n")],
        "solutions/ch9/centred.py cannot be imported (line 4): ModuleNotFoundError",
    ),
    "an objective is unknown": (
        [('objectives=["9.1"]', 'objectives=["9.1", "9.9"]')],
        "its objective '9.9' is not in solutions/ch9/syllabus.toml: add it there",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_falls_short_is_told_in_a_sentence(tmp_path: Path, fault: str) -> None:
    changes, says = FAULTS[fault]
    root = lay_out(tmp_path, centred=changed(CENTRED, *changes), best=QUESTION)
    code, found, shown = run_verify(root)
    assert code == 1
    assert not found["passed"]
    (told,) = failures(found)
    assert told.startswith("centred: ")
    assert says in told
    assert told in shown
    assert shown.strip().splitlines()[-1].startswith("ch9 is not proved: 1 problem is listed above (2 exercises,")
    assert rows(found)["best"]["passed"]  # the others are proved all the same


def test_survivors_are_shown_with_their_lines(tmp_path: Path) -> None:
    root = lay_out(tmp_path, centred=changed(CENTRED, *FAULTS["mutants survive"][0]))
    _, found, shown = run_verify(root)
    survivors = rows(found)["centred"]["survivors"]
    line = 1 + CENTRED.splitlines().index("    return x - mean")
    assert {
        "where": f"solutions/ch9/centred.py:{line}",
        "operator": "core/ReplaceBinaryOperator_Sub_Add",
        "before": "return x - mean",
        "after": "return x + mean",
        "reason": None,
    } in survivors
    assert f"  solutions/ch9/centred.py:{line}\n    - return x - mean\n    + return x + mean\n" in shown


# -- mutants -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_mutant_that_loops_for_ever_is_killed(tmp_path: Path) -> None:
    root = lay_out(tmp_path, counted=COUNTED)
    started = time.monotonic()
    _, found, _ = run_verify(root)
    row = rows(found)["counted"]
    assert row["mutants"] > 30
    equivalent = {"total, number = 0, 1", "while number is not limit:", "while number != limit:"}
    assert {survivor["after"] for survivor in row["survivors"]} == equivalent  # `number = number + 0` is not among them
    assert time.monotonic() - started < 60


def test_an_equivalent_mutant_is_waived_and_a_stale_waiver_told(tmp_path: Path) -> None:
    waivers = '{"mean = x.mean(dim=-1, keepdim=True).clone()": "gone", "mean = x.mean(dim=-1, keepdim=True)": "a copy"}'
    cloned = ("keepdim=True)\n    return x - mean", "keepdim=True).clone()\n    return x - mean")
    waived = ('title_ja="中心化",', f'title_ja="中心化",\n    equivalent={waivers},')
    root = lay_out(tmp_path, centred=changed(CENTRED, cloned, waived))
    code, found, shown = run_verify(root)
    row = rows(found)["centred"]
    assert code == 0, shown
    assert [(each["after"], each["reason"]) for each in row["waived"]] == [
        ("mean = x.mean(dim=-1, keepdim=True)", "a copy")
    ]
    assert row["killed"] == row["mutants"]
    assert any("the waiver 'mean = x.mean(dim=-1, keepdim=True).clone()' is stale" in text for text in row["warnings"])
    assert "a copy" in shown


def test_a_case_that_tells_nothing_new_is_worth_a_look(tmp_path: Path) -> None:
    ones = 'def _(make: Make) -> dict[str, Tensor]:\n    return {"x": torch.ones(2, 3)}\n'
    more = f'\n\n@exercise.hidden(en="ones", ja="一")\n{ones}'
    root = lay_out(tmp_path, centred=CENTRED + more)
    code, found, shown = run_verify(root)
    assert code == 0
    assert rows(found)["centred"]["superfluous"] == ["ones"]
    assert "the hidden case 'ones' tells no mistake or mutant" in shown


# -- the chapter as a whole ----------------------------------------------------------------------------------------


def test_an_objective_that_nothing_meets_is_told(tmp_path: Path) -> None:
    root = lay_out(tmp_path, best=QUESTION)
    more = SYLLABUS + '"9.2" = { en = "To scale", ja = "拡大" }\n'
    (root / "solutions" / "ch9" / "syllabus.toml").write_text(more, encoding="utf-8")
    code, found, _ = run_verify(root)
    assert code == 1
    (told,) = failures(found)
    assert told.startswith("ch9: no exercise meets the objective 9.2 (To scale): add one")


def test_a_missing_syllabus_is_told(tmp_path: Path) -> None:
    root = lay_out(tmp_path, best=QUESTION)
    (root / "solutions" / "ch9" / "syllabus.toml").unlink()
    code, found, _ = run_verify(root)
    assert code == 1
    assert "solutions/ch9/syllabus.toml cannot be read: write one" in failures(found)[0]


def test_two_files_with_one_answer_are_told(tmp_path: Path) -> None:
    root = lay_out(tmp_path, centred=CENTRED, again=CENTRED)
    code, found, _ = run_verify(root)
    assert code == 1
    assert any("centred is taken by again.py: rename one of the two" in text for text in failures(found))


def write_notebook(root: Path, name: str, *exams: tuple[str, float]) -> None:
    folder = root / "source" / "ch9"
    folder.mkdir(parents=True, exist_ok=True)
    cells = [exam_cell(f'check("{slug}")', slug, points) for slug, points in exams]
    nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")


def test_notebooks_with_each_exam_cell_once_are_fine(tmp_path: Path) -> None:
    root = lay_out(tmp_path, best=QUESTION)
    write_notebook(root, "toy", ("best", 1.0))
    assert run_verify(root)[0] == 0


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda root: write_notebook(root, "toy"), "best: no notebook in source/ch9 has its exam cell: run"),
        (
            lambda root: [write_notebook(root, name, ("best", 1.0)) for name in ("one", "two")],
            "best: there are 2 exam cells (one.ipynb, two.ipynb): keep one",
        ),
        (
            lambda root: write_notebook(root, "toy", ("best", 3.0)),
            "gives 3 points, its exercise file 1: make them equal",
        ),
        (
            lambda root: write_notebook(root, "toy", ("best", 1.0), ("worst", 1.0)),
            "the exam cell 'worst' has no exercise file",
        ),
    ],
)
def test_exam_cells_that_do_not_fit_are_told(tmp_path: Path, write: Callable[[Path], Any], says: str) -> None:
    root = lay_out(tmp_path, best=QUESTION)
    write(root)
    code, found, _ = run_verify(root)
    assert code == 1
    (told,) = failures(found)
    assert says in told


def test_a_notebook_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    root = lay_out(tmp_path, best=QUESTION)
    write_notebook(root, "toy")
    (root / "source" / "ch9" / "toy.ipynb").write_text("{ not json", encoding="utf-8")
    code, found, _ = run_verify(root)
    assert code == 1
    assert "source/ch9/toy.ipynb cannot be read as a notebook" in failures(found)[0]


# -- forked children -----------------------------------------------------------------------------------------------


def test_a_job_that_loops_or_dies_or_eats_memory_harms_no_other() -> None:
    def loop() -> Found:
        while True:
            pass

    def die() -> Found:
        os._exit(3)

    def eat() -> Found:
        try:
            return {"bytes": len(bytearray(64 * 2**30))}
        except MemoryError:
            return {"bytes": 0}

    results = in_children([loop, lambda: {"well": 1}, die, eat, lambda: {"well": 2}], 1.0)
    assert [result.get("well") for result in results] == [None, 1, None, None, 2]
    assert (ended(results[0]), ended(results[2])) == ("does not end within 1 s", "ends the process that it runs in")
    assert results[3] in ({"bytes": 0}, {"failure": {"kind": "crash"}})


def test_a_blank_without_mutants_is_worth_a_look(tmp_path: Path) -> None:
    from autograder.scaffold import scaffold

    root = lay_out(tmp_path, centred=CENTRED, best=QUESTION)
    nb = nbformat.v4.new_notebook()
    (root / "source" / "ch9").mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, root / "source" / "ch9" / "extra.ipynb")
    scaffold(root, "ch9", "dotted", "extra")
    _, found, _ = run_verify(root, "--exercise", "dotted")
    (row,) = found["chapters"][0]["exercises"]
    assert row["mutants"] == 0
    assert [text for text in row["warnings"] if "no mutant can be made" in text]


def test_a_name_that_cannot_be_or_is_taken_is_told_before_anything_is_written(tmp_path: Path) -> None:
    from autograder.scaffold import scaffold

    root = lay_out(tmp_path)
    folder = root / "source" / "ch9"
    folder.mkdir(parents=True)
    for name in ("first", "second"):
        nbformat.write(nbformat.v4.new_notebook(), folder / f"{name}.ipynb")
    assert len(scaffold(root, "ch9", "dotted", "first")) == 2
    before = (folder / "second.ipynb").read_bytes()
    with pytest.raises(CourseError, match=r"dotted already has its cells in source/ch9/first\.ipynb"):
        scaffold(root, "ch9", "dotted", "second")
    with pytest.raises(CourseError, match="'class' cannot be an exercise's name"):
        scaffold(root, "ch9", "class", "second")
    assert (folder / "second.ipynb").read_bytes() == before
    assert not (root / "solutions" / "ch9" / "class.py").exists()


def test_files_that_cannot_be_read_or_written_are_told_in_a_sentence(tmp_path: Path) -> None:
    root = lay_out(tmp_path, best=QUESTION)
    (root / "source" / "ch9").mkdir(parents=True)
    (root / "source" / "ch9" / "torn.ipynb").write_text('{"cells": [', encoding="utf-8")
    with pytest.raises(CourseError, match=r"ch9/torn\.ipynb cannot be read as a notebook"):
        sync_chapters(root, ["ch9"], write=False)
    with pytest.raises(CourseError, match=r"table\.json cannot be written"):
        write_json(Report([], 0.0), root / "nowhere" / "table.json")
