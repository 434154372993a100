"""The chapters once all the way round: `autograder demo` with nbgrader's own commands, on the real notebooks."""

import csv
import io
import re
import shutil
from pathlib import Path

import pytest
from gradingruns import assert_same, run, timings
from rich.console import Console
from toycourse import nbgrader

from autograder import demo as demo_module
from autograder.demo import Demo, Graded, Result, lay_out, make_demo, run_demo, show
from autograder.democlass import DAMAGES
from autograder.errors import CourseError

ROOT = Path(__file__).parent.parent
slow = [pytest.mark.slow, pytest.mark.timeout(1800)]  # the first test waits for the whole class to be graded


@pytest.fixture(scope="session")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo of chapter 1 in English, graded once for all tests of this file."""
    return make_demo(ROOT, tmp_path_factory.mktemp("demo"), "ch1", "en", Console(file=io.StringIO()))


def _result(demo: Demo, **wanted: object) -> Result:
    """The first submission of that description."""
    return next(r for r in demo.results if all(getattr(r.student, key) == value for key, value in wanted.items()))


def _with_damage(demo: Demo, kind: str) -> tuple[Result, str]:
    """A submission with that damage, and the exercise or notebook that it was done to."""
    for result in demo.results:
        for damage in result.student.damage:
            if damage.kind == kind:
                owners = [slug for slug, each in demo.exercises.items() if damage.answer in each.answers]
                return result, owners[0] if owners else damage.notebook
    raise AssertionError(f"nobody in the class has {kind}")


class TestChapterOne:
    pytestmark = slow

    def test_every_submission_gets_what_it_deserves(self, graded: Demo) -> None:
        assert len(graded.results) >= 14
        assert {result.student.id: result.differs for result in graded.results if not result.matches} == {}

    def test_the_class_is_that_of_the_issue(self, graded: Demo) -> None:
        """Guards the test above: scores that match would say little if the class were not mixed."""
        assert {damage.kind for result in graded.results for damage in result.student.damage} == set(DAMAGES)
        full = sum(graded.exercises[slug].points for slug in graded.slugs)
        assert _result(graded, fill="right").total == full
        assert _result(graded, fill="otherwise").total == full
        assert _result(graded, fill="blank").total == 0
        assert 0 < _result(graded, fill="half").total < full
        assert len({each.mistake for result in graded.results for each in result.got.values() if each.mistake}) >= 5

    def test_a_right_answer_that_warns_keeps_its_marks(self, graded: Demo) -> None:
        result, slug = _with_damage(graded, "warns")
        assert result.got[slug].score == graded.exercises[slug].points

    @pytest.mark.parametrize("kind", [kind for kind, each in DAMAGES.items() if each.loses == "answer"])
    def test_a_broken_cell_costs_its_exercise_and_nothing_else(self, graded: Demo, kind: str) -> None:
        result, _ = _with_damage(graded, kind)
        answers = {damage.answer for damage in result.student.damage}
        for slug, deserved in result.deserved.items():
            if deserved.judged and not answers & set(graded.exercises[slug].answers):
                whole = all(damage.notebook == "" for damage in result.student.damage)
                assert result.got[slug].score == deserved.points or not whole

    def test_a_deleted_answer_cell_gets_a_clear_sentence(self, graded: Demo) -> None:
        result, _ = _with_damage(graded, "cell_deleted")
        missing = {damage.answer for damage in result.student.damage}
        said = [
            case["says"]["en"]
            for each in result.got.values()
            if each.verdict is not None
            for case in each.verdict["cases"]
            if case["finding"] == "missing"
        ]
        assert {text.split(" is not defined")[0] for text in said} == missing

    def test_an_endless_loop_is_told_as_one(self, graded: Demo) -> None:
        result, slug = _with_damage(graded, "endless_loop")
        verdict = result.got[slug].verdict
        assert verdict is not None
        assert any("did not finish within" in (case["says"] or {}).get("en", "") for case in verdict["cases"])

    def test_an_error_in_a_helper_costs_once(self, graded: Demo) -> None:
        result, slug = _with_damage(graded, "renamed")
        callers = [each for each in graded.exercises.values() if slug in each.stand_ins]
        assert callers
        assert all(result.got[each.slug].score == each.points for each in callers)

    def test_the_export_says_the_same(self, graded: Demo) -> None:
        with (graded.folder / "grades.csv").open(encoding="utf-8") as stream:
            rows = {row["student_id"]: row for row in csv.DictReader(stream)}
        assert {id: float(row["score"]) for id, row in rows.items()} == {
            result.student.id: result.total for result in graded.results
        }
        assert {row["last_name"] for row in rows.values()} == {r.student.last_name for r in graded.results}

    def test_every_notebook_that_was_handed_in_has_a_feedback_page(self, graded: Demo) -> None:
        for result in graded.results:
            handed_in = [name for name in graded.notebooks if result.student.hands_in(name)]
            assert [page.stem for page in graded.pages(result.student.id)] == handed_in

    def test_a_page_names_the_mistake_with_its_hint(self, graded: Demo) -> None:
        for result in graded.results:
            pages = "".join(page.read_text(encoding="utf-8") for page in graded.pages(result.student.id))
            for slug, name in (result.student.mistakes or {}).items():
                mistake = next(each for each in graded.exercises[slug].mistakes if each.name == name)
                assert _words(mistake.says.en) in _words(pages)
                assert _words(mistake.hint.en) in _words(pages)

    def test_graded_side_by_side_it_is_the_same_bit_for_bit(self, graded: Demo, tmp_path: Path) -> None:
        """Before the class is graded, but for what nbgrader makes on the way, its course is as it was."""
        made = ("autograded", "feedback", "gradebook.db", "release", "logs")
        copy = Path(shutil.copytree(graded.folder, tmp_path / "copy", ignore=shutil.ignore_patterns(*made)))
        nbgrader(copy, "generate_assignment", "ch1")
        nbgrader(copy, "db", "student", "import", "students.csv")
        run(copy, "--jobs", "2", chapter="ch1")
        assert_same(copy, graded.folder)
        rows = timings(copy, "ch1")
        assert len({(row["student"], row["exercise"]) for row in rows}) == len(rows)
        assert {row["student"] for row in rows} == {result.student.id for result in graded.results}

    def test_it_is_shown_on_a_narrow_terminal(self, graded: Demo) -> None:
        console = Console(file=io.StringIO(), width=80)
        show(graded, console)
        shown = console.file.getvalue()  # type: ignore[attr-defined]
        assert f"All {len(graded.results)} submissions got what they deserve." in shown
        assert "…" not in shown, "nothing is cut off"
        assert all(result.student.id in shown for result in graded.results)
        assert str(graded.folder / "feedback") in shown


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_submission_of_the_latest_chapter_gets_what_it_deserves(tmp_path: Path) -> None:
    """Those between are judged without nbgrader, in a fraction of the time, by tests/test_democlass.py."""
    chapter = max(path.parent.name for path in ROOT.glob("solutions/*/demo.toml"))
    demo = make_demo(ROOT, tmp_path / "demo", chapter, "ja", _console())
    assert {result.student.id: result.differs for result in demo.results if not result.matches} == {}
    full = sum(demo.exercises[slug].points for slug in demo.slugs)
    assert _result(demo, fill="right").total == full
    assert _result(demo, fill="otherwise").total == full
    assert _result(demo, fill="blank").total == 0
    assert len({each.mistake for result in demo.results for each in result.got.values() if each.mistake}) >= 5


def _words(html: str) -> str:
    """Text without what a page's template does to it."""
    plain = re.sub(r"&#(x27|39);", "'", html).replace("&gt;", ">").replace("&lt;", "<").replace("&#34;", '"')
    return " ".join(plain.replace("&quot;", '"').replace("&amp;", "&").split())


# -- what can go wrong before anything is graded -----------------------------------------------------------------------


def _console() -> Console:
    return Console(file=io.StringIO())


def test_a_folder_that_is_not_a_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(CourseError, match="not a demo"):
        make_demo(ROOT, tmp_path, "ch1", "en", _console())
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_an_earlier_demo_is_replaced(tmp_path: Path) -> None:
    lay_out(ROOT, tmp_path / "demo", "ch1", "en")
    (tmp_path / "demo" / "gradebook.db").write_text("old")
    demo = lay_out(ROOT, tmp_path / "demo", "ch1", "ja")
    assert not (tmp_path / "demo" / "gradebook.db").exists()
    config = (tmp_path / "demo" / "nbgrader_config.py").read_text(encoding="utf-8")
    assert 'LANGUAGE = "ja"' in config
    assert config.rstrip().endswith('c.SelectLanguage.language = "ja"')
    assert demo.exercises


@pytest.mark.parametrize(
    ("chapter", "language", "says"), [("ch99", "en", "source/ch99 is not in"), ("ch1", "fr", "no language 'fr'")]
)
def test_a_chapter_or_language_that_is_not_there_is_told(
    chapter: str, language: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(CourseError, match=says):
        make_demo(ROOT, tmp_path / "demo", chapter, language, _console())
    assert not (tmp_path / "demo").exists()


def test_a_command_that_fails_is_told_with_its_log(tmp_path: Path) -> None:
    demo = lay_out(ROOT, tmp_path / "demo", "ch1", "en")
    with demo_module._progress(_console()) as progress, pytest.raises(CourseError, match="status 1") as told:
        demo_module._nbgrader(demo, progress, "autograde", "ch1")  # nothing was submitted
    log = Path(str(told.value).split()[-1])
    assert "No notebooks were matched" in log.read_text(encoding="utf-8")


def test_a_submission_that_got_something_else_fails_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = lay_out(ROOT, tmp_path / "demo", "ch1", "en")
    slug = next(iter(demo.exercises))
    demo.notebooks = {"attention": [slug]}
    student = demo_module.Student("s1", "A", "B", "all right", "right")
    wrong = {slug: Graded(0.5, {"score": 0.5, "mistake": None})}
    demo.results = [Result(student, wrong, {slug: demo_module.Deserved(3.0, 3.0)}, total=0.5)]
    monkeypatch.setattr(demo_module, "make_demo", lambda *arguments: demo)
    console = _console()
    with pytest.raises(CourseError, match="1 of 1 submissions did not get what they deserve: s1"):
        run_demo(ROOT, tmp_path, "ch1", "en", console)
    assert f"s1: {slug} got 0.5 and deserves 3" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("got", "judged", "matches"),
    [
        (Graded(2.0, {"score": 2.0, "mistake": None}), True, True),
        (Graded(2.0, {"score": 1.0, "mistake": None}), True, False),  # the gradebook and the page disagree
        (Graded(2.0, {"score": 2.0, "mistake": "other"}), True, False),
        (Graded(2.0), True, False),  # a score from nowhere
        (Graded(None), True, False),
        (Graded(2.0), False, True),
    ],
)
def test_a_result_matches_only_when_all_says_the_same(got: Graded, judged: bool, matches: bool) -> None:
    student = demo_module.Student("s1", "A", "B", "", "right")
    deserved = {"x": demo_module.Deserved(2.0, 2.0, judged=judged)}
    assert Result(student, {"x": got}, deserved, total=2.0).matches is matches
