"""nbgrader's seams: preprocessors and exporters that nbgrader_config.py names."""

import autograder.gradebook  # noqa: F401 (waits for a gradebook that is locked)
from autograder.preprocessors.examine import Examine
from autograder.preprocessors.release import AttachChecks, ClearBlanks, CourseExporter, SelectLanguage
from autograder.preprocessors.submission import RepairMetadata, RestoreCells, SubmissionExporter

__all__ = [
    "AttachChecks",
    "ClearBlanks",
    "CourseExporter",
    "Examine",
    "RepairMetadata",
    "RestoreCells",
    "SelectLanguage",
    "SubmissionExporter",
]
