"""What leaves the house: a built release and a built wheel hold nothing of a blank, a hidden case or a mistake."""

import ast
import inspect
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import toycourse
from toycourse import ROOT, nbgrader
from traitlets.config import Config

from autograder.checksfile import unpack
from autograder.exercise import ConceptQuestion, Exercise
from autograder.preprocessors import AttachChecks, CourseExporter, Examine
from autograder.preprocessors.release import select_language
from autograder.solutions import load_chapter

pytestmark = pytest.mark.slow

CHAPTERS = sorted(path.name for path in (ROOT / "solutions").glob("ch*"))
DISTINCTIVE = 30  # characters of a line, at least, to be looked for
REGION = re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)


def secret_lines(exercise: Exercise) -> Iterator[str]:
    """Lines of the blanked bodies, the hidden cases, the mistakes and the alternatives."""
    sources = [body for source in exercise.blank().values() for body in REGION.findall(source)]
    if not isinstance(exercise, ConceptQuestion):
        sources += [inspect.getsource(case.build) for case in exercise.cases if not case.visible]
        sources += [inspect.getsource(each) for m in exercise.mistakes for each in _own(exercise, m.answers)]
        sources += [inspect.getsource(each) for a in exercise.alternatives for each in _own(exercise, a.answers)]
    for source in sources:
        for line in source.splitlines():
            # what a mistake says, and the names of cases, are meant to be read
            if len(line.strip()) >= DISTINCTIVE and not re.match(r"\s*(@|en=|ja=|hint_|def |class |\"\"\")", line):
                yield line.strip()


def _own(exercise: Exercise, answers: object) -> list[object]:
    return [each for each in answers.values() if each not in exercise.references]  # type: ignore[attr-defined]


def given_text(exercise: Exercise) -> str:
    """What a student is given of an answer anyway: everything around its blanks."""
    return "\n".join(REGION.sub("", source) for source in exercise.blank().values())


def leaks(exercises: list[Exercise], texts: dict[str, str]) -> list[str]:
    public = [path.read_text(encoding="utf-8") for path in (ROOT / "autograder" / "course").glob("*.py")]
    given = "\n".join([*(given_text(exercise) for exercise in exercises), *public])
    lines = {line for exercise in exercises for line in secret_lines(exercise) if line not in given}
    assert lines
    return [f"{name}: {line}" for name, text in texts.items() for line in sorted(lines) if line in text]


@pytest.fixture(scope="module", params=CHAPTERS)
def chapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def release(chapter: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chapter's release, made by nbgrader from a copy of the course in which every exercise file has a canary."""
    course = tmp_path_factory.mktemp("course")
    for name in ("source", "solutions"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(course)], check=True)
    (course / "nbgrader_config.py").write_text((ROOT / "nbgrader_config.py").read_text())
    for path in (course / "solutions" / chapter).glob("*.py"):
        path.write_text(f'{path.read_text()}\n\nCANARY = "canary-{path.stem}-5b1d"\n')
    nbgrader(course, "generate_assignment", chapter)
    return course / "release" / chapter


@pytest.fixture(scope="module")
def exercises(chapter: str) -> list[Exercise]:
    return list(load_chapter(ROOT / "solutions" / chapter).values())


def _texts(folder: Path) -> dict[str, str]:
    """Every file of a folder as text; of a notebook, its cells, in which a line is one line."""
    texts = {}
    for path in folder.rglob("*"):
        if path.is_file():
            texts[str(path.relative_to(folder))] = path.read_bytes().decode("utf-8", "replace")
            if path.suffix == ".ipynb":
                nb = nbformat.read(path, as_version=4)
                texts[f"{path.name} (cells)"] = "\n".join(cell.source for cell in nb.cells)
    return texts


def test_a_release_holds_no_secret(release: Path, exercises: list[Exercise]) -> None:
    texts = _texts(release)
    notebooks = [path.stem for path in (ROOT / "source" / release.name).glob("*.ipynb")]
    assert len(notebooks) == 2
    assert {f"{name}.{kind}" for name in notebooks for kind in ("ipynb", "checks")} <= set(texts)
    assert leaks(exercises, texts) == []
    assert not [name for name, text in texts.items() if "canary-" in text]
    assert not [name for name, text in texts.items() if "BEGIN SOLUTION" in text or "HIDDEN TESTS" in text]
    assert not [name for name, text in texts.items() if "MARK SCHEME" in text]


def test_the_search_would_find_a_leak(exercises: list[Exercise]) -> None:
    exercise = max(exercises, key=lambda each: len(list(secret_lines(each))))
    source = exercise.path.read_text()
    assert len(leaks(exercises, {"leak": source})) > 10


def test_a_release_does_not_tell_the_answer_to_a_question(release: Path, exercises: list[Exercise]) -> None:
    questions = [each for each in exercises if isinstance(each, ConceptQuestion)]
    assert len(questions) >= 4
    for path in release.glob("*.checks"):
        for key in unpack(path.read_bytes()).keys.values():
            if key.form is not None:
                assert not key.trials
                assert not key.sheet.mistakes  # all wrong choices, each named, would tell the right one
    cells = "\n".join(cell.source for path in release.glob("*.ipynb") for cell in nbformat.read(path, 4).cells)
    for question in questions:
        line = next(line for line in cells.splitlines() if line.startswith(f"{question.slug} = "))
        assert line.split(" = ")[1].split("#")[0].strip() in ('""', "None")


def test_a_release_has_one_language(release: Path) -> None:
    for path in release.glob("*.ipynb"):
        source = nbformat.read(ROOT / "source" / release.name / path.name, as_version=4)
        nb = nbformat.read(path, as_version=4)
        assert len(nb.cells) == len(source.cells)
        text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
        assert "<!-- ja -->" not in text
        assert not re.search(r"[ぁ-んァ-ン]", text)


def test_every_markdown_cell_has_both_languages() -> None:
    for path in (ROOT / "source").rglob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                english, japanese = (select_language(cell.source, language) for language in ("en", "ja"))
                assert english
                assert japanese
                assert english != japanese


def test_visible_cases_are_the_same_in_both_languages(tmp_path: Path) -> None:
    course = toycourse.lay_out(tmp_path)
    config = course / "nbgrader_config.py"
    config.write_text(config.read_text().replace('LANGUAGE = "en"', 'LANGUAGE = "ja"'))
    nbgrader(course, "generate_assignment", "toy")
    nb = nbformat.read(course / "release" / "toy" / "toy.ipynb", as_version=4)
    assert nb.cells[0].source == "# おもちゃ"
    checks = unpack((course / "release" / "toy" / "toy.checks").read_bytes())
    assert checks.language == "ja"
    assert list(checks.keys) == ["double", "quadruple", "toy_choice"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The built wheel's files as text. It is built from a copy, so that nothing is left in the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    tree.mkdir()
    for name in ("autograder", "solutions", "source"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(tree)], check=True)
    for name in ("pyproject.toml", "README.md"):
        (tree / name).write_text((ROOT / name).read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(folder)]
    subprocess.run([*command, str(tree)], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode("utf-8", "replace") for name in archive.namelist()}


def test_the_wheel_holds_no_secret(wheel: dict[str, str], exercises: list[Exercise]) -> None:
    assert "autograder/selfcheck.py" in wheel
    assert "autograder/templates/verdict.html.j2" in wheel
    assert not [name for name in wheel if name.startswith(("solutions", "source", "tests"))]
    assert leaks(exercises, wheel) == []


def test_the_wheel_holds_every_module_of_the_engine(wheel: dict[str, str]) -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "autograder").rglob("*.py")}
    assert modules <= set(wheel)
    for name in modules:
        ast.parse(wheel[name])


def test_no_exercise_is_named_in_the_engine(exercises: list[Exercise]) -> None:
    names = {exercise.slug for exercise in exercises} | {a for exercise in exercises for a in exercise.answers}
    engine = [path for path in (ROOT / "autograder").rglob("*.py") if path.parent.name != "course"]
    assert engine
    for path in engine:
        text = path.read_text(encoding="utf-8")
        found = [name for name in names if re.search(rf"\b{name}\b", text)]
        # PyTorch's own function bears the name of an exercise
        found = [name for name in found if re.search(rf"(?<!F\.)\b{name}\b", text)]
        assert found == [], path


def test_one_setting_says_where_the_exercise_files_are() -> None:
    config = Config({"InCourse": {"solutions": "elsewhere"}})
    assert [each(config=config).solutions for each in (AttachChecks, CourseExporter, Examine)] == ["elsewhere"] * 3
