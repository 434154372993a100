"""`autograder demo`: a class hands in a chapter, plain nbgrader commands grade it, and a table says who got what.

Nothing here grades: the marks come from nbgrader's gradebook, the named mistakes from the autograded notebooks.
Both are compared with what each submission deserves (`autograder.democlass`).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from autograder.democlass import Chapter, Deserved, Student, deserves, exercises_in, hand_in, read_class
from autograder.errors import CourseError
from autograder.exercise import ConceptQuestion
from autograder.key import make_key
from autograder.render import MIME
from autograder.solutions import CONFIG, load_chapter
from autograder.text import LANGUAGES

CLASS_FILE = "demo.toml"
_MARKER = ".autograder-demo"  # only a folder that holds it is ever deleted
_SEED = 1  # of the keys for what is deserved; not the exam's: a mistake costs the same under any seed
_POLL = 0.3  # seconds


@dataclass(frozen=True)
class Graded:
    """What one exercise of one submission got."""

    score: float | None  # in the gradebook; None where nothing was graded
    verdict: Mapping[str, Any] | None = None  # as stored in the autograded notebook

    @property
    def mistake(self) -> str | None:
        return self.verdict["mistake"] if self.verdict is not None else None


@dataclass(frozen=True)
class Result:
    """One submission: what each exercise got, and what it deserves."""

    student: Student
    got: Mapping[str, Graded]
    deserved: Mapping[str, Deserved]
    total: float  # of the gradebook

    @property
    def deserved_total(self) -> float:
        return sum(each.score for each in self.deserved.values())

    @property
    def differs(self) -> list[str]:
        """The exercises whose marks, or named mistake, are not what they should be."""
        found = []
        for slug, deserved in self.deserved.items():
            got = self.got.get(slug, Graded(None))
            scores = [got.score, *([got.verdict["score"]] if got.verdict is not None else [])]
            right = all(score is not None and abs(score - deserved.score) < 0.005 for score in scores)
            told = (got.verdict is not None) == deserved.judged and got.mistake == deserved.mistake
            if not (right and told):
                found.append(slug)
        return found

    @property
    def matches(self) -> bool:
        return not self.differs and abs(self.total - self.deserved_total) < 0.05


@dataclass
class Demo:
    """A demo course in a folder of its own: laid out, graded by nbgrader, and read again."""

    folder: Path
    chapter: str
    language: str
    exercises: Chapter
    students: list[Student] = field(default_factory=list)
    notebooks: dict[str, list[str]] = field(default_factory=dict)  # the exercises of each notebook, in their order
    results: list[Result] = field(default_factory=list)

    @property
    def slugs(self) -> list[str]:
        return [slug for slugs in self.notebooks.values() for slug in slugs]

    def pages(self, student: str) -> list[Path]:
        """The feedback pages of a student."""
        return sorted((self.folder / "feedback" / student / self.chapter).glob("*.html"))


def run_demo(root: Path, folder: Path, chapter: str, language: str, console: Console) -> Demo:
    """Make the demo, show it, and fail unless every submission got what it deserves.

    Raises:
        CourseError: something in the course is wrong, a command failed, or a submission got something else.
    """
    demo = make_demo(root, folder, chapter, language, console)
    show(demo, console)
    wrong = [result.student.id for result in demo.results if not result.matches]
    if wrong:
        raise CourseError(
            f"{len(wrong)} of {len(demo.results)} submissions did not get what they deserve: {', '.join(wrong)}"
        )
    return demo


def make_demo(root: Path, folder: Path, chapter: str, language: str, console: Console) -> Demo:
    """Lay out the demo course in `folder`, run nbgrader's commands on it, and read the results.

    Args:
        root: the course's root.
        folder: where the demo goes; an earlier demo there is replaced, anything else is left alone.
        chapter: such as "ch1".
        language: the course's language, "en" or "ja".
        console: where progress is shown.
    """
    demo = lay_out(root, folder, chapter, language)
    with _progress(console) as progress:
        _nbgrader(demo, progress, "generate_assignment", chapter)
        release = _release(demo)
        demo.notebooks = {name: exercises_in(nb, demo.exercises) for name, nb in release.items()}
        if not demo.slugs:
            raise CourseError(f"the notebooks in source/{chapter} have no exam cells: there is nothing to grade")
        demo.students = read_class(_class_file(root, chapter), demo.exercises, list(release))
        _hand_in(demo, release)
        _nbgrader(demo, progress, "db", "student", "import", "students.csv")
        count = len(demo.students)
        _nbgrader(demo, progress, "autograde", chapter, total=count, done=lambda: _finished(demo, "autograded"))
        _nbgrader(demo, progress, "generate_feedback", chapter, total=count, done=lambda: _finished(demo, "feedback"))
        _nbgrader(demo, progress, "export", "--to", "grades.csv")
    demo.results = read_results(demo)
    return demo


# -- laying it out ---------------------------------------------------------------------------------------------------


def lay_out(root: Path, folder: Path, chapter: str, language: str) -> Demo:
    """A course of one chapter in `folder`: the configuration, the source notebooks and the exercise files."""
    root, folder = root.resolve(), folder.resolve()
    if language not in LANGUAGES:
        raise CourseError(f"no language {language!r}: choose one of {', '.join(LANGUAGES)}")
    for path in (root / CONFIG, root / "source" / chapter, root / "solutions" / chapter, _class_file(root, chapter)):
        if not path.exists():
            raise CourseError(f"{path.relative_to(root)} is not in {root}: name the course's root with --root")
    exercises = load_chapter(root / "solutions" / chapter)
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARKER).exists():
            raise CourseError(f"{folder} holds something that is not a demo: name another folder, or empty it")
        shutil.rmtree(folder)
    (folder / "logs").mkdir(parents=True)
    (folder / _MARKER).write_text("Made by `autograder demo`, which deletes this folder when it runs again.\n")
    (folder / CONFIG).write_text(_configured((root / CONFIG).read_text(encoding="utf-8"), language), encoding="utf-8")
    for name in ("source", "solutions"):
        ignored = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
        shutil.copytree(root / name / chapter, folder / name / chapter, ignore=ignored)
    for helper in root.glob("*.py"):  # what the exercise files may import
        if helper.name != CONFIG:
            shutil.copy(helper, folder)
    return Demo(folder, chapter, language, exercises)


def _class_file(root: Path, chapter: str) -> Path:
    return root / "solutions" / chapter / CLASS_FILE


def _configured(text: str, language: str) -> str:
    """The course's configuration in another language: its LANGUAGE line is rewritten, where it has one."""
    text = re.sub(r'(?m)^LANGUAGE = ".*?"', f'LANGUAGE = "{language}"', text)
    return f'{text}\n# set by `autograder demo`\nc.SelectLanguage.language = "{language}"\n'


def _release(demo: Demo) -> dict[str, NotebookNode]:
    folder = demo.folder / "release" / demo.chapter
    return {path.stem: nbformat.read(path, as_version=4) for path in sorted(folder.glob("*.ipynb"))}


def _hand_in(demo: Demo, release: Mapping[str, NotebookNode]) -> None:
    """Write every student's submission, with the files that came with the release, and the class list."""
    beside = [p for p in (demo.folder / "release" / demo.chapter).iterdir() if p.is_file() and p.suffix != ".ipynb"]
    rows = ["id,first_name,last_name,email"]
    for student in demo.students:
        folder = demo.folder / "submitted" / student.id / demo.chapter
        folder.mkdir(parents=True)
        for name, data in hand_in(student, release, demo.exercises).items():
            (folder / name).write_bytes(data)
        for path in beside:
            shutil.copy(path, folder)
        rows.append(f"{student.id},{student.first_name},{student.last_name},")
    (demo.folder / "students.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


# -- nbgrader's commands ---------------------------------------------------------------------------------------------


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), BarColumn(bar_width=20))
    return Progress(*columns, MofNCompleteColumn(), TimeElapsedColumn(), console=console)


def _nbgrader(
    demo: Demo, progress: Progress, *arguments: str, total: int = 1, done: Callable[[], int] = lambda: 0
) -> None:
    """Run a plain nbgrader command in the demo course, its output in a log file, and wait for it.

    Raises:
        CourseError: it ended with another status than 0; the sentence names the log.
    """
    command = " ".join(("nbgrader", *arguments))
    log = demo.folder / "logs" / f"{arguments[0]}.log"
    task = progress.add_task(escape(command), total=total)
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "nbgrader", *arguments],
            cwd=demo.folder,
            env=_environment(demo.folder),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            while process.poll() is None:
                time.sleep(_POLL)
                progress.update(task, completed=min(done(), total - 1))
        finally:
            if process.poll() is None:  # interrupted
                process.terminate()
                process.wait()
    if process.returncode != 0:
        raise CourseError(f"`{command}` ended with status {process.returncode}; its output is in {log}")
    progress.update(task, completed=total)


def _environment(folder: Path) -> dict[str, str]:
    """The environment of the commands: this Python's programs first, and nobody's own nbgrader configuration."""
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",  # nbgrader looks for alembic there
        "PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
    }


def _finished(demo: Demo, stage: str) -> int:
    """How many students are through with a stage. They are taken in the order of their ids, so the last one is not."""
    begun = len(list((demo.folder / stage).glob(f"*/{demo.chapter}")))
    return max(begun - 1, 0)


# -- reading the results ---------------------------------------------------------------------------------------------


def read_results(demo: Demo) -> list[Result]:
    """What every submission got, from the gradebook and the autograded notebooks, beside what it deserves."""
    keys = {slug: make_key(demo.exercises[slug], _SEED) for slug in demo.slugs}
    results = []
    with Gradebook(f"sqlite:///{demo.folder / 'gradebook.db'}") as gradebook:
        for student in demo.students:
            submission = gradebook.find_submission(demo.chapter, student.id)
            scores = {grade.name: grade.auto_score for nb in submission.notebooks for grade in nb.grades}
            verdicts = _verdicts(demo.folder / "autograded" / student.id / demo.chapter)
            got = {slug: Graded(scores.get(slug), verdicts.get(slug)) for slug in demo.slugs}
            deserved = deserves(student, demo.notebooks, keys)
            results.append(Result(student, got, deserved, float(submission.score)))
    return results


def _verdicts(folder: Path) -> dict[str, dict[str, Any]]:
    """The verdicts in a student's autograded notebooks by exercise."""
    found = {}
    for path in sorted(folder.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                verdict = output.get("data", {}).get(MIME)
                if verdict is not None:
                    verdict = json.loads(verdict) if isinstance(verdict, str) else verdict
                    found[verdict["slug"]] = dict(verdict)
    return found


# -- showing them ----------------------------------------------------------------------------------------------------


def show(demo: Demo, console: Console) -> None:
    """Print the marks by exercise, then student by student what was handed in, what it got, and the named mistakes."""
    columns = [slug for slug in demo.slugs if not isinstance(demo.exercises[slug], ConceptQuestion)]
    questions = [slug for slug in demo.slugs if slug not in columns]
    console.print(_marks(demo, columns, questions))
    points = {slug: demo.exercises[slug].points for slug in demo.slugs}
    legend = [f"{number} {slug} ({points[slug]:g})" for number, slug in enumerate(columns, 1)]
    if questions:
        legend.append(f"Q {len(questions)} questions ({sum(points[slug] for slug in questions):g})")
    console.print("Maximum in brackets: " + ", ".join(legend), style="dim", highlight=False)
    console.print()
    console.print(_reasons(demo))
    right = sum(result.matches for result in demo.results)
    if right == len(demo.results):
        console.print(f"All {right} submissions got what they deserve.", style="bold green", highlight=False)
    for result in demo.results:
        if not result.matches:
            console.print(f"{result.student.id}: {_difference(result)}", style="red", highlight=False, markup=False)
    example = next((page for result in demo.results for page in demo.pages(result.student.id)), None)
    console.print(f"Feedback pages: {demo.folder / 'feedback'}", highlight=False, soft_wrap=True)
    if example is not None:
        console.print(f"Such as:        {example}", highlight=False, soft_wrap=True)
    console.print(f"Exported marks: {demo.folder / 'grades.csv'}", highlight=False, soft_wrap=True)


def _marks(demo: Demo, columns: Sequence[str], questions: Sequence[str]) -> Table:
    table = Table(title=f"Marks of {demo.chapter}", box=None, padding=(0, 1, 0, 0))
    table.add_column("")
    for number in range(1, len(columns) + 1):
        table.add_column(str(number), justify="right", no_wrap=True)
    if questions:
        table.add_column("Q", justify="right", no_wrap=True)
    table.add_column("total", justify="right", no_wrap=True, style="bold")
    for result in demo.results:
        cells = [_mark(result, [slug]) for slug in columns] + ([_mark(result, questions)] if questions else [])
        table.add_row(result.student.id, *cells, f"{result.total:g}")
    return table


def _mark(result: Result, slugs: Sequence[str]) -> str:
    """A score in colour: green full, yellow partial, red none; a dash for a notebook that was not handed in."""
    graded = [result.got[slug] for slug in slugs]
    if all(each.verdict is None for each in graded):
        return "[dim]–[/]"
    score, points = sum(each.score or 0.0 for each in graded), sum(result.deserved[slug].points for slug in slugs)
    colour = "green" if score >= points else "yellow" if score > 0 else "red"
    return f"[{colour}]{round(score, 2):g}[/]"


def _reasons(demo: Demo) -> Table:
    table = Table(title="Who handed in what", box=None, padding=(0, 2, 0, 0), expand=True)
    table.add_column("", no_wrap=True)
    table.add_column("student", no_wrap=True)
    table.add_column("handed in", ratio=2, overflow="fold")
    table.add_column("got", justify="right", no_wrap=True)
    table.add_column("deserves", justify="right", no_wrap=True)
    table.add_column("named mistakes", ratio=3, overflow="fold")
    for result in demo.results:
        named = [(slug, each.verdict) for slug, each in result.got.items() if each.verdict is not None and each.mistake]
        says = [f"{slug}: {verdict['mistake_says'][demo.language]}" for slug, verdict in named]
        mark = "[green]✓[/]" if result.matches else "[bold red]✗[/]"
        table.add_row(
            f"{result.student.id} {mark}",
            escape(result.student.name),
            escape(result.student.about),
            f"{result.total:g}",
            f"{round(result.deserved_total, 2):g}",
            escape("\n".join(says)),
        )
    return table


def _difference(result: Result) -> str:
    parts = []
    for slug in result.differs:
        got, deserved = result.got[slug], result.deserved[slug]
        score = "no score" if got.score is None else f"{got.score:g}"
        named = f", named {got.mistake}" if got.mistake != deserved.mistake else ""
        wanted = f", to be named {deserved.mistake}" if got.mistake != deserved.mistake and deserved.mistake else ""
        parts.append(f"{slug} got {score}{named} and deserves {deserved.score:g}{wanted}")
    return "; ".join(parts) or f"the total is {result.total:g} and should be {result.deserved_total:g}"
