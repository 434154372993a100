"""How long a class takes to be graded: `make bench`, or `python benchmarks/grading.py --submissions 30`.

Lays out the course of a real chapter in a temporary folder, releases it with this project's configuration, hands in
submissions, and grades the same ones by stock nbgrader, by plain `nbgrader autograde` with this project's
configuration, and by `autograder grade`. Each run is a process of its own on a copy of the course, one after the other;
its time is the whole command's, start-up included. Nothing fails for being slow.

Every submission holds all of the chapter's notebooks, filled in as the chapter's demo class does it, student by student
and again from the first one. Students whose homework breaks stock nbgrader or takes up a time limit are left out: an
endless loop costs both sides the same limit, and would hide the difference. Each answer carries its submission's
number, so that nothing can be remembered from one submission for another.

Memory is measured in runs of their own, because looking at it takes time, too.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil
import torch
import typer
from nbgrader.api import Gradebook
from rich.console import Console
from rich.table import Table
from traitlets.config import PyFileConfigLoader

import autograder
from autograder.cli import app
from autograder.demo import CLASS_FILE, lay_out
from autograder.democlass import Student, deserves, exercises_in, hand_in, read_class
from autograder.errors import CourseError
from autograder.key import make_key
from autograder.selfcheck import IN_PROCESS
from autograder.solutions import CONFIG, load_chapter

ROOT = Path(__file__).resolve().parent.parent
HARMLESS = {"syntax_error", "import_error", "renamed", "warns"}  # kinds of damage
POLL = 0.2  # seconds between two looks at the memory
MARKS = ("<!-- figures: made by `make bench` -->", "<!-- end of figures -->")

STOCK, BARE, PLAIN = "stock nbgrader", "stock, exams fail at once", "ours, nbgrader autograde"


@dataclass(frozen=True)
class Way:
    """A way to grade: its name in the tables, the command, and whether nbgrader has its own configuration."""

    name: str
    command: tuple[str, ...]
    stock: bool = False
    exams: bool = True  # stock only: whether exams are judged in the kernel


@dataclass(frozen=True)
class Run:
    """What one command took, on how many submissions, and what the submissions got."""

    submissions: int
    seconds: float
    finished: tuple[float, ...]  # seconds from the start to each submission's last notebook, in this order
    scores: Mapping[str, float]
    memory: float = 0.0  # GiB, the peak of the sum over all processes (PSS); 0 when it was not looked at
    largest: float = 0.0  # GiB, the resident size of the largest process

    def further(self, first: int, last: int) -> float:
        """Seconds a submission from the `first` finished one to the `last`, counted from 1."""
        return (self.finished[last - 1] - self.finished[first - 1]) / (last - first)

    def total(self, submissions: int) -> float:
        """Seconds for so many submissions: as measured, or with the rest added at the rate of those after the first."""
        rest = submissions - self.submissions
        return self.seconds + rest * self.further(1, self.submissions) if rest else self.seconds


# -- the course ------------------------------------------------------------------------------------------------------


class Course:
    """The course that is graded, with its release; `hand_in` fills it, and each run works on a copy."""

    def __init__(self, folder: Path, chapter: str) -> None:
        lay_out(ROOT, folder, chapter, "en")
        self.folder, self.chapter = folder, chapter
        self.exercises = load_chapter(ROOT / "solutions" / chapter)
        _run(("nbgrader", "generate_assignment", chapter), folder, environment(folder))
        paths = sorted((folder / "release" / chapter).glob("*.ipynb"))
        self.release = {path.stem: nbformat.read(path, as_version=4) for path in paths}
        everyone = read_class(ROOT / "solutions" / chapter / CLASS_FILE, self.exercises, list(self.release))
        self.kinds = [each for each in everyone if all(damage.kind in HARMLESS for damage in each.damage)]
        if not self.kinds:
            raise CourseError(
                f"solutions/{chapter}/{CLASS_FILE} has no student whose homework stock nbgrader can grade"
            )
        self.deserved: dict[str, float] = {}

    def hand_in(self, count: int) -> None:
        """Write `count` submissions, and work out what each deserves."""
        notebooks = {name: exercises_in(nb, self.exercises) for name, nb in self.release.items()}
        keys = {slug: make_key(self.exercises[slug], seed=1) for each in notebooks.values() for slug in each}
        beside = [p for p in (self.folder / "release" / self.chapter).iterdir() if p.suffix != ".ipynb"]
        for number in range(count):
            kind = self.kinds[number % len(self.kinds)]
            student = replace(kind, id=f"s{number + 1:03d}", notebooks=None)
            folder = self.folder / "submitted" / student.id / self.chapter
            folder.mkdir(parents=True)
            for name, data in hand_in(student, self.release, self.exercises).items():
                (folder / name).write_bytes(_numbered(data, student))
            for path in beside:
                shutil.copy(path, folder)
            self.deserved[student.id] = sum(each.score for each in deserves(student, notebooks, keys).values())

    def copy(self, folder: Path, count: int, stock: bool) -> None:
        """The course with its first `count` submissions in `folder`; stock nbgrader is told the course's name only."""
        later = sorted(self.deserved)[count:]
        shutil.copytree(self.folder, folder, ignore=lambda _, names: [name for name in names if name in later])
        if stock:
            config = PyFileConfigLoader(CONFIG, str(folder)).load_config()
            text = f"c = get_config()\nc.CourseDirectory.course_id = {config.CourseDirectory.course_id!r}\n"
            (folder / CONFIG).write_text(text, encoding="utf-8")


def _numbered(data: bytes, student: Student) -> bytes:
    nb = nbformat.reads(data.decode(), as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source += f"\n# {student.id}"
    return nbformat.writes(nb).encode()


# -- a run -----------------------------------------------------------------------------------------------------------


def grade(course: Course, way: Way, count: int, *, memory: bool = False) -> Run:
    """Grade the first `count` submissions in a copy of the course.

    Raises:
        CourseError: the command failed, or did not grade every submission.
    """
    with tempfile.TemporaryDirectory(prefix="bench-run-") as name:
        folder = Path(name, "course")
        course.copy(folder, count, way.stock)
        variables = environment(folder)
        if way.stock and way.exams:
            variables[IN_PROCESS] = str(folder / "solutions" / course.chapter)
        began = time.time()
        seconds, most, largest = _run(way.command, folder, variables, memory=memory)
        written = (folder / "autograded").glob(f"*/{course.chapter}/*.ipynb")
        times: dict[str, list[float]] = {}
        for path in written:
            times.setdefault(path.parts[-3], []).append(path.stat().st_mtime - began)
        whole = sorted(max(each) for each in times.values() if len(each) == len(course.release))
        if len(whole) < count:
            raise CourseError(
                f"{way.name} graded {len(whole)} of {count} submissions: its log says why\n{_log(folder)}"
            )
        with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
            scores = {each.student.id: float(each.score) for each in gradebook.assignment_submissions(course.chapter)}
    return Run(count, seconds, tuple(whole), scores, most, largest)


def environment(folder: Path) -> dict[str, str]:
    """The environment of the commands: this Python's programs and this copy of the project, nobody's own settings."""
    package = Path(autograder.__file__).parent.parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOGRADER_", "JUPYTER_"))}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
        "PYTHONPATH": f"{folder}{os.pathsep}{package}",
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
    }


def _run(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], *, memory: bool = False
) -> tuple[float, float, float]:
    """Run a command to its end: wall seconds, peak PSS of its processes and largest process, in GiB."""
    most = 0
    seen: set[psutil.Process] = set()
    program = str(Path(sys.executable).parent / command[0])
    with (folder / "logs" / "bench.log").open("w", encoding="utf-8") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [program, *command[1:]], cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            while memory and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                most = max(most, _memory(process.pid, seen))
                time.sleep(POLL)
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # interrupted: nothing goes on in the background
            process.terminate()
            process.wait()
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise CourseError(f"`{' '.join(command)}` ended with status {process.returncode}:\n{_log(folder)}")
    return seconds, most / 2**30, usage.ru_maxrss / 2**20


def _memory(process: int, seen: set[psutil.Process]) -> int:
    """The bytes of a process and all its descendants, shared pages counted once; one that lost its parent counts on."""
    try:
        root = psutil.Process(process)
        seen |= {root, *root.children(recursive=True)}
    except psutil.Error:
        return 0
    total = 0
    for each in list(seen):
        try:
            total += each.memory_full_info().pss
        except psutil.Error:  # it has ended
            seen.discard(each)
    return total


def _log(folder: Path) -> str:
    lines = (folder / "logs" / "bench.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-15:])


# -- tables ----------------------------------------------------------------------------------------------------------

Rows = list[tuple[str, ...]]


def time_table(runs: Mapping[str, Run], count: int) -> Rows:
    """Wall time of `count` submissions by each way, and how many times faster than each of the two stock rows."""
    rows: Rows = [("", "measured", "wall s", "s a submission", "against stock", "against stock without exams")]
    for name, run in runs.items():
        total = run.total(count)
        measured = f"{count}" if run.submissions == count else f"{run.submissions}, extrapolated"
        ratios = (f"{runs[other].total(count) / total:.1f} ×" for other in (STOCK, BARE))
        rows.append((name, measured, f"{total:.0f}", f"{total / count:.2f}", *ratios))
    return rows


def growth_table(runs: Mapping[str, tuple[Run, Run]]) -> Rows:
    """Seconds for a further submission, in a run of few and along a run of many."""
    few, many = next((few.submissions, many.submissions) for few, many in runs.values())
    half = (few + many) // 2
    spans = [(few, 1, few), (many, 1, few), (many, few, half), (many, half, many)]
    rows: Rows = [("", *(f"{first + 1} to {last} of {of}" for of, first, last in spans), f"until the first of {many}")]
    for name, pair in runs.items():
        by_count = {run.submissions: run for run in pair}
        rates = [f"{by_count[of].further(first, last):.2f}" for of, first, last in spans]
        rows.append((name, *rates, f"{by_count[many].finished[0]:.1f}"))
    return rows


def memory_table(runs: Mapping[str, Run]) -> Rows:
    rows: Rows = [("", "submissions", "all processes, GiB", "largest process, GiB")]
    return rows + [(n, str(r.submissions), f"{r.memory:.2f}", f"{r.largest:.2f}") for n, r in runs.items()]


def machine() -> str:
    """What the figures come from, in a sentence."""
    about = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", about.read_text()) if about.exists() else None
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "nbgrader", "ipykernel", "matplotlib"))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{model.group(1) if model else 'unknown processor'}, {cores} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB of memory, {device}; "
        f"Python {sys.version.split()[0]}, {versions}; commit {commit.stdout.strip() or 'unknown'}, {date.today()}; "
        f"load before the start {os.getloadavg()[0]:.1f}."
    )


def show(console: Console, title: str, rows: Rows) -> None:
    table = Table(*rows[0], title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)
    console.print()


def as_markdown(title: str, rows: Rows) -> str:
    rule = ("---", *("---:" for _ in rows[0][1:]))
    return "\n".join([f"**{title}**", "", *(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))])


def around_figures(path: Path) -> tuple[str, str]:
    """What stands before and after a file's figures. Raises CourseError where it has no place for them."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    head, begin, rest = text.partition(MARKS[0])
    _, end, tail = rest.partition(MARKS[1])
    if not (begin and end):
        raise CourseError(f"{path} has no place for the figures: put the lines {MARKS[0]} and {MARKS[1]} into it")
    return head + begin, end + tail


# -- the command -----------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapter", nargs="?", default="ch1")
    parser.add_argument("--submissions", type=_many, default=30, metavar="N")
    parser.add_argument("--stock", type=_many, metavar="N", help="grade only N with stock nbgrader, and extrapolate")
    parser.add_argument("--bare", type=_many, default=3, metavar="N", help="as --stock, where exams fail at once")
    parser.add_argument("--jobs", type=int, default=2, help="of `autograder grade`")
    parser.add_argument("--growth", type=_many, nargs=2, default=(10, 100), metavar="N", help="how few, how many")
    parser.add_argument("--memory", type=_many, default=10, metavar="N", help="submissions of the memory's runs")
    parser.add_argument("--only", choices=["times", "growth", "memory"], nargs="*", help="not all of it")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the figures into this file, too")
    options = parser.parse_args()
    console = Console()
    try:
        return bench(options, console)
    except CourseError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1


def _many(text: str) -> int:
    if (number := int(text)) < 2:
        raise argparse.ArgumentTypeError("2 at least: the time of a further submission needs two")
    return number


def bench(options: argparse.Namespace, console: Console) -> int:
    """Measure, show the tables, and write them down."""
    few, many = options.growth
    count = options.submissions
    if few >= many:
        raise CourseError(f"--growth {few} {many}: name the smaller number first")
    if options.markdown is not None:
        around_figures(options.markdown)  # not after an hour that there is no place
    autograde = ("nbgrader", "autograde", options.chapter)
    stock, bare = Way(STOCK, autograde, stock=True), Way(BARE, autograde, stock=True, exams=False)
    ours = [Way(PLAIN, autograde)]
    if "grade" in typer.main.get_group(app).commands:
        name = f"ours, autograder grade --jobs {options.jobs}"
        ours.append(Way(name, ("autograder", "grade", options.chapter, "--jobs", str(options.jobs))))
    else:
        console.print("`autograder grade` does not exist in this version; it is left out.")
    wanted = options.only or ["times", "growth", "memory"]
    says, tables = machine(), []
    console.print(says, highlight=False, soft_wrap=True)

    with tempfile.TemporaryDirectory(prefix="bench-") as name, console.status("laying out the course") as status:

        def measure(way: Way, number: int, *, memory: bool = False) -> Run:
            status.update(f"{way.name}: {number} submissions")
            run = grade(course, way, number, memory=memory)
            mean = sum(run.scores.values()) / number
            right = sum(abs(score - course.deserved[who]) < 0.05 for who, score in run.scores.items())
            console.print(
                f"{way.name}: {number} submissions in {run.seconds:.1f} s; "
                f"{mean:.2f} points on average, {right} as they deserve{'; memory is looked at' if memory else ''}",
                highlight=False,
                soft_wrap=True,
            )
            return run

        course = Course(Path(name, "course"), options.chapter)
        sizes = {"times": [count, options.stock or count, options.bare], "growth": [many], "memory": [options.memory]}
        course.hand_in(max(size for part in wanted for size in sizes[part]))
        if "times" in wanted:
            runs = {STOCK: measure(stock, options.stock or count), BARE: measure(bare, options.bare)}
            runs |= {way.name: measure(way, count) for way in ours}
            tables.append((f"{count} submissions of {len(course.release)} notebooks", time_table(runs, count)))
        if "growth" in wanted:
            pairs = {way.name: (measure(way, few), measure(way, many)) for way in ours}
            tables.append(("Seconds for a further submission", growth_table(pairs)))
        if "memory" in wanted:
            peaks = {way.name: measure(way, options.memory, memory=True) for way in ours}
            tables.append(("Peak of memory", memory_table(peaks)))

    console.print()
    for title, rows in tables:
        show(console, title, rows)
    if options.markdown is not None:
        before, after = around_figures(options.markdown)
        text = "\n\n".join([before, says, *(as_markdown(title, rows) for title, rows in tables), after])
        options.markdown.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
