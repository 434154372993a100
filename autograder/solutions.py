"""Reads exercise files: the folder is scanned, there is no central list. The trusted side only."""

import importlib.util
import re
import sys
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType

from autograder.errors import CourseError
from autograder.exercise import Exercise

CONFIG = "nbgrader_config.py"  # the file whose folder is a course's root
SLUG = re.compile(r"[a-z][a-z0-9_]*")


def load_chapter(folder: Path) -> dict[str, Exercise]:
    """All exercises of a chapter by slug, in the order of their names.

    Raises:
        CourseError: a file cannot be imported, is incomplete, or two files give an answer the same name.
    """
    return dict(_load_chapter(folder.resolve(), _stamp(folder)))


def load_exercise(path: Path) -> Exercise:
    """The exercise of one file. Raises CourseError with a sentence that names the file and what to do."""
    if not SLUG.fullmatch(path.stem):
        raise CourseError(f"{short_path(path)}: the file's name is the exercise's name: use only a-z, 0-9 and _")
    exercise = getattr(_import(path), "exercise", None)
    if not isinstance(exercise, Exercise):
        raise CourseError(f"{short_path(path)}: it defines no `exercise = Exercise(...)`: add one")
    exercise.slug, exercise.path = path.stem, path
    problems = exercise.problems()
    if problems:
        raise CourseError(f"{short_path(path)}: {'; '.join(problems)}")
    return exercise


def _stamp(folder: Path) -> tuple[tuple[str, int], ...]:
    """What makes a second reading necessary: names and times of the files."""
    if not folder.is_dir():
        raise CourseError(f"{short_path(folder)} is not a folder: exercises are looked for in solutions/<chapter>/")
    paths = sorted(folder.glob("*.py"))
    return tuple((str(path.resolve()), path.stat().st_mtime_ns) for path in paths if path.name != "__init__.py")


@cache
def _load_chapter(folder: Path, stamp: tuple[tuple[str, int], ...]) -> dict[str, Exercise]:
    chapter: dict[str, Exercise] = {}
    owners: dict[str, str] = {}
    for path, _ in stamp:
        exercise = load_exercise(Path(path))
        for name in {exercise.slug: None, **exercise.answers}:  # check("name") takes either
            if name in owners:
                raise CourseError(
                    f"{short_path(Path(path))}: the name {name} is taken by {owners[name]}.py: rename one of the two"
                )
            owners[name] = exercise.slug
        chapter[exercise.slug] = exercise
    return chapter


def _import(path: Path) -> ModuleType:
    name = f"autograder_solutions.{path.parent.name}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CourseError(f"{short_path(path)} cannot be imported as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # inspect and dataclasses look the module up by name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
        line = error.lineno if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
        at = f" (line {line})" if line else ""
        says = " ".join(str(error).split())
        raise CourseError(
            f"{short_path(path)} cannot be imported{at}: {type(error).__name__}: {says}: mend it"
        ) from None
    return module


def short_path(path: Path) -> str:
    """The path as the author knows it: from `solutions/` on."""
    parts = path.resolve().parts
    return str(Path(*parts[parts.index("solutions") :])) if "solutions" in parts else str(path)
