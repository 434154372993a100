"""Small things about nbgrader's gradebook: patience with a locked one, and what is read from it."""

import sqlite3
from typing import Any

from nbgrader.api import Gradebook
from sqlalchemy import event
from sqlalchemy.engine import Engine

PATIENCE = 120_000  # milliseconds to wait for a gradebook that another program has locked; sqlite3 itself waits 5 s


@event.listens_for(Engine, "connect")
def _be_patient(connection: Any, record: Any) -> None:
    """Wait longer for SQLite's locks, on each connection that nbgrader opens in a process that imported this module."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA busy_timeout = {PATIENCE}")


def total(url: str, course: str, assignment: str, student: str) -> tuple[float, float]:
    """What a graded submission got, and what it could have got. Raises MissingEntry where there is none."""
    with Gradebook(url, course) as gradebook:
        submission = gradebook.find_submission(assignment, student)
        return float(submission.score), float(submission.max_score)
