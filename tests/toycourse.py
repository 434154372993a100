"""A course of its own for the engine's tests: two exercises and a question, in one notebook, with nbgrader."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).parent.parent

DOUBLE = '''"""Doubling: the canary-7f3a exercise."""

from typing import Any

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def double(x: Tensor) -> Tensor:
    """Twice x, of any shape."""
    ### BEGIN SOLUTION
    factor_of_the_reference = torch.full_like(x, 2.0)
    return factor_of_the_reference * x
    ### END SOLUTION


exercise = Exercise(double, points=2, objectives=["0.1"], title_en="Doubling", title_ja="2 倍")


@exercise.visible(en="a row", ja="一つの行")
def _(make: Make) -> dict[str, Any]:
    return {"x": make.normal(3)}


@exercise.hidden(en="a hidden matrix", ja="非公開の行列")
def _(make: Make) -> dict[str, Any]:
    return {"x": make.normal(2, 3)}


@exercise.hidden(en="a hidden gradient", ja="非公開の勾配", gradients=True)
def _(make: Make) -> dict[str, Any]:
    return {"x": make.normal(4)}


@exercise.mistake(
    en="x is squared, not doubled.",
    ja="2 倍ではなく 2 乗しています。",
    hint_en="What is twice 3?",
    hint_ja="3 の 2 倍は?",
)
def squared_by_mistake(x: Tensor) -> Tensor:
    return x.square()


@exercise.accepted
def with_a_sum(x: Tensor) -> Tensor:
    return x + x
'''

QUADRUPLE = '''"""Doubling twice, with the student's own double."""

from typing import Any

from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def double(x: Tensor) -> Tensor:
    return 2 * x


def quadruple(x: Tensor) -> Tensor:
    """Four times x."""
    ### BEGIN SOLUTION
    return double(double(x))
    ### END SOLUTION


exercise = Exercise(
    quadruple,
    points=3,
    objectives=["0.1"],
    title_en="Quadrupling",
    title_ja="4 倍",
    stand_ins={"double": "toybuiltins:twice"},
)


@exercise.visible(en="a row", ja="一つの行")
def _(make: Make) -> dict[str, Any]:
    return {"x": make.normal(3)}


@exercise.hidden(en="a hidden matrix", ja="非公開の行列", seconds=2)
def _(make: Make) -> dict[str, Any]:
    return {"x": make.normal(2, 3)}
'''

CHOICE = '''"""A question."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion("b", choices="abc", points=1, objectives=["0.1"], title_en="A question", title_ja="問い")
exercise.misconception("a", en="First is not best.", ja="最初ではない。", hint_en="Go on.", hint_ja="次へ。")
exercise.misconception("c", en="Last is not best.", ja="最後ではない。", hint_en="Go back.", hint_ja="前へ。")
'''

BUILTINS = '"""Stand-ins of the toy course."""\n\n\ndef twice(x):\n    return x.mul(2)\n'


def marked(source: str, grade_id: str, **mark: object) -> NotebookNode:
    """A code cell with nbgrader's metadata."""
    plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    return new_code_cell(source, metadata={"nbgrader": {**plain, "grade_id": grade_id, **mark}})


def exam_cell(call: str, slug: str, points: float) -> NotebookNode:
    hidden = f'### BEGIN HIDDEN TESTS\nfrom autograder import exam\nexam("{slug}")\n### END HIDDEN TESTS'
    return marked(f"{call}\n{hidden}", slug, grade=True, locked=True, points=points)


def toy_notebook() -> NotebookNode:
    """The source notebook, with empty answers: `autograder sync` fills them."""
    blank = "### BEGIN SOLUTION\n### END SOLUTION"
    question = marked(blank, "toy_choice-toy_choice", solution=True)
    question.metadata["tags"] = ["question"]
    cells = [
        new_markdown_cell("<!-- en -->\n# A toy\n<!-- ja -->\n# おもちゃ"),
        new_code_cell('import torch\nfrom torch import Tensor\nfrom autograder import check, start\n\nstart("toy")'),
        marked(blank, "double-double", solution=True),
        exam_cell("check(double)", "double", 2.0),
        marked(blank, "quadruple-quadruple", solution=True),
        exam_cell("check(quadruple)", "quadruple", 3.0),
        question,
        exam_cell('check("toy_choice")', "toy_choice", 1.0),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    spec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": spec})


def lay_out(course: Path) -> Path:
    """Lay the toy course out in a folder, synced and ready for nbgrader; returns the folder."""
    from autograder.sync import sync_chapters

    (course / "solutions" / "toy").mkdir(parents=True)
    (course / "source" / "toy").mkdir(parents=True)
    for name, text in (("double", DOUBLE), ("quadruple", QUADRUPLE)):
        (course / "solutions" / "toy" / f"{name}.py").write_text(text, encoding="utf-8")
    (course / "solutions" / "toy" / "toy_choice.py").write_text(CHOICE, encoding="utf-8")
    (course / "lib").mkdir()
    (course / "lib" / "toybuiltins.py").write_text(BUILTINS, encoding="utf-8")
    nbformat.write(toy_notebook(), course / "source" / "toy" / "toy.ipynb")
    config = (ROOT / "nbgrader_config.py").read_text(encoding="utf-8")
    (course / "nbgrader_config.py").write_text(f"{config}\nc.Sandbox.readable = ['lib']\n", encoding="utf-8")
    sync_chapters(course, ["toy"], write=True)
    return course


def nbgrader(course: Path, *arguments: str, fails: bool = False) -> str:
    """Run a plain nbgrader command in the course's root; returns what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(course / "lib"), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, timeout=1500)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def answers(course: Path) -> dict[str, str]:
    """The model answers by grade_id, from the source notebook."""
    nb = nbformat.read(course / "source" / "toy" / "toy.ipynb", as_version=4)
    marks = [(cell.metadata.get("nbgrader", {}), cell.source) for cell in nb.cells]
    return {mark["grade_id"]: source for mark, source in marks if mark.get("solution")}


def submit(course: Path, student: str, **changes: str) -> NotebookNode:
    """Hand in the solved release, with the answers of `changes` (grade ids with _ for -) in place of the model's."""
    nb = nbformat.read(course / "release" / "toy" / "toy.ipynb", as_version=4)
    for cell in nb.cells:
        mark = cell.metadata.get("nbgrader", {})
        if mark.get("solution"):
            name = mark["grade_id"].split("-")[-1]
            cell.source = changes.get(name, answers(course)[mark["grade_id"]])
    write_submission(course, student, nbformat.writes(nb))
    return nb


def write_submission(course: Path, student: str, text: str | bytes) -> None:
    """Put a file in place of a student's notebook, whatever it holds."""
    folder = course / "submitted" / student / "toy"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.ipynb").write_bytes(text if isinstance(text, bytes) else text.encode())


def scores(course: Path) -> dict[str, dict[str, float | None]]:
    """The automatic scores in the gradebook by student and exercise."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        return {
            submission.student.id: {grade.name: grade.auto_score for nb in submission.notebooks for grade in nb.grades}
            for submission in gradebook.assignment_submissions("toy")
        }
