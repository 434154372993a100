"""Whatever a kernel shows, the notebook stays valid, small enough, and can be written."""

import json
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from autograder.outputs import bound

SAYS = "[too much]"


def cell(*outputs: Any) -> NotebookNode:
    made = new_code_cell("x")
    made.outputs = [nbformat.from_dict(output) for output in outputs]
    return made


def test_what_is_valid_and_short_stays_as_it_is() -> None:
    kept = [
        new_output("stream", name="stdout", text="日本語\n"),
        new_output("display_data", data={"text/plain": "x", "image/png": "aGk="}, metadata={"image/png": {"width": 3}}),
        new_output("error", ename="E", evalue="v", traceback=["t"]),
    ]
    made = cell(*kept)
    bound(made, 1000, SAYS)
    assert made.outputs == kept


def test_what_is_above_the_bound_is_dropped_and_that_is_said() -> None:
    long = new_output("stream", name="stdout", text="x" * 600)
    made = cell(long, long, long)
    bound(made, 1000, SAYS)
    assert [output.text for output in made.outputs] == ["x" * 600, f"\n{SAYS}\n"]


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "stream", "name": "stdout"},
        {"output_type": "stream", "name": 3, "text": "x"},
        {"output_type": "display_data", "data": {"text/plain": {"a": 1}}, "metadata": {}},
        {"output_type": "no such type"},
        {"data": {}},
        {"output_type": "execute_result", "data": {}, "metadata": [], "execution_count": 1},
    ],
)
def test_what_no_notebook_may_hold_is_dropped(output: Any) -> None:
    made = cell(output, new_output("stream", name="stdout", text="kept"))
    bound(made, 1000, SAYS)
    assert [each.get("text") for each in made.outputs] == ["kept"]


def test_half_characters_and_odd_numbers_can_be_written() -> None:
    made = cell({"output_type": "display_data", "data": {"a/b": "\ud800"}, "metadata": {"\udfff": float("nan")}})
    made.execution_count = "9"
    bound(made, 1000, SAYS)
    assert made.execution_count is None
    nbformat.writes(new_notebook(cells=[made])).encode("utf-8")


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
trees = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
types = st.sampled_from(["stream", "display_data", "execute_result", "error", "x"])
outputs = st.fixed_dictionaries(
    {"output_type": types},
    optional=dict.fromkeys(("data", "metadata", "text", "name", "ename", "evalue", "traceback"), trees),
)


@given(st.lists(outputs, max_size=4))
def test_whatever_comes_the_notebook_is_valid(found: list[Any]) -> None:
    made = cell(*found)
    bound(made, 500, SAYS)
    notebook = new_notebook(cells=[made])
    nbformat.validate(notebook)
    assert len(json.dumps(made.outputs, ensure_ascii=False)) < 5000
    nbformat.writes(notebook).encode("utf-8")
