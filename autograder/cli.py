"""The command line: `autograder verify | sync | new | demo | grade`. Each command is one call."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from autograder.errors import AutograderError
from autograder.version import VERSION

app = typer.Typer(
    help="Autograded exercises on top of nbgrader: what authors and instructors need besides its own commands.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console()
errors = Console(stderr=True, style="bold red")

Root = Annotated[Path, typer.Option("--root", help="The course's root: the folder of nbgrader_config.py.")]


@app.command()
def verify(
    chapters: Annotated[list[str], typer.Argument(help="Chapters to prove, such as: ch1 ch2")],
    exercise: Annotated[list[str] | None, typer.Option("--exercise", "-e", help="Only these exercises.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the table to this file.")] = None,
    root: Root = Path(),
) -> None:
    """Prove that exercises grade fairly: stubs earn nothing, right answers all, every mistake is named, mutants die."""
    from autograder.verify import show, verify_chapters, write_json

    report = verify_chapters(root, chapters, only=exercise, console=console)
    show(report, console)
    if json_file is not None:
        write_json(report, json_file)
    raise typer.Exit(0 if report.passed else 1)


@app.command()
def sync(
    chapters: Annotated[list[str] | None, typer.Argument(help="Chapters; all when none is named.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail when something is stale.")] = False,
    root: Root = Path(),
) -> None:
    """Write model answers and points from the exercise files into the source notebooks, and docs/syllabus.md anew."""
    from autograder.curriculum import sync_curriculum
    from autograder.sync import sync_chapters

    stale = sync_chapters(root, chapters, write=not check)
    stale += sync_curriculum(root, write=not check)
    for line in stale:
        console.print(line, highlight=False)
    if check and stale:
        errors.print("Stale: run `autograder sync`.")
        raise typer.Exit(1)
    console.print("Everything is up to date." if not stale else f"{len(stale)} places rewritten.")


@app.command()
def new(
    chapter: Annotated[str, typer.Argument(help="The chapter, such as ch1.")],
    slug: Annotated[str, typer.Argument(help="The exercise's name, such as attention_distance.")],
    notebook: Annotated[str | None, typer.Option(help="The notebook that gets its cells.")] = None,
    root: Root = Path(),
) -> None:
    """Scaffold an exercise: a file that `verify` accepts as a start, and its cells at the end of a notebook."""
    from autograder.scaffold import scaffold

    for path in scaffold(root, chapter, slug, notebook):
        console.print(f"written: {path}", highlight=False)
    console.print(f"Next: fill in the file, then run `autograder sync {chapter}` and `autograder verify {chapter}`.")


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo course is laid out; it is made anew.")] = Path("demo"),
    chapter: Annotated[str, typer.Option(help="The chapter that the class hands in.")] = "ch1",
    language: Annotated[str, typer.Option(help="The course's language: en or ja.")] = "en",
    root: Root = Path(),
) -> None:
    """Lay out a demo class, grade it with plain nbgrader commands, and show who got what and why."""
    from autograder.demo import run_demo

    run_demo(root, folder, chapter, language, console)


@app.command()
def grade(
    assignment: Annotated[str, typer.Argument(help="The assignment, such as ch1.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Submissions at a time; by default one a processor.")] = None,
    students: Annotated[
        list[str] | None, typer.Option(help="Only these student ids, with commas between them; can be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Grade again what was graded.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Only go on with the run that was interrupted.")] = False,
    root: Root = Path(),
) -> None:
    """Grade a class's submissions side by side; the gradebook is that of `nbgrader autograde`."""
    from autograder.kernels.warm import available, nursery

    if available():
        nursery()  # it imports what kernels need while this process does
    # jsonschema compiles this grammar, for seconds, if it can be imported; no schema of a notebook asks for it
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from autograder.grade import grade_class

    raise typer.Exit(
        grade_class(root, assignment, console, students=students or (), jobs=jobs, force=force, resume=resume)
    )


@app.command()
def doctor(root: Root = Path()) -> None:
    """Show how well submissions can be confined on this machine, and what the configuration requires."""
    from autograder.doctor import examine_machine, show

    health = examine_machine(root)
    show(health, console)
    raise typer.Exit(1 if health.missing else 0)


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        console.print(f"autograder {VERSION}", highlight=False)
        raise typer.Exit


def run() -> None:
    """The entry point: errors that are meant for people are one sentence, not a traceback."""
    try:
        app()
    except AutograderError as error:
        errors.print(str(error), highlight=False, markup=False)
        raise SystemExit(1) from None


if __name__ == "__main__":
    run()
