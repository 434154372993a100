"""A chapter as a whole: which exercise files can be read, and whether syllabus, exercises and notebooks agree."""

from collections.abc import Mapping
from pathlib import Path

import nbformat

from autograder.errors import CourseError
from autograder.exercise import ConceptQuestion, Exercise
from autograder.notebook import read_notebook
from autograder.release import exam_slugs, exercises_of
from autograder.solutions import load_chapter, load_exercise
from autograder.syllabus import FILE, read_syllabus


def read_exercises(folder: Path) -> tuple[dict[str, Exercise], dict[str, str], list[str]]:
    """Every exercise of a chapter that can be read, and what is wrong with the others.

    Returns:
        the exercises by slug, a sentence for each file that cannot be read, and what is wrong between the files.
    """
    try:
        return load_chapter(folder), {}, []
    except CourseError as error:
        found: dict[str, Exercise] = {}
        broken: dict[str, str] = {}
        for path in sorted(path for path in folder.glob("*.py") if path.name != "__init__.py"):
            try:
                found[path.stem] = load_exercise(path)
            except CourseError as why:
                broken[path.stem] = str(why)
        if not found and not broken:
            raise
        return found, broken, [] if broken else [str(error)]


def syllabus_faults(folder: Path, exercises: Mapping[str, Exercise], *, everything: bool) -> list[str]:
    """What the syllabus and the exercises' objectives say against each other, a sentence each.

    Args:
        folder: the chapter's exercise files.
        exercises: the exercises to look at.
        everything: whether these are all, so that every objective must be met by one of them.
    """
    try:
        syllabus = read_syllabus(folder)
    except CourseError as error:
        return [str(error)]
    name, met = f"solutions/{folder.name}/{FILE}", set[str]()
    faults = []
    for slug, exercise in exercises.items():
        met.update(exercise.objectives)
        faults += [
            f"{slug}: its objective {objective!r} is not in {name}: add it there, or mend the exercise's objectives"
            for objective in exercise.objectives
            if objective not in syllabus.objectives
        ]
    if everything:
        faults += [
            f"{folder.name}: no exercise meets the objective {number} ({text.en}): "
            f"add one with objectives=[{number!r}], or take the objective out of {name}"
            for number, text in syllabus.objectives.items()
            if number not in met
        ]
    return faults


def notebook_faults(source: Path, folder: Path, exercises: Mapping[str, Exercise], *, everything: bool) -> list[str]:
    """What is wrong about the exam cells in the chapter's source notebooks; nothing where there are no notebooks."""
    paths = sorted(source.glob("*.ipynb"))
    faults: list[str] = []
    places: dict[str, list[str]] = {}
    for path in paths:
        name = f"source/{source.name}/{path.name}"
        try:
            nb = read_notebook(path)
        except CourseError as error:
            return [str(error)]
        for slug in exam_slugs(nb):
            places.setdefault(slug, []).append(path.name)
        if everything:
            try:
                exercises_of(nb, name, folder)
            except CourseError as error:
                faults.append(str(error))
    if not paths:
        return []
    for slug in exercises:
        found = places.get(slug, [])
        if not found:
            faults.append(
                f"{slug}: no notebook in source/{source.name} has its exam cell: "
                f"run `autograder new {source.name} {slug} --notebook NAME`, or add a graded cell of that grade_id"
            )
        elif len(found) > 1:
            faults.append(f"{slug}: there are {len(found)} exam cells ({', '.join(found)}): keep one")
    return faults


def stub_of(exercise: Exercise) -> dict[str, str]:
    """The source of each answer's cell in a release, made as nbgrader makes it. Raises CourseError where it cannot."""
    from autograder.preprocessors.release import QUESTION_TAG, ClearBlanks  # nbgrader takes seconds to load

    clear, resources = ClearBlanks(), {"language": "python"}
    cleared = {}
    for answer, source in exercise.blank().items():
        tags = [QUESTION_TAG] if isinstance(exercise, ConceptQuestion) else []
        mark = {"grade": False, "solution": True, "locked": False, "grade_id": exercise.cell_id(answer)}
        cell = nbformat.v4.new_code_cell(source, metadata={"nbgrader": mark, "tags": tags})
        try:
            cell, _ = clear.preprocess_cell(cell, resources, 0)
        except RuntimeError as error:
            raise CourseError(f"{exercise.slug}: {answer} cannot be blanked: {error}: mend its marks") from None
        cleared[answer] = cell.source
    return cleared
