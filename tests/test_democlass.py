"""The makers of the demo class: every submission is what its description says, without a kernel."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import toycourse
from nbformat import NotebookNode

from autograder.answersource import given_names, in_float64, written
from autograder.democlass import (
    DAMAGES,
    FILLS,
    Damage,
    Student,
    deserves,
    exercises_in,
    hand_in,
    read_class,
)
from autograder.errors import CourseError
from autograder.exercise import Exercise
from autograder.inputs import resolve
from autograder.key import Key, make_key
from autograder.selfcheck import judge_here
from autograder.solutions import load_chapter

ROOT = Path(__file__).parent.parent
REAL = sorted(path.parent.name for path in (ROOT / "solutions").glob("*/demo.toml"))
IMPORTS = """
import math
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
"""

TRICKY = '''"""A file with everything that an answer may bring along."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make

FACTOR = 3.0


def triple(x: Tensor, *, again: int = 0) -> Tensor:
    """Three times x."""
    ### BEGIN SOLUTION
    tripled = 3.0 * x  # the model answer
    ### END SOLUTION
    return tripled


exercise = Exercise(triple, points=2, objectives=["0.1"], title_en="Tripling", title_ja="3 倍")


@exercise.visible(en="a row", ja="一つの行")
def _(make: Make) -> dict[str, object]:
    return {"x": make.normal(3)}


@exercise.hidden(en="a matrix", ja="行列", weight=3)
def _(make: Make) -> dict[str, object]:
    return {"x": make.normal(2, 3)}


@exercise.hidden(en="a square", ja="正方行列")
def _(make: Make) -> dict[str, object]:
    return {"x": make.normal(2, 2)}


def _sum(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum(dim=0)


@exercise.accepted
def with_a_helper(x: Tensor, *, again: int = 0) -> Tensor:
    ü = "triple and with_a_helper are only words here"; again = with_a_helper and again  # noqa
    return _sum([x] * int(FACTOR)) * math.exp(0)


@exercise.mistake(en="Not a square.", ja="正方行列。", hint_en="Which shapes?", hint_ja="どの形ですか。")
def only_right_for_squares(x: Tensor, *, again: int = 0) -> Tensor:
    return triple(x) if x.shape == (2, 2) else x  # type: ignore[misc]  # for a type checker
'''


@pytest.fixture
def tricky(tmp_path: Path) -> Exercise:
    folder = tmp_path / "solutions" / "toy"
    folder.mkdir(parents=True)
    (folder / "triple.py").write_text(TRICKY, encoding="utf-8")
    return load_chapter(folder)["triple"]


def _namespace(*sources: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    for source in (IMPORTS, *sources):
        exec(source, namespace)
    return namespace


# -- the source of an answer -----------------------------------------------------------------------------------------


def test_an_alternative_brings_along_what_it_uses(tricky: Exercise) -> None:
    source = written(tricky, "triple", tricky.alternatives[0].answers["triple"], frozenset({"torch", "Tensor", "math"}))
    assert source.startswith("from collections.abc import Sequence\n")
    assert "FACTOR = 3.0" in source
    assert "def _sum" in source
    assert "def triple(" in source
    assert "exercise" not in source
    assert "import torch" not in source, "the notebook has given it"
    assert "again = triple and again" in source
    assert '"triple and with_a_helper are only words here"' in source, "strings are not renamed"
    namespace = _namespace(source)
    assert namespace["triple"].__name__ == "triple"
    assert judge_here(make_key(tricky, 1), namespace).fraction == 1


def test_an_answer_that_uses_the_reference_gets_it_under_another_name(tricky: Exercise) -> None:
    source = written(tricky, "triple", tricky.mistakes[0].answers["triple"])
    assert "def _triple(" in source
    assert "SOLUTION" not in source
    assert "type: ignore" not in source
    verdict = judge_here(make_key(tricky, 1), _namespace(source))
    assert (verdict.fraction, verdict.mistake and verdict.mistake.name) == (0.25, "only_right_for_squares")


def test_the_reference_is_written_as_it_stands_without_marks(tricky: Exercise) -> None:
    source = written(tricky, "triple", tricky.references[0], frozenset({"Tensor"}))
    assert source.startswith("def triple(")
    assert "# the model answer" in source
    assert "SOLUTION" not in source


def test_in_float64_converts_floating_point_tensors_only(tricky: Exercise) -> None:
    import torch

    triple = _namespace(in_float64(written(tricky, "triple", tricky.references[0]), "triple"))["triple"]
    assert triple(torch.ones(2)).dtype == torch.float64
    assert triple(torch.arange(2)).dtype == torch.float32


def test_given_names_are_those_of_the_notebooks_own_cells() -> None:
    nb = toycourse.toy_notebook()
    nb.cells.append(nbformat.v4.new_code_cell("%matplotlib inline\nimport os"))
    assert given_names(nb) == {"torch", "Tensor", "check", "start"}


# -- submissions of the toy course -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Exercise]]:
    course = toycourse.lay_out(tmp_path_factory.mktemp("course"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(course / "lib")  # the stand-ins lie there
        yield load_chapter(course / "solutions" / "toy")


@pytest.fixture
def release() -> dict[str, NotebookNode]:
    """A release as far as it matters here: stubs in the answer cells, no hidden tests in the exam cells."""
    nb = toycourse.toy_notebook()
    for cell in nb.cells:
        mark = cell.metadata.get("nbgrader", {})
        if mark.get("solution"):
            cell.source = "raise NotImplementedError()"
        if mark.get("grade"):
            cell.source = cell.source.split("\n")[0]
    return {"toy": nb}


def _student(**fields: object) -> Student:
    return Student(**{"id": "s1", "first_name": "A", "last_name": "B", "about": "", "fill": "right", **fields})


def _damaged(kind: str, **where: str) -> Student:
    return _student(damage=(Damage(kind, **where),))


def _cells(student: Student, release: dict[str, NotebookNode], toy: dict[str, Exercise]) -> list[NotebookNode]:
    return nbformat.reads(hand_in(student, release, toy)["toy.ipynb"].decode(), as_version=4).cells


def _ids(cells: list[NotebookNode]) -> list[str]:
    return [cell.metadata["nbgrader"]["grade_id"] for cell in cells if "nbgrader" in cell.metadata]


def _source(cells: list[NotebookNode], grade_id: str) -> str:
    return next(cell.source for cell in cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def test_exercises_are_known_in_source_and_release(toy: dict[str, Exercise], release: dict[str, NotebookNode]) -> None:
    assert exercises_in(release["toy"], toy) == ["double", "quadruple", "toy_choice"]
    assert exercises_in(toycourse.toy_notebook(), toy) == ["double", "quadruple", "toy_choice"]


@pytest.mark.parametrize("fill", FILLS)
def test_every_fill_gets_what_it_deserves(
    fill: str, toy: dict[str, Exercise], release: dict[str, NotebookNode]
) -> None:
    student = _student(fill=fill)
    wanted = {"blank": [0, 0, 0], "half": [2, 0, 0]}.get(fill, [2, 3, 1])
    keys = {slug: make_key(exercise, 3) for slug, exercise in toy.items()}
    deserved = deserves(student, {"toy": list(toy)}, keys)
    assert [each.score for each in deserved.values()] == wanted
    assert _scores(student, release, toy, keys) == {slug: each.score for slug, each in deserved.items()}


def test_a_mistake_costs_what_the_key_says_and_is_to_be_named(
    toy: dict[str, Exercise], release: dict[str, NotebookNode]
) -> None:
    student = _student(mistakes={"double": "squared_by_mistake", "toy_choice": "answered a"})
    keys = {slug: make_key(exercise, 3) for slug, exercise in toy.items()}
    deserved = deserves(student, {"toy": list(toy)}, keys)
    assert [(each.score, each.mistake) for each in deserved.values()] == [
        (0.0, "squared_by_mistake"),
        (3.0, None),  # the error is not carried forward
        (0.0, "answered a"),
    ]
    assert _scores(student, release, toy, keys) == {slug: each.score for slug, each in deserved.items()}


def test_a_notebook_that_is_not_handed_in_deserves_nothing(
    toy: dict[str, Exercise], release: dict[str, NotebookNode]
) -> None:
    student = _student(notebooks=())
    keys = {slug: make_key(exercise, 3) for slug, exercise in toy.items()}
    deserved = deserves(student, {"toy": list(toy)}, keys)
    assert hand_in(student, release, toy) == {}
    assert {(each.score, each.judged) for each in deserved.values()} == {(0.0, False)}


@pytest.mark.parametrize("kind", [kind for kind, each in DAMAGES.items() if each.loses == "answer"])
def test_what_loses_an_answer_loses_that_one_only(
    kind: str, toy: dict[str, Exercise], release: dict[str, NotebookNode]
) -> None:
    student = _damaged(kind, answer="double")
    keys = {slug: make_key(exercise, 3) for slug, exercise in toy.items()}
    assert [each.score for each in deserves(student, {"toy": list(toy)}, keys).values()] == [0, 3, 1]
    before = {cell.id: cell.source for cell in _cells(_student(), release, toy)}
    after = {cell.id: cell.source for cell in _cells(student, release, toy)}
    assert {each for each in before if before[each] != after.get(each)} == {"cell-2"}
    if kind in ("syntax_error", "import_error"):
        with pytest.raises((SyntaxError, ImportError)):
            _namespace(after["cell-2"])
    elif kind == "renamed":
        assert "double_final" in _namespace(after["cell-2"])
    elif kind == "ends_the_kernel":
        done = subprocess.run([sys.executable, "-c", f"{IMPORTS}{after['cell-2']}\nraise SystemExit(9)"], check=False)
        assert done.returncode == 0, "it ended before the last line"
    elif kind == "endless_loop":
        assert "    while True: pass\n" in after["cell-2"]
        compile(after["cell-2"], "cell", "exec")


@pytest.mark.parametrize("kind", [kind for kind, each in DAMAGES.items() if each.to_a_cell and each.loses == "nothing"])
def test_what_loses_nothing_leaves_the_answers_right(
    kind: str, toy: dict[str, Exercise], release: dict[str, NotebookNode]
) -> None:
    student = _damaged(kind, answer="double")
    keys = {slug: make_key(exercise, 3) for slug, exercise in toy.items()}
    assert [each.score for each in deserves(student, {"toy": list(toy)}, keys).values()] == [2, 3, 1]
    cells = _cells(student, release, toy)
    assert cells != _cells(_student(), release, toy)
    if kind != "prints_much":
        assert _scores(student, release, toy, keys) == {"double": 2.0, "quadruple": 3.0, "toy_choice": 1.0}


def test_cells_are_deleted_and_duplicated(toy: dict[str, Exercise], release: dict[str, NotebookNode]) -> None:
    whole = _ids(_cells(_student(), release, toy))
    assert _ids(_cells(_damaged("cell_deleted", answer="double"), release, toy)) == whole[1:]
    assert _ids(_cells(_damaged("cell_duplicated", answer="double"), release, toy)) == [whole[0], *whole]
    assert _ids(_cells(_damaged("exam_deleted", answer="double"), release, toy)) == [whole[0], *whole[2:]]
    assert _ids(_cells(_damaged("exam_duplicated", answer="double"), release, toy)) == [*whole[:2], *whole[1:]]
    assert _ids(_cells(_damaged("metadata_stripped", notebook="toy"), release, toy)) == []
    ids = [cell.id for cell in _cells(_damaged("cell_duplicated", answer="double"), release, toy)]
    assert len(set(ids)) == len(ids)


def test_a_right_answer_that_warns_writes_to_stderr_whenever_it_is_called(
    toy: dict[str, Exercise], release: dict[str, NotebookNode], capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    source = _source(_cells(_damaged("warns", answer="double"), release, toy), "double-double")
    double = _namespace(source)["double"]
    assert double(torch.ones(2)).tolist() == [2.0, 2.0]
    assert "UserWarning" in capsys.readouterr().err


def test_files_are_damaged_as_files(toy: dict[str, Exercise], release: dict[str, NotebookNode]) -> None:
    cut = hand_in(_damaged("cut_short", notebook="toy"), release, toy)["toy.ipynb"]
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut)
    later = hand_in(_damaged("later_format", notebook="toy"), release, toy)["toy.ipynb"]
    assert json.loads(later)["nbformat"] == 9
    other = hand_in(_damaged("other_kernel", notebook="toy"), release, toy)["toy.ipynb"]
    assert json.loads(other)["metadata"]["kernelspec"]["language"] == "julia"
    keys = {slug: make_key(exercise, 3) for slug, exercise in toy.items()}
    assert all(
        each.score == 0 and each.judged
        for each in deserves(_damaged("cut_short", notebook="toy"), {"toy": list(toy)}, keys).values()
    )


def test_the_release_is_left_as_it_is(toy: dict[str, Exercise], release: dict[str, NotebookNode]) -> None:
    before = nbformat.writes(release["toy"])
    hand_in(_damaged("metadata_stripped", notebook="toy"), release, toy)
    assert nbformat.writes(release["toy"]) == before


def test_a_release_without_the_answers_cell_is_told(toy: dict[str, Exercise], release: dict[str, NotebookNode]) -> None:
    del release["toy"].cells[2]
    with pytest.raises(CourseError, match="autograder sync"):
        hand_in(_student(), release, toy)


# -- class files -----------------------------------------------------------------------------------------------------

ONE = 'id = "s1"\nfirst_name = "A"\nlast_name = "B"\nabout = "x"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[student", "not valid TOML"),
        ("", "has no"),
        (f"[[student]]\n{ONE}", "fill"),
        (f'[[student]]\n{ONE}fill = "right"\ncolour = 1', "colour"),
        (f'[[student]]\n{ONE}fill = "wrong"', "choose one of right"),
        (f'[[student]]\n{ONE}fill = "right"\n' * 2, "used twice"),
        ('[[student]]\nid = "../s1"\nfirst_name = "A"\nlast_name = "B"\nabout = "x"\nfill = "right"', "names a folder"),
        (f'[[student]]\n{ONE}fill = "right"\nmistakes = {{ triple = "x" }}', "not an exercise"),
        (f'[[student]]\n{ONE}fill = "right"\nmistakes = {{ double = "x" }}', "its mistakes are squared_by_mistake"),
        (f'[[student]]\n{ONE}fill = "right"\ndamage = [{{ kind = "eaten" }}]', "choose one of syntax_error"),
        (f'[[student]]\n{ONE}fill = "right"\ndamage = [{{ kind = "warns", answer = "x" }}]', "not an answer"),
        (f'[[student]]\n{ONE}fill = "right"\ndamage = [{{ kind = "warns", answer = "toy_choice" }}]', "a variable"),
        (f'[[student]]\n{ONE}fill = "right"\ndamage = [{{ kind = "cut_short", notebook = "x" }}]', "not a notebook"),
        (f'[[student]]\n{ONE}fill = "right"\nnotebooks = ["x"]', "not a notebook"),
    ],
)
def test_a_faulty_class_file_is_told_in_a_sentence(
    text: str, says: str, toy: dict[str, Exercise], tmp_path: Path
) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(text)
    with pytest.raises(CourseError, match=says) as told:
        read_class(path, toy, ["toy"])
    assert "demo.toml" in str(told.value)


def test_a_missing_class_file_is_told(toy: dict[str, Exercise], tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="is missing"):
        read_class(tmp_path / "demo.toml", toy, ["toy"])


# -- the real chapters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chapter", REAL)
def test_the_real_class_is_what_the_table_will_say(chapter: str) -> None:
    """Every submission's answer cells, run one after the other in this process, earn what the description deserves."""
    exercises = load_chapter(ROOT / "solutions" / chapter)
    release = {p.stem: nbformat.read(p, as_version=4) for p in sorted((ROOT / "source" / chapter).glob("*.ipynb"))}
    students = read_class(ROOT / "solutions" / chapter / "demo.toml", exercises, list(release))
    notebooks = {name: exercises_in(nb, exercises) for name, nb in release.items()}
    keys = {slug: make_key(exercise, 3) for slug, exercise in exercises.items()}
    assert len(students) >= 10
    mistaken = {(slug, name) for student in students for slug, name in (student.mistakes or {}).items()}
    assert len(mistaken) >= 5
    if chapter == REAL[0]:  # what happens to homework is tried on one chapter
        assert {damage.kind for student in students for damage in student.damage} == set(DAMAGES)
        assert {student.fill for student in students} == set(FILLS)
    for student in students:
        if student.fill not in ("blank", "half") and not student.damage:
            deserved = deserves(student, notebooks, keys)
            wanted = {slug: each.score for slug, each in deserved.items() if each.judged}
            got = {}
            for name, nb in release.items():
                if student.hands_in(name):
                    got |= _scores(student, {name: nb}, exercises, {slug: keys[slug] for slug in notebooks[name]})
            assert got == wanted, student.id


@pytest.mark.parametrize("chapter", REAL)
def test_every_alternative_and_mistake_of_the_real_chapters_can_be_handed_in(chapter: str) -> None:
    exercises = load_chapter(ROOT / "solutions" / chapter)
    notebooks = [nbformat.read(path, as_version=4) for path in (ROOT / "source" / chapter).glob("*.ipynb")]
    given = {slug: given_names(nb) for nb in notebooks for slug in exercises_in(nb, exercises)}
    for slug, exercise in exercises.items():
        key = make_key(exercise, 3)
        for other in (*exercise.alternatives, *exercise.mistakes):
            sources = [written(exercise, name, other.answers[name], given[slug]) for name in exercise.answers]
            stand_ins = {name: resolve(target) for name, target in exercise.stand_ins.items()}
            namespace = {**stand_ins, **_namespace(*map(_imports, notebooks))}
            for source in sources:
                exec(source, namespace)
            verdict = judge_here(key, namespace)
            if other in exercise.alternatives:
                assert verdict.fraction == 1, f"{slug}: {other.name}"
            else:
                assert verdict.mistake is not None, f"{slug}: {other.name}"
                assert verdict.mistake.name == other.name, slug


def _imports(nb: NotebookNode) -> str:
    """What the given cells of a notebook import."""
    given = [c.source for c in nb.cells if c.cell_type == "code" and "demonstration" not in c.metadata.get("tags", [])]
    nodes = [node for source in given for node in ast.parse(source).body]
    return "\n".join(ast.unparse(node) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)))


def _scores(
    student: Student, release: dict[str, NotebookNode], chapter: dict[str, Exercise], keys: dict[str, Key]
) -> dict[str, float]:
    """The marks of a submission whose answer cells are run here; cells that fail are passed over, as a kernel does."""
    (data,) = hand_in(student, release, chapter).values()
    namespace = _namespace(*map(_imports, release.values()))
    for cell in nbformat.reads(data.decode(), as_version=4).cells:
        if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code":
            try:
                exec(cell.source, namespace)
            except NotImplementedError:
                continue
    return {slug: judge_here(key, namespace).score for slug, key in keys.items()}
