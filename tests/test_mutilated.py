"""Fair under damage: 200 mutilated submissions, made from a good one, in one run of plain `nbgrader autograde`.

What each deserves is read off the file itself, by rules that know nothing of how it is mended: an answer that is
untouched, in its place, keeps full marks; one that is nowhere in the file gets none; every other gets a score.
"""

import copy
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import nbformat
import pytest
import toycourse
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from toycourse import nbgrader, scores, submit, write_submission

pytestmark = pytest.mark.slow

COUNT = 200
POINTS = {"double": 2.0, "quadruple": 3.0, "toy_choice": 1.0}
# They need nothing from other cells, so that damage there is no excuse.
ANSWERS = {
    "double": "def double(x):\n    return x + x",
    "quadruple": "def quadruple(x):\n    return double(double(x))",
    "toy_choice": "toy_choice = 'b'",
}
IDS = [name for slug in POINTS for name in (f"{slug}-{slug}", slug)]

# What json.dumps cannot write is put in afterwards.
RAW = {f"@raw{number}@": text for number, text in enumerate(("9" * 5000, "-" + "1" * 400, "[" * 5000 + "]" * 5000))}

Tree = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Mutilated:
    """A file, and what was done to it."""

    data: bytes
    done: tuple[str, ...]


# -- damage ----------------------------------------------------------------------------------------------------------

any_text = st.text(st.one_of(st.characters(), st.sampled_from("\ud800\udfff\x00\x1b\u202e日本語")), max_size=40)
odd_text = st.one_of(
    any_text,
    st.sampled_from(
        [
            "",
            "%%bash\nexit 1",
            "%nosuchmagic",
            "![picture](attachment:gone.png)",
            "```python\n",
            "$$\\frac{",
            "<script>alert(1)</script>",
            "raise SystemExit(3)",
            "1/0",
            "def broken(:",
            "input()",
        ]
    ),
)
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, float("nan"), float("inf"), -0.0, 1e308]),
    st.floats(),
    odd_text,
    st.sampled_from(list(RAW)),
)
anything = st.recursive(
    plain,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(any_text, inner, max_size=3)),
    max_leaves=6,
)


def _some_cell(draw: Draw, tree: Tree) -> Any:
    """A cell that is still a cell with metadata; a new one when there is none."""
    cells = [c for c in tree["cells"] if isinstance(c, dict) and isinstance(c.get("metadata"), dict)]
    return draw(st.sampled_from(cells)) if cells else {"metadata": {}}


def _index(draw: Draw, tree: Tree) -> int:
    return draw(st.integers(0, max(len(tree["cells"]) - 1, 0)))


def drop_cells(draw: Draw, tree: Tree) -> None:
    for _ in range(draw(st.integers(1, 3))):
        if tree["cells"]:
            tree["cells"].pop(_index(draw, tree))


def double_cell(draw: Draw, tree: Tree) -> None:
    cells = tree["cells"]
    if cells:
        cells.insert(draw(st.integers(0, len(cells))), copy.deepcopy(cells[_index(draw, tree)]))


def swap_cells(draw: Draw, tree: Tree) -> None:
    one, other, cells = _index(draw, tree), _index(draw, tree), tree["cells"]
    if cells:
        cells[one], cells[other] = cells[other], cells[one]


def tear_metadata(draw: Draw, tree: Tree) -> None:
    _some_cell(draw, tree)["metadata"] = draw(anything)


def tear_mark(draw: Draw, tree: Tree) -> None:
    _some_cell(draw, tree)["metadata"]["nbgrader"] = draw(anything)


def change_mark(draw: Draw, tree: Tree) -> None:
    mark = _some_cell(draw, tree)["metadata"].get("nbgrader")
    if isinstance(mark, dict):
        keys = ["points", "grade", "solution", "locked", "task", "schema_version", "cell_type", "checksum"]
        mark[draw(st.sampled_from(keys))] = draw(anything)


def lose_metadata(draw: Draw, tree: Tree) -> None:
    for cell in tree["cells"]:
        if isinstance(cell, dict):
            cell["metadata"] = {}


def rename_id(draw: Draw, tree: Tree) -> None:
    mark = _some_cell(draw, tree)["metadata"].get("nbgrader")
    if isinstance(mark, dict):
        mark["grade_id"] = draw(st.one_of(st.sampled_from(IDS), any_text, anything))


def swap_ids(draw: Draw, tree: Tree) -> None:
    one, other = _some_cell(draw, tree)["metadata"], _some_cell(draw, tree)["metadata"]
    one["nbgrader"], other["nbgrader"] = other.get("nbgrader"), one.get("nbgrader")


def cut_source(draw: Draw, tree: Tree) -> None:
    cell = _some_cell(draw, tree)
    if isinstance(cell.get("source"), str):
        cell["source"] = cell["source"][: draw(st.integers(0, len(cell["source"])))]


def replace_source(draw: Draw, tree: Tree) -> None:
    _some_cell(draw, tree)["source"] = draw(odd_text)


def take_anothers_source(draw: Draw, tree: Tree) -> None:
    _some_cell(draw, tree)["source"] = _some_cell(draw, tree).get("source")


def tear_source(draw: Draw, tree: Tree) -> None:
    _some_cell(draw, tree)["source"] = draw(st.one_of(anything, st.lists(any_text, max_size=3)))


def split_source(draw: Draw, tree: Tree) -> None:
    """As the format has it: a list of lines. No damage at all."""
    for cell in tree["cells"]:
        if isinstance(cell, dict) and isinstance(cell.get("source"), str):
            cell["source"] = cell["source"].splitlines(keepends=True)


def change_type(draw: Draw, tree: Tree) -> None:
    kinds = st.sampled_from(["code", "markdown", "raw", "heading", "", "CODE"])
    _some_cell(draw, tree)["cell_type"] = draw(st.one_of(kinds, anything))


def lose_key(draw: Draw, tree: Tree) -> None:
    _some_cell(draw, tree).pop(draw(st.sampled_from(["cell_type", "source", "metadata", "outputs", "id"])), None)


def tear_outputs(draw: Draw, tree: Tree) -> None:
    cell = _some_cell(draw, tree)
    cell.update(outputs=draw(anything), execution_count=draw(anything), id=draw(anything))
    cell["attachments"] = draw(st.one_of(anything, st.just({"a.png": {"image/png": "iVBORw0KGgo="}})))


def put_a_thing_among_the_cells(draw: Draw, tree: Tree) -> None:
    tree["cells"].insert(draw(st.integers(0, len(tree["cells"]))), draw(anything))


def put_a_cell_in(draw: Draw, tree: Tree) -> None:
    cell = {"cell_type": draw(st.sampled_from(["code", "markdown", "raw"])), "source": draw(odd_text), "metadata": {}}
    tree["cells"].insert(draw(st.integers(0, len(tree["cells"]))), cell)


def tear_notebook(draw: Draw, tree: Tree) -> None:
    tree[draw(st.sampled_from(["metadata", "nbformat_minor", "extra", "worksheets"]))] = draw(anything)


def tear_kernel(draw: Draw, tree: Tree) -> None:
    odd: Any = {"name": draw(odd_text), "display_name": draw(plain), "pygments_lexer": draw(plain)}
    odd = draw(st.sampled_from([odd, 7, [odd]]))
    tree["metadata"] = {draw(st.sampled_from(["kernelspec", "language_info", "widgets"])): odd}


def halve_a_character(draw: Draw, tree: Tree) -> None:
    """Half a surrogate pair: it can be written in JSON, but not in UTF-8."""
    half, metadata = draw(st.sampled_from(["\ud83d", "\udc00"])), _some_cell(draw, tree)["metadata"]
    places: list[Callable[[], Any]] = [
        lambda: metadata.update(tags=[half]),
        lambda: metadata.update({half: half}),
        lambda: tree["metadata"].update({half: half}),
        lambda: tree["metadata"].update(kernelspec={"name": half, "display_name": half}),
        lambda: tree["cells"].append({"cell_type": "code", "source": f"# {half}", "metadata": {}}),
        lambda: tree["cells"].append({"cell_type": "markdown", "source": half, "metadata": {}}),
    ]
    if isinstance(tree["metadata"], dict):
        draw(st.sampled_from(places))()


def paste_a_picture(draw: Draw, tree: Tree) -> None:
    """As JupyterLab does; its data may be gone, or be something else."""
    source = draw(st.sampled_from(["![a](attachment:a.png)", "![a][b]\n\n[b]: attachment:a.png", "attachment:a.png"]))
    kept = draw(st.sampled_from([None, {}, 7, {"a.png": {"image/png": "iVBORw0KGgo="}}, {"a.png": {}}, {"a.png": 7}]))
    cell = {"cell_type": "markdown", "source": source, "metadata": {}, "attachments": kept}
    if draw(st.booleans()):
        cell["metadata"] = {"nbgrader": {"grade_id": draw(st.sampled_from(IDS))}}
    tree["cells"].insert(draw(st.integers(0, len(tree["cells"]))), cell)


def write_what_json_has_not(draw: Draw, tree: Tree) -> None:
    """A number of 5,000 digits, a nesting of 5,000 brackets, not a number."""
    odd = draw(st.sampled_from([*RAW, float("nan"), float("-inf")]))
    place = draw(st.sampled_from(["notebook", "cell", "count"]))
    cell = _some_cell(draw, tree)
    if place == "count":
        cell["execution_count"] = odd
    elif place == "cell":
        cell["metadata"]["odd"] = odd
    else:
        tree["odd"] = odd


def change_format(draw: Draw, tree: Tree) -> None:
    tree["nbformat"] = draw(st.one_of(st.integers(-1, 6), st.sampled_from([4.0, "4", True]), anything))


def lose_the_cells(draw: Draw, tree: Tree) -> None:
    tree["cells"] = draw(anything)


OF_TREES = [
    drop_cells,
    double_cell,
    swap_cells,
    tear_metadata,
    tear_mark,
    change_mark,
    lose_metadata,
    rename_id,
    swap_ids,
    cut_source,
    replace_source,
    take_anothers_source,
    tear_source,
    split_source,
    change_type,
    lose_key,
    tear_outputs,
    put_a_thing_among_the_cells,
    put_a_cell_in,
    tear_notebook,
    tear_kernel,
    halve_a_character,
    paste_a_picture,
    write_what_json_has_not,
    change_format,
    lose_the_cells,
]

MILD = [damage for damage in OF_TREES if damage not in (change_format, lose_the_cells)]  # some of the file is left


def cut_file(draw: Draw, text: str) -> bytes:
    return text[: draw(st.integers(0, len(text) - 1))].encode("utf-8", "surrogatepass")


def cut_out(draw: Draw, text: str) -> bytes:
    start = draw(st.integers(0, len(text) - 1))
    return (text[:start] + text[start + draw(st.integers(1, 60)) :]).encode("utf-8", "surrogatepass")


def put_bytes_in(draw: Draw, text: str) -> bytes:
    at = draw(st.integers(0, len(text)))
    return text[:at].encode() + draw(st.binary(min_size=1, max_size=8)) + text[at:].encode()


def put_bytes_after(draw: Draw, text: str) -> bytes:
    return text.encode() + draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\n", b"\x00" * 512])))


def double_keys(draw: Draw, text: str) -> bytes:
    key = draw(st.sampled_from(['"cells": [], ', '"nbformat": 3, ', '"metadata": 7, ']))
    if draw(st.booleans()):
        return ("{" + key + text[1:]).encode()  # the later one counts
    return (text.rstrip()[:-1] + ", " + key.rstrip(", ") + "}").encode()


def encode_otherwise(draw: Draw, text: str) -> bytes:
    names = ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "euc-jp", "shift-jis", "cp1252"]
    return text.replace("# A toy", "# おもちゃ").encode(draw(st.sampled_from(names)), "ignore")


def concatenate(draw: Draw, text: str) -> bytes:
    return (text + "\n" + draw(st.sampled_from([text, "<<<<<<< HEAD\n", "{}"]))).encode()


def conflict(draw: Draw, text: str) -> bytes:
    lines = text.splitlines()
    at = draw(st.integers(1, max(len(lines) - 1, 1)))
    return "\n".join([*lines[:at], "<<<<<<< HEAD", "=======", ">>>>>>> mine", *lines[at:]]).encode()


OF_FILES = [
    cut_file,
    cut_out,
    put_bytes_in,
    put_bytes_after,
    double_keys,
    encode_otherwise,
    concatenate,
    conflict,
]


@st.composite
def mutilated(draw: Any, good: Tree, first: Any) -> Mutilated:
    """The good notebook after a kind of damage, up to two more kinds, and at times damage to the file itself."""
    tree, done = copy.deepcopy(good), []
    to_file = first if first in OF_FILES else draw(st.sampled_from([None] * 40 + OF_FILES))
    for damage in [first] * (first in OF_TREES) + draw(st.lists(st.sampled_from(MILD), max_size=2)):
        if isinstance(tree["cells"], list):
            damage(draw, tree)
            done.append(damage.__name__)
    text = json.dumps(tree, indent=1, ensure_ascii=draw(st.booleans()))
    for token, raw in RAW.items():
        text = text.replace(f'"{token}"', raw)
    if to_file is None:
        return Mutilated(text.encode("utf-8", "surrogatepass"), tuple(done))
    return Mutilated(to_file(draw, text.encode("utf-8", "replace").decode()), (*done, to_file.__name__))


def make_them(good: Tree, count: int = COUNT) -> list[Mutilated]:
    """As many of each kind; the same ones on every machine with this version of hypothesis."""
    kinds = [*OF_TREES, *OF_FILES]
    each_kind = [_examples(mutilated(good, first), count // len(kinds) + 2) for first in kinds]
    made = {each.data: each for turn in zip_longest(*each_kind) for each in turn if each is not None}
    return list(made.values())[:count]


def _examples(strategy: st.SearchStrategy[Mutilated], count: int) -> list[Mutilated]:
    found: dict[bytes, Mutilated] = {}

    @settings(
        max_examples=3 * count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(each=strategy)
    def collect(each: Mutilated) -> None:
        found.setdefault(each.data, each)

    collect()
    return list(found.values())[-count:]  # the first ones are simple


# -- what a file deserves --------------------------------------------------------------------------------------------


def read(data: bytes) -> Any:
    """The file as JSON, in any encoding that JSON may have; None when it is none."""
    try:
        return json.loads(data.decode("utf-8-sig") if data[:3] == b"\xef\xbb\xbf" else data, parse_int=float)
    except (ValueError, RecursionError):
        return None


def deserves(data: bytes, originals: set[str]) -> dict[str, float | None]:
    """Points by exercise where they are beyond doubt, else None."""
    tree = read(data)
    if isinstance(tree, dict) and tree.get("nbformat") == 3.0:
        return dict.fromkeys(POINTS)
    if not isinstance(tree, dict) or tree.get("nbformat") != 4.0 or not isinstance(tree.get("cells"), list):
        return dict.fromkeys(POINTS, 0.0)
    cells = [(_kind(cell), _source(cell), _id(cell)) for cell in tree["cells"] if _source(cell) is not None]
    return {slug: _deserved(slug, cells, originals) for slug in POINTS}


def _kind(cell: Any) -> Any:
    return cell.get("cell_type")


def _source(cell: Any) -> str | None:
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        return None
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    return source if isinstance(source, str) else None


def _id(cell: Any) -> str | None:
    mark = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    mark = mark.get("nbgrader")
    name = mark.get("grade_id") if isinstance(mark, dict) else None
    return name if isinstance(name, str) and name in IDS else None


def _deserved(slug: str, cells: list[tuple[Any, str, str | None]], originals: set[str]) -> float | None:
    defines = re.compile(rf"def\s+{slug}\b|\b{slug}\s*=")
    if not any(defines.search(source) for _, source, _ in cells):
        return 0.0
    if any(slug in source and source not in originals for _, source, _ in cells):
        return None
    answers = [
        (at, name)
        for at, (kind, source, name) in enumerate(cells)
        if kind == "code" and source == ANSWERS[slug] and name in (None, f"{slug}-{slug}")
    ]
    exams = [at for at, (_, _, name) in enumerate(cells) if name == slug]
    own_id = [at for at, (_, _, name) in enumerate(cells) if name == f"{slug}-{slug}"]
    if exams:
        return POINTS[slug] if any(at < exams[-1] for at, _ in answers) else None
    # The exam's cell is put back behind the answer's, which is known by its id.
    return POINTS[slug] if len(own_id) == 1 and own_id[0] in [at for at, _ in answers] else None


# -- the class -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Class:
    course: Path
    made: list[Mutilated]
    deserved: dict[str, dict[str, float | None]]
    log: str
    feedback_log: str


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Class:
    """The toy course after one `autograde` and one `generate_feedback` of 200 mutilated submissions and a good one."""
    course = toycourse.lay_out(tmp_path_factory.mktemp("mutilated"))
    nbgrader(course, "generate_assignment", "toy")
    good = json.loads(nbformat.writes(submit(course, "good", **ANSWERS)))
    for cell in good["cells"]:
        cell["source"] = "".join(cell["source"])
    made = make_them(good)
    originals = {cell["source"] for cell in good["cells"]}
    deserved = {}
    for number, each in enumerate(made):
        student = f"m{number:03}"
        write_submission(course, student, each.data)
        deserved[student] = deserves(each.data, originals)
    log = nbgrader(course, "autograde", "toy")
    (course / "autograde.log").write_text(log)
    feedback_log = nbgrader(course, "generate_feedback", "toy")
    (course / "feedback.log").write_text(feedback_log)
    return Class(course, made, deserved, log, feedback_log)


def test_there_are_200_of_every_kind(graded: Class) -> None:
    assert len({each.data for each in graded.made}) == COUNT
    kinds = Counter(name for each in graded.made for name in each.done)
    assert min(kinds[damage.__name__] for damage in (*OF_TREES, *OF_FILES)) >= 5, kinds
    beyond_doubt = Counter(score for each in graded.deserved.values() for score in each.values())
    assert beyond_doubt[0.0] >= 60, beyond_doubt
    assert min(beyond_doubt[points] for points in POINTS.values()) >= 30, beyond_doubt


def test_the_good_one_has_full_marks(graded: Class) -> None:
    assert scores(graded.course)["good"] == POINTS


def test_everybody_has_a_score_for_everything(graded: Class) -> None:
    got = scores(graded.course)
    assert set(got) == {"good", *graded.deserved}
    for student, each in got.items():
        assert set(each) == set(POINTS), student
        for slug, score in each.items():
            assert score is not None, (student, slug)
            assert 0.0 <= score <= POINTS[slug], (student, slug)


def test_what_is_untouched_keeps_its_marks_and_what_is_gone_has_none(graded: Class) -> None:
    got = scores(graded.course)
    wrong = [
        (student, graded.made[int(student[1:])].done, slug, got[student][slug], points)
        for student, each in graded.deserved.items()
        for slug, points in each.items()
        if points is not None and got[student][slug] != points
    ]
    assert not wrong


def test_no_traceback_and_no_end_before_the_last(graded: Class) -> None:
    for log in (graded.log, graded.feedback_log):
        assert "Traceback" not in log
        assert "There was an error processing" not in log
    assert "submitted/m199/toy/toy.ipynb" in graded.log


def test_everybody_gets_a_page_that_says_why(graded: Class) -> None:
    unreadable = 0
    for student, each in zip(graded.deserved, graded.made, strict=True):
        page = (graded.course / "feedback" / student / "toy" / "toy.html").read_text(encoding="utf-8")
        if read(each.data) is None:
            unreadable += 1
            assert "could not be read" in page or "nested too deeply" in page, student
            assert f"{student}/toy/toy.ipynb: This file" in graded.log
    assert unreadable >= 10
