"""Autograded exercises on top of nbgrader: what a notebook imports."""

from autograder.selfcheck import check, exam, progress, start
from autograder.version import VERSION

__all__ = ["check", "exam", "progress", "start"]
__version__ = VERSION
