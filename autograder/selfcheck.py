"""The student's side: `start`, `check` and `progress` in a notebook, and `exam`, which the grader's copy calls.

A notebook's first code cell calls `start("<notebook>")`, which reads the checks file beside it.
"""

import os
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import torch

from autograder.checksfile import FORMAT, SUFFIX, Checks, OtherVersion, unpack
from autograder.errors import CheckFailed, CourseError, DataError
from autograder.judge import judge
from autograder.key import Key, as_sent, make_key
from autograder.messages import CHECK, PROGRESS, VERDICT
from autograder.render import as_mimebundle, as_progress
from autograder.runners import run, standing_in
from autograder.text import LANGUAGES, Text
from autograder.verdict import CaseVerdict, Finding, Verdict, carried

IN_PROCESS = "AUTOGRADER_IN_PROCESS"  # a folder of exercise files: allows `exam` to judge in the notebook's own process


class Session:
    """One notebook's self-checks: what `start` found, and why there are none where it found nothing."""

    def __init__(self, name: str, checks: Checks | None, problem: Text | None, language: str) -> None:
        self.name, self.checks, self.problem, self.language = name, checks, problem, language

    @classmethod
    def open(cls, name: str, folder: Path, language: str | None) -> "Session":
        """Read `<name>.checks` in `folder`; an author's own folder is served from the exercise files instead."""
        path = folder / f"{name}{SUFFIX}"
        known = language if language in LANGUAGES else None
        try:
            if not path.exists() and (chapter := exercise_folder(folder)) is not None:
                from autograder.release import checks_of  # the author's side only

                checks = checks_of(folder / f"{name}.ipynb", chapter, known or "en")
            else:
                checks = unpack(path.read_bytes())
            return cls(name, checks, None, known or checks.language)
        except OtherVersion as error:
            problem = CHECK["other_version"].format(file=path.name, theirs=error.theirs, ours=FORMAT)
        except DataError:
            problem = CHECK["damaged_file"].format(file=path.name)
        except OSError:
            problem = CHECK["missing_file"].format(file=path.name)
        return cls(name, None, problem, known or "en")

    def opened(self) -> Checks:
        """The checks that were read. Raises CheckFailed with the reason where there are none."""
        if self.checks is None:
            raise CheckFailed((self.problem or CHECK["not_started"]).pick(self.language))
        return self.checks

    def key_of(self, name: str) -> Key:
        checks = self.opened()
        key = checks.of(name)
        if key is None:
            known = ", ".join(answer for key in checks.keys.values() for answer in key.answers)
            raise CheckFailed(CHECK["unknown"].format(name=name, known=known).pick(self.language))
        return key


_session = Session("", None, None, "en")


def start(name: str, language: str | None = None) -> None:
    """Read the checks of the notebook `name`; `language` ("en" or "ja") overrides the course's."""
    global _session
    _session = Session.open(name, Path.cwd(), language)
    _explain_missing_names()
    if _session.problem is not None:
        _show({"text/plain": _session.problem.pick(_session.language)})
    if language is not None and language not in LANGUAGES:
        fields = {"found": repr(language), "choices": ", ".join(map(repr, LANGUAGES)), "used": repr(_session.language)}
        _show({"text/plain": CHECK["no_language"].format(**fields).pick(_session.language)})


def check(*answers: Callable[..., Any] | str) -> None:
    """Compare answers with what is expected on the visible cases, and show what is wrong.

    Args:
        answers: the functions or classes of one exercise, or its name as a string.

    Raises:
        CheckFailed: one quiet line, after the verdict was shown, unless all is right. `nbgrader validate` counts it.
    """
    if not answers:
        name = next((name for key in _session.opened().keys.values() for name in key.answers), "f")
        raise CheckFailed(CHECK["nothing_named"].format(name=name).pick(_session.language))
    names = [answer if isinstance(answer, str) else _name_of(answer) for answer in answers]
    for key in dict.fromkeys(_session.key_of(name).sheet.slug for name in names):
        verdict = judge_here(_session.key_of(key), _namespace())
        _show(as_mimebundle(verdict, _session.language))
        grading = os.environ.get("NBGRADER_EXECUTION") == "autograde"
        if verdict.status not in ("right", "recorded") and not grading:
            raise CheckFailed(verdict.summary().pick(_session.language))


def _name_of(answer: Any) -> str:
    """The exercise's name for an answer: the variable that holds it (it may be a lambda), or what it calls itself."""
    namespace = _namespace()
    known = [name for key in (_session.checks.keys.values() if _session.checks else ()) for name in key.answers]
    itself = getattr(answer, "__name__", repr(answer))
    return next((name for name in known if namespace.get(name) is answer), str(itself))


def judge_here(key: Key, namespace: MutableMapping[str, Any]) -> Verdict:
    """Run the answers in this process and judge them by `key`; with the stand-ins too, where that is better."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are tiny: waking other threads costs more than the work
    try:
        return _judge_here(key, namespace)
    finally:
        torch.set_num_threads(threads)


def _judge_here(key: Key, namespace: MutableMapping[str, Any]) -> Verdict:
    if key.form is not None and not key.trials:
        outcome = run(key.form, namespace)
        found = (Finding.of_failure(outcome["failure"]),) if "failure" in outcome else ()
        cases = (CaseVerdict(key.sheet.title, True, 0.0, found),) if found else ()
        return Verdict(key.sheet.slug, key.sheet.title, key.sheet.points, cases)
    verdict = judge(key.sheet, [as_sent(run(trial, namespace)) for trial in key.trials])
    if key.stand_ins and verdict.fraction < 1:
        with standing_in(namespace, key.stand_ins):
            helped = judge(key.sheet, [as_sent(run(trial, namespace)) for trial in key.trials])
        verdict = carried(verdict, helped, key.stand_ins)
    return verdict


def progress() -> None:
    """Show the notebook as a picture: which exercises are right, and which objectives are met."""
    checks, language, namespace = _session.opened(), _session.language, _namespace()
    verdicts = {slug: judge_here(key, namespace) for slug, key in checks.keys.items()}
    rows = [
        {
            "title": verdict.title.pick(language),
            "status": verdict.status,
            "says": VERDICT[verdict.status].pick(language),
            "share": verdict.fraction if not verdict.nothing_to_judge else 0.0,
        }
        for verdict in verdicts.values()
    ]
    called = checks.objectives
    objectives = [
        {
            "name": f"{objective} {called[objective].pick(language)}" if objective in called else objective,
            "met": all(verdicts[slug].status in ("right", "recorded") for slug in slugs),
        }
        for objective, slugs in _by_objective(checks).items()
    ]
    done, recorded = (sum(row["status"] == status for row in rows) for status in ("right", "recorded"))
    words = {key: text.pick(language) for key, text in PROGRESS.items() if key not in ("counted", "recorded")}
    words["counted"] = PROGRESS["counted"].format(done=done, total=len(rows)).pick(language)
    if recorded:  # whether these are right is told after the exam
        words["counted"] += PROGRESS["recorded"].format(recorded=recorded).pick(language)
    lines = [words["counted"], *(f"{row['says']}: {row['title']}" for row in rows)]
    _show({"text/plain": "\n".join(lines), "text/html": as_progress(rows, objectives, words)})


def exam(slug: str) -> float:
    """Where an exam stands in a notebook. The grader judges it from outside and never calls this.

    In an author's own notebook, or where the variable AUTOGRADER_IN_PROCESS names a folder of exercise files, it judges
    here, without protection, and returns the marks. Anywhere else it fails with one line, so that a grader who was not
    set up gives no marks rather than all.
    """
    allowed = os.environ.get(IN_PROCESS)
    folder = Path(allowed) if allowed else exercise_folder(Path.cwd())
    if folder is None:
        raise CheckFailed(CHECK["exam_outside"].format(name=slug).pick(_session.language))
    from autograder.solutions import load_chapter

    chapter = load_chapter(folder)
    if slug not in chapter:
        raise CourseError(f"{folder}/{slug}.py does not exist: exam({slug!r}) has nothing to judge by")
    verdict = judge_here(make_key(chapter[slug], seed=0), _namespace())
    _show(as_mimebundle(verdict, _session.language))
    return verdict.score


def exercise_folder(folder: Path) -> Path | None:
    """The exercise files that belong to an author's folder `source/<chapter>`; None on anybody else's machine."""
    chapter = folder.parent.parent / "solutions" / folder.name
    return chapter if folder.parent.name == "source" and chapter.is_dir() else None


def _by_objective(checks: Checks) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for slug, key in checks.keys.items():
        for objective in key.objectives:
            found.setdefault(objective, []).append(slug)
    return dict(sorted(found.items()))


def _namespace() -> MutableMapping[str, Any]:
    """The notebook's variables; the main module's outside a notebook."""
    shell = _shell()
    return shell.user_ns if shell is not None else vars(sys.modules["__main__"])


def _shell() -> Any:
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def _show(bundle: dict[str, Any]) -> None:
    if _shell() is None:
        print(bundle["text/plain"])
        return
    from IPython.display import display

    display(bundle, raw=True)  # type: ignore[no-untyped-call]


def _explain_missing_names() -> None:
    """`check(f)` before the cell of `f` was run: Python's NameError becomes a sentence that says which cell to run."""
    shell = _shell()
    if shell is None or _session.checks is None:
        return
    answers = {name for key in _session.checks.keys.values() for name in key.answers}
    language = _session.language

    def explain(shell: Any, kind: type, error: NameError, trace: Any, tb_offset: int | None = None) -> list[str]:
        if error.name in answers:
            lines = [CHECK["run_first"].format(name=error.name).pick(language)]
        else:
            lines = shell.InteractiveTB.structured_traceback(kind, error, trace, tb_offset=tb_offset)
        shell._showtraceback(kind, error, lines)
        return lines

    shell.set_custom_exc((NameError,), explain)
