"""What tests of `autograder grade` share: to run it as a user does, and to compare what it leaves."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from nbgrader.api import Base
from sqlalchemy import create_engine, text

MARK = "AUTOGRADER_TEST_RUN"  # an environment variable that kernels are shown, too


def start(course: Path, *arguments: str, chapter: str = "toy", mark: str = "") -> subprocess.Popen[str]:
    """`autograder grade` as a user starts it, in a process group of its own as in a terminal."""
    environment = {**os.environ, "PYTHONPATH": pythonpath(course), "PYTHONWARNINGS": "ignore", MARK: mark}
    command = [sys.executable, "-m", "autograder.cli", "grade", chapter, "--root", str(course), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command,
        cwd="/",
        env=environment,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # a shell has what it starts in the background ignore Ctrl-C, the tests included
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def pythonpath(course: Path) -> str:
    """The course's own modules before what is there already."""
    return os.pathsep.join([str(course / "lib"), *filter(None, [os.environ.get("PYTHONPATH")])])


def run(course: Path, *arguments: str, status: int = 0, chapter: str = "toy", mark: str = "") -> str:
    """Run `autograder grade` to its end; returns what it printed."""
    process = start(course, *arguments, chapter=chapter, mark=mark)
    said, _ = process.communicate(timeout=900)
    assert process.returncode == status, said
    assert "Traceback" not in said
    return said


def gradebook(course: Path) -> dict[str, list[str]]:
    """All rows of the gradebook by table, with what they refer to in place of ids."""
    engine = create_engine(f"sqlite:///{course / 'gradebook.db'}")
    with engine.connect() as connection:
        tables = Base.metadata.sorted_tables
        rows = {t.name: {row["id"]: row for row in connection.execute(t.select()).mappings()} for t in tables}
        version = [str(row) for row in connection.execute(text("select * from alembic_version"))]

    def natural(table: Any, row: Any) -> tuple[Any, ...]:
        found = []
        for column in table.columns:
            value = row[column.name]
            reference = next(iter(column.foreign_keys), None)
            if reference is not None and value is not None:
                other = reference.column.table
                value = natural(other, rows[other.name][value])
            elif column.primary_key and table.name not in ("student", "course"):
                continue  # an id that nbgrader draws
            found.append((column.name, value))
        return tuple(found)

    engine.dispose()
    told = {t.name: sorted(repr(natural(t, row)) for row in rows[t.name].values()) for t in tables}
    return {**told, "alembic_version": version}


def notebooks(course: Path) -> dict[str, bytes]:
    """All that lies in autograded/: the same bit for bit, whoever graded it."""
    paths = sorted(path for path in (course / "autograded").rglob("*") if path.is_file())
    return {str(path.relative_to(course)): path.read_bytes() for path in paths}


def assert_same(course: Path, serial: Path) -> None:
    assert gradebook(course) == gradebook(serial)
    assert notebooks(course) == notebooks(serial)


def timings(course: Path, chapter: str = "toy") -> list[dict[str, str]]:
    with (course / "grading" / chapter / "timings.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
