"""What `Examine` does with cells beside the exams: left out, in time, said in the course's language."""

from pathlib import Path

import nbformat
import pytest
import toycourse
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from toycourse import nbgrader, scores, submit, write_submission

from autograder.demonstrations import TAG

pytestmark = pytest.mark.slow

RIGHT = {"double": 2.0, "quadruple": 3.0, "toy_choice": 1.0}
SHOWS = "print('SHOWN')\nfactor = 2\nopen('ran.txt', 'a').write('x')"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy course in Japanese whose notebook has a cell that only shows something, before the first answer."""
    course = toycourse.lay_out(tmp_path_factory.mktemp("examine") / "course")
    path = course / "source" / "toy" / "toy.ipynb"
    nb = nbformat.read(path, as_version=4)
    nb.cells.insert(2, new_code_cell(SHOWS, metadata={"tags": [TAG]}, id="shows"))
    nbformat.write(nb, path)
    config = course / "nbgrader_config.py"
    config.write_text(config.read_text().replace('LANGUAGE = "en"', 'LANGUAGE = "ja"'))
    nbgrader(course, "generate_assignment", "toy")
    return course


def graded(course: Path, student: str, *options: str) -> NotebookNode:
    nbgrader(course, "autograde", "toy", "--student", student, "--force", *options)
    return nbformat.read(course / "autograded" / student / "toy" / "toy.ipynb", as_version=4)


def outputs(nb: NotebookNode, source: str) -> str:
    (cell,) = [cell for cell in nb.cells if cell.source.startswith(source)]
    return str(cell.outputs)


def test_a_cell_that_only_shows_something_is_not_run(course: Path) -> None:
    submit(course, "plain")
    nb = graded(course, "plain")
    assert "採点では実行していません (説明用のセルです)。" in outputs(nb, "print('SHOWN')")
    assert scores(course)["plain"] == RIGHT


def test_one_that_an_answer_needs_is_run(course: Path) -> None:
    submit(course, "needs", double="def double(x):\n    return factor * x")
    nb = graded(course, "needs")
    assert "SHOWN" in outputs(nb, "print('SHOWN')")
    assert scores(course)["needs"] == RIGHT


def test_one_that_the_student_has_changed_is_run(course: Path) -> None:
    nb = submit(course, "changed", double="pass")
    (cell,) = [cell for cell in nb.cells if cell.source == SHOWS]
    cell.source += "\ndef double(x):\n    return 2 * x"
    write_submission(course, "changed", nbformat.writes(nb))
    nb = graded(course, "changed")
    assert "SHOWN" in outputs(nb, "print('SHOWN')")
    assert scores(course)["changed"] == RIGHT


def test_when_time_is_up_cells_are_left_out_and_exams_are_asked(course: Path) -> None:
    submit(course, "slow", quadruple="import time\ntime.sleep(3)\ndef quadruple(x):\n    return 4 * x")
    nb = graded(course, "slow", "--Examine.max_seconds=2")
    assert "実行に時間がかかりすぎた" in outputs(nb, "toy_choice")
    assert scores(course)["slow"] == {**RIGHT, "toy_choice": 0.0}


def test_an_answer_that_ends_its_process_over_one_hidden_case_is_asked_the_others(course: Path) -> None:
    kills = "if x.ndim == 2 and double.__name__ == 'double':\n        os._exit(1)"
    submit(course, "ends", quadruple=f"import os\ndef quadruple(x):\n    {kills}\n    return double(double(x))")
    graded(course, "ends")
    assert scores(course)["ends"] == RIGHT, "with the stand-in for double it ends nothing"


def test_what_cells_write_beside_the_notebook_is_thrown_away(course: Path) -> None:
    assert not list(course.rglob("ran.txt"))


def test_every_submissions_log_says_what_confined_it(course: Path) -> None:
    assert "Sandbox: " in nbgrader(course, "autograde", "toy", "--student", "plain", "--force")
