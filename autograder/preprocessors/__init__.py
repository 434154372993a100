"""nbgrader's seams: preprocessors and exporters that nbgrader_config.py names."""

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
