"""Plain nbgrader, driven by nbgrader_config.py alone, on a toy course: a class of good and damaged submissions."""

import json
from pathlib import Path

import nbformat
import pytest
import toycourse
from nbformat import NotebookNode
from toycourse import nbgrader, scores, submit, write_submission

from autograder.sync import sync_chapters

pytestmark = pytest.mark.slow

RIGHT = {"double": 2.0, "quadruple": 3.0, "toy_choice": 1.0}


def _cells(nb: NotebookNode, grade_id: str) -> list[NotebookNode]:
    return [cell for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id]


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy course after `generate_assignment`, `autograde` and `generate_feedback` of a class."""
    course = toycourse.lay_out(tmp_path_factory.mktemp("course"))
    nbgrader(course, "generate_assignment", "toy")
    good = submit(course, "right")
    stub = nbformat.read(course / "release" / "toy" / "toy.ipynb", as_version=4)
    write_submission(course, "blank", nbformat.writes(stub))
    submit(course, "mistaken", double="def double(x):\n    return x.square()")
    submit(course, "wrong_helper", double="def double(x):\n    return x + 1")
    submit(
        course, "warns", double="import sys\ndef double(x):\n    print('careful', file=sys.stderr)\n    return x + x"
    )
    submit(course, "syntax", double="def double(x:\n    return x + x")
    submit(course, "endless", quadruple="def quadruple(x):\n    while True:\n        pass")
    submit(course, "exits", double="import os\ndef double(x):\n    os._exit(0)")
    submit(course, "kills", toy_choice="toy_choice = 'b'\nimport os\nos.kill(os.getpid(), 9)")
    submit(course, "floods", double="print('x' * 60_000_000)\ndef double(x):\n    return x + x")
    submit(course, "spies", double="def double(x):\n    raise ValueError(f'SPY{x.flatten().tolist()}')")
    submit(course, "forges", double=FORGERY)
    submit(course, "remembers", double=MEMORY)
    _damaged(course, good)
    log = nbgrader(course, "autograde", "toy")
    (course / "autograde.log").write_text(log)
    nbgrader(course, "generate_feedback", "toy")
    return course


# Everything that a score could be forged with inside the kernel: none of it runs where the judging is done.
FORGERY = """
import torch, autograder, autograder.judge, autograder.verdict, autograder.selfcheck
autograder.judge.judge = autograder.judge.compare = lambda *a, **k: []
torch.testing.assert_close = lambda *a, **k: None
torch.allclose = torch.equal = lambda *a, **k: True
autograder.verdict.Verdict.score = property(lambda self: self.points)
autograder.exam = autograder.selfcheck.exam = lambda slug: 2.0
class Alike(torch.Tensor):
    def __eq__(self, other): return True
def double(x):
    return torch.zeros_like(x).as_subclass(Alike)
"""

# A global that outlives a question would let a later cell see hidden inputs.
MEMORY = """
seen = []
def double(x):
    seen.append(x)
    open("seen.txt", "a").write("x")
    return x + x
"""


def _damaged(course: Path, good: NotebookNode) -> None:
    tree = json.loads(nbformat.writes(good))
    write_submission(course, "not_json", "{this is not JSON")
    write_submission(course, "empty_file", "")
    (course / "submitted" / "a_folder" / "toy" / "toy.ipynb").mkdir(parents=True)
    write_submission(course, "a_list", "[1, 2]")
    write_submission(course, "not_utf8", b"\xff\xfe\xfa" + "日本語".encode("euc-jp"))
    write_submission(course, "byte_order_mark", b"\xef\xbb\xbf" + json.dumps(tree).encode())
    write_submission(course, "format_5", json.dumps({**tree, "nbformat": 5}))
    write_submission(course, "cut_short", json.dumps(tree)[:-200])
    plain = [{**cell, "metadata": {}} for cell in tree["cells"]]
    write_submission(course, "no_metadata", json.dumps({**tree, "cells": plain}))
    torn = [{**cell, "metadata": {"nbgrader": 7, "tags": 3}} for cell in tree["cells"]]
    write_submission(course, "torn_metadata", json.dumps({**tree, "metadata": [], "cells": torn}))
    other = json.loads(json.dumps(tree))
    for cell in other["cells"]:
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"].update(schema_version=99, points=1000, grade=False, solution=True)
    write_submission(course, "other_schema", json.dumps(other))
    write_submission(course, "doubled_ids", json.dumps({**tree, "cells": [c for c in tree["cells"] for _ in (0, 1)]}))
    odd = [*tree["cells"], 7, {"cell_type": "code"}, {"cell_type": "code", "source": 5, "metadata": None}]
    write_submission(course, "odd_cells", json.dumps({**tree, "cells": odd}))
    outputs = json.loads(json.dumps(tree))
    flood = {"output_type": "stream", "name": "stdout", "text": "y" * 50_000_000}
    outputs["cells"][1]["outputs"] = [flood]
    outputs["metadata"]["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}
    write_submission(course, "large_and_foreign", json.dumps(outputs))
    fewer = [c for c in tree["cells"] if not c["metadata"].get("nbgrader", {}).get("grade_id", "").startswith("double")]
    write_submission(course, "cells_deleted", json.dumps({**tree, "cells": fewer}))


DESERVED = {
    "right": RIGHT,
    "blank": {"double": 0.0, "quadruple": 0.0, "toy_choice": 0.0},
    "mistaken": {**RIGHT, "double": 0.0},
    "wrong_helper": {**RIGHT, "double": 0.0},  # quadruple calls it, and loses nothing
    "warns": RIGHT,  # stock nbgrader gives 0 for anything on stderr
    "syntax": {**RIGHT, "double": 0.0},
    "endless": {**RIGHT, "quadruple": 0.0},
    "exits": {**RIGHT, "double": 0.0},
    # the question's own cell kills the kernel, so that its answer cannot be had; what was asked before it counts
    "kills": {**RIGHT, "toy_choice": 0.0},
    "floods": RIGHT,
    "spies": {**RIGHT, "double": 0.0},
    "forges": {**RIGHT, "double": 0.0},
    "remembers": RIGHT,
    "not_json": dict.fromkeys(RIGHT, 0.0),
    "empty_file": dict.fromkeys(RIGHT, 0.0),
    "a_folder": dict.fromkeys(RIGHT, 0.0),
    "a_list": dict.fromkeys(RIGHT, 0.0),
    "not_utf8": dict.fromkeys(RIGHT, 0.0),
    "byte_order_mark": RIGHT,
    "format_5": dict.fromkeys(RIGHT, 0.0),
    "cut_short": dict.fromkeys(RIGHT, 0.0),
    "no_metadata": RIGHT,  # the answers are there, under their names
    "torn_metadata": RIGHT,
    "other_schema": RIGHT,
    "doubled_ids": RIGHT,
    "odd_cells": RIGHT,
    "large_and_foreign": RIGHT,
    "cells_deleted": {**RIGHT, "double": 0.0},
}


@pytest.mark.parametrize("student", DESERVED)
def test_everybody_gets_what_the_submission_deserves(graded: Path, student: str) -> None:
    assert scores(graded)[student] == DESERVED[student]


def test_nobody_is_forgotten(graded: Path) -> None:
    assert set(scores(graded)) == set(DESERVED)


def _feedback(course: Path, student: str) -> str:
    return (course / "feedback" / student / "toy" / "toy.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("student", "says"),
    [
        ("mistaken", "x is squared, not doubled."),
        ("mistaken", "What is twice 3?"),
        ("blank", "is not attempted yet"),
        ("syntax", "is not defined"),
        ("cells_deleted", "is not defined"),
        ("endless", "did not finish within 10 s"),
        ("exits", "the process that ran it ended"),
        ("kills", "This cell ended the notebook"),
        ("wrong_helper", "Judged with a right double in place of yours"),
        ("not_json", "This file is not JSON"),
        ("a_list", "not a notebook"),
        ("a_folder", "no file of this name"),
        ("not_utf8", "not text in UTF-8"),
        ("format_5", "format 5"),
        ("odd_cells", "could not be read and were left out"),
        ("floods", "output above"),
    ],
)
def test_feedback_says_what_was_wrong(graded: Path, student: str, says: str) -> None:
    assert says in _feedback(graded, student)


def test_the_log_names_the_file_and_what_to_do(graded: Path) -> None:
    log = (graded / "autograde.log").read_text()
    assert "Traceback" not in log
    lines = [line for line in log.splitlines() if "not_json" in line and "This file is not JSON" in line]
    assert lines
    assert "hand it in again" in lines[0]
    assert "52 MB large" in log or "48 MB large" in log


def test_feedback_never_shows_hidden_inputs_or_the_reference(graded: Path) -> None:
    page = _feedback(graded, "spies")
    hidden = page.split("a hidden matrix")[1]
    assert "SPY" not in hidden
    assert "ValueError" in hidden
    for student in DESERVED:
        if student != "right" and DESERVED[student]["double"] == 0.0:
            assert "factor_of_the_reference" not in _feedback(graded, student)


def test_what_an_answer_remembers_stays_in_its_own_question(graded: Path) -> None:
    nb = nbformat.read(graded / "autograded" / "remembers" / "toy" / "toy.ipynb", as_version=4)
    (cell,) = _cells(nb, "double")
    assert [output.output_type for output in cell.outputs] == ["display_data", "execute_result"]
    assert not list((graded / "autograded").rglob("seen.txt"))


def test_a_score_is_a_plain_number_that_nbgrader_accepts(graded: Path) -> None:
    for path in (graded / "autograded").rglob("*.ipynb"):
        nb = nbformat.read(path, as_version=4)
        for cell in nb.cells:
            mark = cell.metadata.get("nbgrader", {})
            if mark.get("grade") and cell.cell_type == "code":
                (result,) = [output for output in cell.outputs if output.output_type == "execute_result"]
                assert 0.0 <= float(result.data["text/plain"]) <= mark["points"]


def test_grading_again_gives_the_same(graded: Path) -> None:
    before = scores(graded)
    nbgrader(graded, "autograde", "toy", "--student", "mistaken", "--force")
    assert scores(graded) == before


def test_export_lists_the_class(graded: Path) -> None:
    nbgrader(graded, "export")
    assert "mistaken" in (graded / "grades.csv").read_text()


def test_validate_names_what_fails_and_passes_what_is_right(graded: Path) -> None:
    for student, says in (("right", "Success!"), ("mistaken", "x is squared"), ("blank", "not attempted yet")):
        folder = graded / "submitted" / student / "toy"
        (folder / "toy.checks").write_bytes((graded / "release" / "toy" / "toy.checks").read_bytes())
        assert says in nbgrader(graded, "validate", str(folder / "toy.ipynb"))


def test_stock_execute_gives_no_marks_rather_than_all(graded: Path) -> None:
    config = graded / "nbgrader_config.py"
    text = config.read_text()
    stock = text.replace("autograder.preprocessors.Examine", "nbgrader.preprocessors.Execute")
    assert stock != text
    try:
        config.write_text(stock)
        nbgrader(graded, "autograde", "toy", "--student", "right", "--force")
        assert set(scores(graded)["right"].values()) == {0.0}
    finally:
        config.write_text(text)
        nbgrader(graded, "autograde", "toy", "--student", "right", "--force")
    assert scores(graded)["right"] == RIGHT


def test_a_broken_exercise_file_stops_with_a_sentence(graded: Path) -> None:
    path = graded / "solutions" / "toy" / "double.py"
    text = path.read_text()
    try:
        path.write_text(text.replace("import torch\n", "import torch_that_is_not_there\n", 1))
        before = scores(graded)
        for command in ("autograde", "generate_assignment"):
            printed = nbgrader(graded, command, "toy", "--force", fails=True)
            assert "solutions/toy/double.py cannot be imported (line " in printed
            assert "Traceback" not in printed
        path.write_text(text.replace("make.normal(", "make.no_such_draw("))
        for command in ("autograde", "generate_assignment"):
            printed = nbgrader(graded, command, "toy", "--force", fails=True)
            assert "double: the case" in printed
            assert "cannot be built under seed" in printed
            assert "Traceback" not in printed
        assert scores(graded) == before
        assert (graded / "autograded" / "right" / "toy" / "toy.ipynb").exists()
    finally:
        path.write_text(text)


def test_an_assignment_goes_through_an_exchange(graded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange, home = tmp_path / "exchange", tmp_path / "home"
    for folder in (exchange, home):
        folder.mkdir()
        folder.chmod(0o777)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    root = f"--Exchange.root={exchange}"
    nbgrader(graded, "release_assignment", "toy", root)
    nbgrader(home, "fetch_assignment", "toy", "--course", "transformer", root)
    assert (home / "toy" / "toy.checks").exists()
    nb = nbformat.read(home / "toy" / "toy.ipynb", as_version=4)
    (cell,) = _cells(nb, "double-double")
    cell.source = "def double(x):\n    return x + x"
    nbformat.write(nb, home / "toy" / "toy.ipynb")
    nbgrader(home, "submit", "toy", "--course", "transformer", root)
    before = {path.name for path in (graded / "submitted").iterdir()}
    nbgrader(graded, "collect", "toy", root)
    (student,) = {path.name for path in (graded / "submitted").iterdir()} - before
    nbgrader(graded, "autograde", "toy", "--student", student)
    assert scores(graded)[student] == {"double": 2.0, "quadruple": 0.0, "toy_choice": 0.0}


def test_a_notebook_that_does_not_fit_its_exercises_is_not_released(tmp_path: Path) -> None:
    course = toycourse.lay_out(tmp_path)
    path = course / "source" / "toy" / "toy.ipynb"
    whole = path.read_text(encoding="utf-8")
    nb = nbformat.read(path, as_version=4)
    (cell,) = _cells(nb, "double")
    cell.metadata.nbgrader.points = 7
    nbformat.write(nb, path)
    faults = [
        (path.read_text(encoding="utf-8"), "toy.ipynb: the exam cell 'double' gives 7 points, its exercise file 2"),
        (whole.replace('"grade_id": "double"', '"grade_id": "duoble"'), "the exam cell 'duoble' has no exercise file"),
        (whole[:-100], "toy.ipynb cannot be read as a notebook"),
    ]
    for text, says in faults:
        path.write_text(text, encoding="utf-8")
        printed = nbgrader(course, "generate_assignment", "toy", fails=True)
        assert says in printed
        assert "Traceback" not in printed
    nbformat.write(nb, path)
    assert [line.split(": ")[1] for line in sync_chapters(course, ["toy"], write=True)] == ["double (2 points)"]
    nbgrader(course, "generate_assignment", "toy")
