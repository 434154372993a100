"""`autograder grade`: a class's submissions graded side by side, as `nbgrader autograde` grades them one by one.

This process plans, hands out, writes the journal and shows how far it is; `autograder.worker` grades. It starts no
threads, so that it can fork a new worker at any time.
"""

import contextlib
import glob
import os
import re
import time
import unicodedata
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from autograder.errors import CourseError
from autograder.intake import Limits, expected_notebooks, faults
from autograder.journal import Journal, Past, keep_timings, locked
from autograder.preprocessors import SubmissionExporter
from autograder.solutions import CONFIG
from autograder.worker import LOGS, Graded, Ready, Setup, Worker, load_course, log_name, prepare, stop

FOLDER = "grading"
_TICK = 0.2  # seconds between two looks at the clock
_STILLBORN = 3  # workers that end before they are ready, until the run is given up
INTERRUPTED = 130  # the status of a command that Ctrl-C ended


def grade_class(
    root: Path,
    assignment: str,
    console: Console,
    *,
    students: Iterable[str] = (),
    jobs: int | None = None,
    force: bool = False,
    resume: bool = False,
) -> int:
    """Grade an assignment's submissions that are not graded yet, or are newer than what was graded.

    Args:
        root: the course's root, the folder of nbgrader_config.py.
        assignment: such as "ch1".
        console: where progress is shown.
        students: only these; all when empty.
        jobs: submissions at a time; by default, as many as there are processors for this process.
        force: grade again what was graded.
        resume: only go on with the run that was interrupted.

    Returns:
        The command's status: 0 when each of them has a score, 1 when some have not, 130 after a Ctrl-C.

    Raises:
        CourseError: nothing could be graded; the sentence says why.
    """
    if resume and (force or students):
        raise CourseError("--resume goes on with the interrupted run as it was: leave out --force and --students")
    root = root.resolve()
    if not (root / CONFIG).is_file():
        raise CourseError(f"{CONFIG} is not in {root}: name the course's root with --root")
    if not _is_name(assignment):
        raise CourseError(f"{assignment!r} is not the name of an assignment, such as ch1")
    try:
        with contextlib.chdir(root):  # as for nbgrader, relative paths in the configuration are the course's
            course = Course(root, assignment)
            wanted = course.named(list(students))
            return _grade(course, wanted, jobs or _processors(), force or course.force, resume, console)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        told = f"{place}{error.strerror or error}"
        raise CourseError(f"{told}: once that is put right, the same command goes on; nothing is lost") from None


def _grade(course: "Course", wanted: list[str], jobs: int, force: bool, resume: bool, console: Console) -> int:
    folder = course.root / FOLDER / course.assignment
    (folder / LOGS).mkdir(parents=True, exist_ok=True)
    with locked(folder.parent) as scratch:
        journal = Journal(folder)
        past = journal.read()
        if resume and past.ended:
            raise CourseError(f"there is no interrupted run of {course.assignment} to go on with: leave out --resume")
        plan = _plan(course, wanted, past, force=force, resume=resume)
        table = keep_timings(folder, past.done)
        if plan.todo:
            prepare(course.app)
        run = Run(plan, Setup(course.root, course.assignment, folder, scratch), journal, Report(console, plan))
        try:
            run.go(jobs)
        except KeyboardInterrupt:
            done = len(plan.finished) + len(run.graded)
            run.report.say(f"Stopped: {done} of {len(plan.students)} are graded; the same command goes on.")
            return INTERRUPTED
        finally:
            run.report.close()
            journal.close()
            keep_timings(folder, run.graded)
        _summarize(run, table)
    return 1 if run.failed or (plan.aside and not plan.todo) else 0


# -- what there is to do ---------------------------------------------------------------------------------------------


def _is_name(text: str) -> bool:
    """Whether it can be the name of a folder in a folder."""
    return bool(text.strip()) and text not in (".", "..") and not any(c in text for c in ("/", os.sep, "\0"))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Course:
    """What was handed in for an assignment, seen through nbgrader's configuration.

    Raises:
        CourseError: nothing was handed in, or the assignment was not generated.
    """

    def __init__(self, root: Path, assignment: str) -> None:
        self.app = app = load_course(root, assignment)
        self._about: CourseDirectory = app.coursedir
        self.root, self.assignment = Path(self._about.root), assignment
        self.force: bool = Autograde(coursedir=self._about, parent=app).force
        self._notebooks = expected_notebooks(self._about)
        limits = SubmissionExporter(config=app.config)
        self._limits = Limits(limits.max_files, limits.max_megabytes, limits.max_notebook_megabytes)
        self.submissions = self._find()  # a folder for each student

    def _find(self) -> dict[str, Path]:
        """What nbgrader would grade, in its order, and files in the place of folders."""
        about, step = self._about, self._about.submitted_directory
        pattern = about.format_path(step, about.student_id, self.assignment)
        regexp = about.format_path(step, "(?P<student>.*)", "(?P<assignment>.*)", escape=True)
        files = [p for p in glob.glob(os.path.dirname(pattern)) if not os.path.isdir(p)]
        found = {}
        for path in sorted([*glob.glob(pattern), *(os.path.join(p, self.assignment) for p in files)]):
            match = re.fullmatch(regexp, path, re.DOTALL)
            if match and match["student"] not in about.student_id_exclude.split(","):
                found[match["student"]] = Path(path)
        if not found:
            raise CourseError(f"there are no submissions at {pattern}: put them there, or collect them, first")
        return found

    def named(self, students: Sequence[str]) -> list[str]:
        """The students that were named, several in one text with commas; all when none was."""
        if not students:
            return list(self.submissions)
        # an id that holds a comma can be named by itself
        names = [each for text in students for each in ([text] if text in self.submissions else text.split(","))]
        for name in names:
            if not _is_name(name):
                raise CourseError(f"{name!r} is not a student id")
            if name not in self.submissions:
                raise CourseError(f"there is no submission of {name!r} for {self.assignment}")
        return list(dict.fromkeys(names))

    def is_new(self, student: str) -> bool:
        """Whether nbgrader would grade a submission: it is not graded yet, or newer than what was graded."""
        about, source = self._about, self.submissions[student]
        graded = Path(about.format_path(about.autograded_directory, student, self.assignment))
        if about.notebook_id == "*":
            here = [graded]
        else:
            here = [graded / Path(p).name for p in glob.glob(f"{glob.escape(str(source))}/{about.notebook_id}.ipynb")]
        if not all(path.exists() for path in here):
            return True
        try:
            new, old = about.get_existing_timestamp(str(source)), about.get_existing_timestamp(str(graded))
        except Exception:  # nbgrader stumbles over a damaged one: it is told when the submission is looked at
            return True
        return new is not None and old is not None and new > old

    def fault(self, student: str) -> str | None:
        """Why a submission cannot be given to nbgrader, or None."""
        return faults(self.submissions[student], self._notebooks, self._limits)


@dataclass(frozen=True)
class Plan:
    """Who is graded in a run."""

    todo: list[str]
    finished: list[str]  # graded before the run was interrupted
    aside: dict[str, str]  # what cannot be graded, with the reason
    must: set[str]  # whose grading was not finished, or is meant anew: whatever is in autograded/ does not count
    skipped: int  # graded already

    @property
    def students(self) -> list[str]:
        return [*self.finished, *self.todo]


def _plan(course: Course, wanted: list[str], past: Past, *, force: bool, resume: bool) -> Plan:
    everybody = wanted == list(course.submissions)
    if resume:
        wanted = [student for student in wanted if student in past.students and student not in past.graded]
    due = past.due & set(course.submissions)
    chosen = [student for student in wanted if force or resume or student in due or course.is_new(student)]
    reasons = {student: course.fault(student) for student in chosen}
    todo = [student for student, reason in reasons.items() if reason is None]
    goes_on = everybody and not past.ended and not force
    return Plan(
        todo=todo,
        finished=[s for s in past.students if s in past.graded and s not in todo] if goes_on else [],
        aside={student: reason for student, reason in reasons.items() if reason is not None},
        must=due | set(todo) if force else due,
        skipped=len(wanted) - len(chosen),
    )


# -- the run ---------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """The submissions of a plan, handed out to workers."""

    plan: Plan
    setup: Setup
    journal: Journal
    report: "Report"
    graded: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # with their timings
    failed: dict[str, str] = field(default_factory=dict)  # with the reason
    _workers: list[Worker] = field(default_factory=list)
    _suspects: list[str] = field(default_factory=list)  # to be tried once more
    _suspected: set[str] = field(default_factory=set)
    _stillborn: int = 0

    def go(self, jobs: int) -> None:
        """Grade them all.

        What a killed worker had is tried once more when all others are done, by itself, so that there is all the
        memory for it.

        Raises:
            CourseError: no worker can grade anything.
        """
        try:
            if self.plan.finished and not self.plan.todo:
                self._start_journal()  # all was done but for the last line
            self._hand_out(self.plan.todo, jobs)
            suspects, self._suspects = self._suspects, []
            stop(self._workers[1:], now=False)
            del self._workers[1:]
            self._hand_out(suspects, 1)
            stop(self._workers, now=False)
        finally:
            stop(self._workers, now=True)
        if self.journal.started:
            self.journal.end()

    def _hand_out(self, students: Iterable[str], jobs: int) -> None:
        queue = deque(students)
        while queue or any(worker.student is not None for worker in self._workers):
            while len(self._workers) < min(jobs, len(queue) + sum(not w.waited_for for w in self._workers)):
                self._workers.append(Worker(self.setup))
            for worker in self._workers:
                if queue and not worker.waited_for:
                    self._start_journal()
                    self.journal.begin(queue[0])
                    worker.give(queue.popleft())
            self.report.tick()
            lines = {worker.line: worker for worker in self._workers if worker.waited_for}
            for line in wait(list(lines), _TICK):
                self._take(lines[line])  # type: ignore[index]

    def _start_journal(self) -> None:
        """Begin the new journal with the first submission, so that a run that could not start leaves the old one."""
        if not self.journal.started:
            self.journal.start(self.plan.students, self.plan.finished, self.plan.must)

    def _take(self, worker: Worker) -> None:
        student = worker.student
        match worker.receive():
            case None:
                self._workers.remove(worker)
                worker.line.close()
                self._mourn(worker, student)
            case Ready(problem=str(problem)):
                raise CourseError(problem)
            case Graded() as result:
                if result.problem is None:
                    self.journal.done(result.student, result.score, result.points, result.seconds, result.timings)
                    self.graded[result.student] = result.timings
                else:
                    self.failed[result.student] = result.problem
                self.report.finished(result)

    def _mourn(self, worker: Worker, student: str | None) -> None:
        """A worker was killed, or ended by itself."""
        how = worker.how_it_ended
        if student is None:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN:
                log = self.setup.folder / LOGS / "workers.log"
                raise CourseError(f"the processes that grade end before they begin: the last one {how}; see {log}")
        elif student in self._suspected:
            self.failed[student] = f"the process that graded it {how}, and so did a second one"
            self.report.finished(Graded(student, 0.0, problem=self.failed[student]))
        else:
            self._suspected.add(student)
            self._suspects.append(student)
            self.report.say(f"{shown(student)}: the process that graded it {how}; it is tried again at the end")


# -- what is shown ---------------------------------------------------------------------------------------------------


class Report:
    """A line for each submission, and on a terminal a bar with count, rate and time left below them."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self._console, self._total, self._count = console, len(plan.todo), 0
        self._width = max((len(shown(student)) for student in plan.todo), default=0)
        self._began = time.monotonic()
        self._progress: Progress | None = None
        if plan.finished:
            self.say(
                f"Going on with the run that was interrupted: {len(plan.finished)} of {len(plan.students)} are done."
            )
        if console.is_terminal and plan.todo:
            rate, left = TextColumn("{task.fields[rate]}"), TimeRemainingColumn()
            columns = (BarColumn(), MofNCompleteColumn(), rate, TimeElapsedColumn(), TextColumn("left:"), left)
            # it refreshes by hand, because a thread would not go with forking
            self._progress = Progress(*columns, console=console, auto_refresh=False, speed_estimate_period=3600)
            self._task = self._progress.add_task("", total=self._total, rate="")
            self._progress.start()

    def tick(self) -> None:
        if self._progress is not None:
            self._progress.update(self._task, rate=self.rate if self._count else "")
            self._progress.refresh()

    def finished(self, result: Graded) -> None:
        self._count += 1
        if result.problem is None:
            score = f"{round(result.score, 2):g} of {round(result.points, 2):g}"
        else:
            score = f"not graded: {shown(result.problem)}"
        place = "" if self._progress is not None else f"[{self._count}/{self._total}] "
        if self._progress is not None:
            self._progress.advance(self._task)
        self.say(f"{place}{shown(result.student):<{self._width}}  {score}  {result.seconds:.1f} s")

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def rate(self) -> str:
        return f"{60 * self._count / max(self.seconds, 0.001):.0f}/min"

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()


def shown(text: str) -> str:
    """Text that cannot move a terminal's cursor, on one line."""
    bad = ("Cc", "Cs", "Cf", "Zl", "Zp")
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in bad else c for c in text)[:500]


def _summarize(run: Run, table: Path) -> None:
    plan, say = run.plan, run.report.say
    if not plan.todo and not plan.aside:
        say(f"Nothing to do: {plan.skipped} submissions are graded already; --force grades them again.")
        return
    before = f"; {plan.skipped} were graded before" if plan.skipped else ""
    say(f"Graded {len(run.graded)} of {len(plan.todo)} in {run.report.seconds:.0f} s, {run.report.rate}{before}.")
    if run.failed:
        logs = ", ".join(log_name(student) for student in run.failed)
        say(f"Failed, and graded again by the next run (logs in {table.parent / LOGS}: {logs}):")
    for student, reason in run.failed.items():
        say(f"  {shown(student)}: {shown(reason)}")
    if plan.aside:
        say("Set aside, and not graded:")
    for reason in plan.aside.values():
        say(f"  {shown(reason)}")
    say(f"Seconds by exercise: {table}")
