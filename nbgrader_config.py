"""Where nbgrader meets the engine: the only wiring. Everything here is nbgrader's own, documented configuration."""

c = get_config()  # noqa: F821 (nbgrader defines it)

LANGUAGE = "en"  # the course's language: "en" or "ja"

c.CourseDirectory.course_id = "transformer"
c.SelectLanguage.language = LANGUAGE
c.ClearSolutions.text_stub = {"en": "YOUR ANSWER HERE", "ja": "ここに解答を書いてください。"}[LANGUAGE]

# Exams: where they run, and the seed of their hidden cases. Give each course and each year a seed of its own.
c.Exam.device = "auto"
c.Exam.seed = 20_260_401

# nbgrader's own order; ours are those with a path.
c.GenerateAssignment.exporter_class = "autograder.preprocessors.CourseExporter"
c.GenerateAssignment.preprocessors = [
    "nbgrader.preprocessors.IncludeHeaderFooter",
    "nbgrader.preprocessors.InstantiateTests",
    "autograder.preprocessors.SelectLanguage",
    "autograder.preprocessors.AttachChecks",
    "nbgrader.preprocessors.LockCells",
    "autograder.preprocessors.ClearBlanks",
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.CheckCellMetadata",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.SaveCells",
    "nbgrader.preprocessors.ClearHiddenTests",
    "nbgrader.preprocessors.ClearMarkScheme",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.exporter_class = "autograder.preprocessors.SubmissionExporter"
c.Autograde.sanitize_preprocessors = [
    "autograder.preprocessors.RepairMetadata",
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.DeduplicateIds",
    "nbgrader.preprocessors.OverwriteKernelspec",
    "autograder.preprocessors.RestoreCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "autograder.preprocessors.Examine",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
]
