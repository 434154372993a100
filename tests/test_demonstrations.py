"""Cells that only show something are left out of grading, but never one that something else may need."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.demonstrations import TAG, demonstrations_in, not_needed

PLOT = "fig, ax = plt.subplots()\nscores = [1, 2]\nax.plot(scores)"


def left_out(*sources: str, shown: tuple[str, ...] = (PLOT,)) -> set[int]:
    return not_needed([new_code_cell(source) for source in sources], set(shown))


def test_a_demonstration_that_nobody_needs_is_left_out() -> None:
    assert left_out("import torch", PLOT, "def f(x):\n    return x", "check(f)") == {1}


def test_one_that_the_student_has_changed_is_run() -> None:
    assert left_out("import torch", PLOT + "\ndef f(x): return x", "check(f)") == set()


@pytest.mark.parametrize(
    "answer",
    [
        "def f(x):\n    return x * scores[0]",
        "best = max(scores)",
        "class M:\n    def forward(self):\n        return [s for s in scores]",
        "f = lambda x: fig",
        "def f():\n    global ax\n    return ax",
        "%time best = max(scores)",
        "def f(x):\n    if x:\n        raise ValueError\n    return scores",
    ],
)
def test_one_whose_names_are_read_is_run(answer: str) -> None:
    assert left_out(PLOT, answer) == set()


@pytest.mark.parametrize(
    "answer",
    [
        "def f(scores):\n    return scores",
        "def f(x):\n    scores = x @ x\n    return scores.max()",
        "def f(fig, ax):\n    return [scores for scores in ax]",
        "def f(:",  # no Python: it defines nothing, and is told so
        "def f():\n    raise NotImplementedError()\n    return scores",  # not begun
        "class M:\n    def f(self):\n        if True:\n            raise ValueError\n            scores[0]",
    ],
)
def test_names_of_ones_own_are_no_reason_to_run_it(answer: str) -> None:
    assert left_out(PLOT, answer) == {0}


def test_a_name_is_needed_only_by_what_comes_later_or_is_called_later() -> None:
    drawn = "start, end = 1, 2"
    assert left_out("from course import start\nstart('toy')", drawn, shown=(drawn,)) == {1}
    assert left_out("def f():\n    return end", drawn, "f()", shown=(drawn,)) == set()
    assert left_out(drawn, "start + 1", shown=(drawn,)) == set()


def test_what_a_needed_one_needs_is_run_too() -> None:
    first, second, third = "colours = [1]", "palette = colours * 2", "unused = 3"
    shown = (first, second, third)
    assert left_out(first, second, third, "def f():\n    return palette", shown=shown) == {2}


def test_only_code_cells_with_the_tag_count(tmp_path: Path) -> None:
    cells = [
        new_code_cell("a = 1", metadata={"tags": [TAG]}),
        new_code_cell("b = 1"),
        new_markdown_cell("c", metadata={"tags": [TAG]}),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "book.ipynb")
    assert demonstrations_in(tmp_path / "book.ipynb") == {"a = 1"}
    assert demonstrations_in(tmp_path / "gone.ipynb") == set()
    (tmp_path / "torn.ipynb").write_text("{")
    assert demonstrations_in(tmp_path / "torn.ipynb") == set()
