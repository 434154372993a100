"""The real chapters' notebooks: they run with the solutions in place, and blank ones answer in sentences."""

import itertools
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from toycourse import ROOT, nbgrader
from toymodels import save_tiny_bert

from autograder.course.models import DEFAULT
from autograder.demonstrations import TAG, demonstrations_in, not_needed
from autograder.render import MIME
from autograder.sync import sync_chapters

NOTEBOOKS = sorted((ROOT / "source").glob("ch*/*.ipynb"))
names = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")


def _run(nb: NotebookNode, folder: Path) -> NotebookNode:
    for cell in nb.cells:  # where no data decide how long an experiment takes, a number in the first cell does
        cell.source = cell.source.replace("EFFORT = 1.0", "EFFORT = 0.03")
    client = NotebookClient(nb, timeout=600, allow_errors=True, resources={"metadata": {"path": str(folder)}})
    return client.execute()


def _outputs(nb: NotebookNode) -> list[NotebookNode]:
    return [output for cell in nb.cells if cell.cell_type == "code" for output in cell.outputs]


def test_answer_cells_are_up_to_date() -> None:
    assert sync_chapters(ROOT, None, write=False) == [], "stale answer cells: run `autograder sync`"


@names
def test_source_notebooks_are_committed_clean(path: Path) -> None:
    nb = nbformat.read(path, as_version=4)
    assert _outputs(nb) == []
    assert all(cell.execution_count is None for cell in nb.cells if cell.cell_type == "code")
    nbformat.validate(nb)


@names
def test_grading_leaves_every_demonstration_out(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    tagged = {number for number, cell in enumerate(cells) if TAG in cell.metadata.get("tags", [])}
    assert not_needed(cells, demonstrations_in(path)) == tagged, "a graded cell reads what a demonstration makes"


@pytest.fixture
def small_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with short sentences and a tiny encoder: what notebooks train for minutes otherwise takes seconds."""
    (tmp_path / "sst2").mkdir()
    for split, count in (("train", 256), ("validation", 40)):
        rows = [f"{'good' if n % 2 else 'bad'} number {n}\t{n % 2}" for n in range(count)]
        (tmp_path / "sst2" / f"{split}.tsv").write_text("\n".join(["sentence\tlabel", *rows]), encoding="utf-8")
    (tmp_path / "tinyshakespeare").mkdir()
    lines = "\n".join(f"{'good' if n % 2 else 'bad'} day to you, number {n}." for n in range(400))
    (tmp_path / "tinyshakespeare" / "input.txt").write_text(lines, encoding="utf-8")
    words = ["good", "bad", "number", *map(str, range(10))]
    save_tiny_bert(tmp_path / DEFAULT, words, width=48, layers=2, heads=4, inner=96)
    monkeypatch.setenv("AUTOGRADER_DATA", str(tmp_path))


@pytest.mark.slow
@names
@pytest.mark.usefixtures("small_sources")
def test_a_source_notebook_runs_from_top_to_bottom_without_a_warning(path: Path) -> None:
    nb = _run(nbformat.read(path, as_version=4), path.parent)
    for output in _outputs(nb):
        assert output.output_type != "error", output.get("evalue")
        assert output.get("name") != "stderr", output.get("text")
    exams = [cell for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("grade") and cell.cell_type == "code"]
    assert exams
    for cell in exams:
        (result,) = [output for output in cell.outputs if output.output_type == "execute_result"]
        assert float(result.data["text/plain"]) == cell.metadata.nbgrader.points
    assert not any(path.parent.glob("*.checks"))


LANGUAGES = dict(zip(sorted({path.parent.name for path in NOTEBOOKS}), itertools.cycle(("en", "ja")), strict=False))


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The release of each chapter, in one language or the other: what a blank notebook does is the same in both."""
    found = {}
    for language in ("en", "ja"):
        course = tmp_path_factory.mktemp("course")
        for name in ("source", "solutions"):
            shutil.copytree(ROOT / name, course / name)
        config = (ROOT / "nbgrader_config.py").read_text(encoding="utf-8")
        config = config.replace('LANGUAGE = "en"', f'LANGUAGE = "{language}"')
        (course / "nbgrader_config.py").write_text(config, encoding="utf-8")
        for chapter in (chapter for chapter, its in LANGUAGES.items() if its == language):
            nbgrader(course, "generate_assignment", chapter)
            found[chapter] = course / "release" / chapter
    return found


@pytest.mark.slow
@names
@pytest.mark.usefixtures("small_sources")
def test_a_blank_release_notebook_answers_in_one_line_each(releases: dict[str, Path], path: Path) -> None:
    folder, language = releases[path.parent.name], LANGUAGES[path.parent.name]
    nb = _run(nbformat.read(folder / path.name, as_version=4), folder)
    said = {"en": "not attempted yet", "ja": "未解答"}[language]
    checked = 0
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if cell.metadata.get("nbgrader", {}).get("grade"):
            (error,) = errors
            (line,) = error.traceback
            assert said in line
            assert any(MIME in output.get("data", {}) for output in cell.outputs)
            checked += 1
        else:
            assert errors == [], cell.source
    assert checked >= 5
