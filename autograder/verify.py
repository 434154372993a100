"""`autograder verify`: proves that a chapter's exercises grade fairly, and that the chapter is whole."""

import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from autograder.chapter import notebook_faults, read_exercises, stub_of, syllabus_faults
from autograder.devices import warm_up
from autograder.errors import CourseError
from autograder.exercise import Exercise
from autograder.proof import Proof, Survivor, prove

MAX_WORKERS = 8


@dataclass
class ChapterReport:
    """One chapter: the proof of each exercise, and what is wrong with the chapter as a whole."""

    name: str
    proofs: list[Proof] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def all_failures(self) -> list[str]:
        return [*(text for proof in self.proofs for text in proof.failures), *self.failures]


@dataclass
class Report:
    """What `autograder verify` found."""

    chapters: list[ChapterReport]
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def failures(self) -> list[str]:
        return [text for chapter in self.chapters for text in chapter.all_failures]

    @property
    def proofs(self) -> list[Proof]:
        return [proof for chapter in self.chapters for proof in chapter.proofs]


def verify_chapters(
    root: Path, chapters: Sequence[str], only: Sequence[str] | None = None, console: Console | None = None
) -> Report:
    """Prove the exercises of `chapters`, several at a time, and look at each chapter as a whole.

    Args:
        root: the course's root.
        chapters: names of folders in solutions/.
        only: slugs; what concerns a chapter as a whole is then left out.
        console: where a progress bar is shown; None for none.

    Raises:
        CourseError: there is no such chapter or exercise, or the system cannot fork.
    """
    if not hasattr(os, "fork"):
        raise CourseError("`autograder verify` needs a system that can fork processes: Linux, macOS or WSL")
    started, threads = time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(1)  # a process that has computed with several threads must not fork
    try:
        report = _verify(root, list(dict.fromkeys(chapters)), set(only or ()), console)
    finally:
        torch.set_num_threads(threads)
    report.seconds = time.monotonic() - started
    return report


def _verify(root: Path, chapters: Sequence[str], only: set[str], console: Console | None) -> Report:
    report, todo, known = Report([]), list[_Task](), set[str]()
    for name in chapters:
        folder = root / "solutions" / name
        exercises, broken, between = read_exercises(folder)
        known |= {*exercises, *broken}
        chosen = {slug: each for slug, each in exercises.items() if not only or slug in only}
        chapter = ChapterReport(name, failures=between)
        chapter.proofs = [Proof(slug, failures=[f"{slug}: {text}"]) for slug, text in broken.items()]
        chapter.proofs = [proof for proof in chapter.proofs if not only or proof.slug in only]
        whole = not only and not broken and not between
        chapter.failures += syllabus_faults(folder, chosen, everything=whole)
        chapter.failures += notebook_faults(root / "source" / name, folder, chosen, everything=whole)
        report.chapters.append(chapter)
        todo += [_Task(chapter, each) for each in chosen.values()]
    if only - known:
        raise CourseError(
            f"{', '.join(chapters)}: no exercise {', '.join(sorted(only - known))}; there are: "
            f"{', '.join(sorted(known))}"
        )
    _prove_all(todo, console)
    for chapter in report.chapters:
        chapter.proofs.sort(key=lambda proof: proof.slug)
    return report


# -- several exercises at a time -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    chapter: ChapterReport
    exercise: Exercise


def _prove_all(todo: Sequence[_Task], console: Console | None) -> None:
    """Prove each exercise in a worker that was forked with all of them: functions cannot be sent to a process."""
    ready: list[tuple[Exercise, dict[str, str]]] = []
    owners: list[ChapterReport] = []
    for task in todo:
        try:
            ready.append((task.exercise, stub_of(task.exercise)))
            owners.append(task.chapter)
        except CourseError as error:
            task.chapter.proofs.append(Proof(task.exercise.slug, failures=[str(error)]))
    if not ready:
        return
    warm_up()
    context = multiprocessing.get_context("fork")
    begun = context.SimpleQueue()
    workers = min(MAX_WORKERS, os.cpu_count() or 1, len(ready))
    with ProcessPoolExecutor(workers, context, _begin, (ready, begun)) as pool:
        futures = {pool.submit(_prove_one, index): index for index in range(len(ready))}
        try:
            for future in _watched(futures, [each.slug for each, _ in ready], begun, console):
                index = futures[future]
                owners[index].proofs.append(_proof_of(future, ready[index][0]))
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise


_ready: list[tuple[Exercise, dict[str, str]]]
_begun: Any


def _begin(ready: list[tuple[Exercise, dict[str, str]]], begun: Any) -> None:
    global _ready, _begun
    _ready, _begun = ready, begun


def _prove_one(index: int) -> Proof:
    _begun.put(index)
    return prove(*_ready[index])


def _proof_of(future: "Future[Proof]", exercise: Exercise) -> Proof:
    try:
        return future.result()
    except BrokenProcessPool:
        text = f"{exercise.slug}: a process died while it was proved: try it alone, with -e {exercise.slug}"
        return Proof(exercise.slug, exercise.objectives, failures=[text])


def _watched(
    futures: dict["Future[Proof]", int], names: Sequence[str], begun: Any, console: Console | None
) -> "Sequence[Future[Proof]]":
    """The futures in the order in which they end, under a progress bar that names what is running."""
    columns = (
        TextColumn("proving"),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    pending, ended, running = set(futures), list[Future[Proof]](), list[int]()
    with Progress(*columns, console=console, transient=True) if console is not None else nullcontext() as progress:
        bar = progress.add_task("", total=len(futures)) if progress is not None else None
        while pending:
            done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            ended += done
            while not begun.empty():
                running.append(begun.get())
            over = {futures[each] for each in ended}
            running = [index for index in running if index not in over]
            if progress is not None and bar is not None:
                shown = ", ".join(names[index] for index in running)
                progress.update(bar, completed=len(ended), description=shown)
    return ended


# -- what is shown and written -------------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print a table for each chapter, then what falls short in a sentence each, and one closing line."""
    for chapter in report.chapters:
        console.print(_table(chapter))
        _list(console, "Mutants that survive", [_reads(each) for proof in chapter.proofs for each in proof.survivors])
        _list(
            console, "Mutants waived as equivalent", [_reads(each) for proof in chapter.proofs for each in proof.waived]
        )
        _list(console, "Worth a look", [text for proof in chapter.proofs for text in proof.warnings], "yellow")
        _list(console, "Falls short", chapter.all_failures, "red")
    proofs, count = report.proofs, len(report.failures)
    names = ", ".join(chapter.name for chapter in report.chapters)
    killed, mutants = sum(proof.killed for proof in proofs), sum(proof.mutants for proof in proofs)
    exercises = "1 exercise" if len(proofs) == 1 else f"{len(proofs)} exercises"
    tail = f"{exercises}, {killed} of {mutants} mutants killed, {report.seconds:.0f} s"
    if report.passed:
        console.print(f"{names} is proved: {tail}.", style="bold green", highlight=False, soft_wrap=True)
    else:
        problems = "1 problem is" if count == 1 else f"{count} problems are"
        line = f"{names} is not proved: {problems} listed above ({tail})."
        console.print(line, style="bold red", highlight=False, soft_wrap=True)


def _table(chapter: ChapterReport) -> Table:
    caption = (
        "stub: what the blank earns · right: right answers with full marks · named: mistakes named in the exam · "
        "check: in the self-check · killed: mutants"
    )
    table = Table(
        title=chapter.name,
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("exercise", no_wrap=True)
    for heading in ("stub", "right", "named", "check", "killed", "s"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for proof in chapter.proofs:
        table.add_row(*_cells(proof), "[green]✓[/]" if proof.passed else "[red]✗[/]")
    total = Proof("all")
    for name in ("right", "right_of", "named", "mistakes", "killed", "mutants", "seconds"):
        setattr(total, name, sum(getattr(proof, name) for proof in chapter.proofs))
    checked = [proof for proof in chapter.proofs if proof.named_in_check is not None]
    named = sum(proof.named_in_check or 0 for proof in checked)
    cells = _cells(total)
    cells[4] = f"{named}/{sum(proof.mistakes for proof in checked)}"
    table.add_section()
    table.add_row(*cells, "")
    return table


def _cells(proof: Proof) -> list[str]:
    return [
        proof.slug,
        "–" if proof.stub_earns is None else f"{proof.stub_earns:.0%}",
        f"{proof.right}/{proof.right_of}",
        f"{proof.named}/{proof.mistakes}",
        "–" if proof.named_in_check is None else f"{proof.named_in_check}/{proof.mistakes}",
        f"{proof.killed}/{proof.mutants}" if proof.mutants else "–",
        f"{proof.seconds:.1f}",
    ]


def _reads(survivor: Survivor) -> str:
    """A mutant as a person reads it: where, what was written, what was written instead, and why that is no matter."""
    reason = f"\n    {survivor.reason}" if survivor.reason else ""
    return f"{survivor.where}\n    - {survivor.before}\n    + {survivor.after}{reason}"


def _list(console: Console, heading: str, lines: Sequence[str], style: str = "") -> None:
    if lines:
        console.print(Text(f"\n{heading}", style=f"bold {style}".strip()))
        for line in lines:
            console.print(Text(f"  {line}"), soft_wrap=True)


def write_json(report: Report, path: Path) -> None:
    """Write all that was found to a file, as JSON."""
    data = {
        "passed": report.passed,
        "seconds": round(report.seconds, 1),
        "chapters": [
            {
                "name": chapter.name,
                "failures": chapter.failures,
                "exercises": [{**asdict(proof), "passed": proof.passed} for proof in chapter.proofs],
            }
            for chapter in report.chapters
        ],
    }
    try:
        path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CourseError(f"{path} cannot be written ({error.strerror}): name another file with --json") from None
