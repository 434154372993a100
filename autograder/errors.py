"""Errors that a person reads: one sentence that says what, where and what to do."""


class AutograderError(Exception):
    """The base of every error that this package raises on purpose."""

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a traceback."""
        return [str(self)]


class CourseError(AutograderError):
    """Something in the course's own files is wrong: an exercise, a notebook, the configuration."""


class DataError(AutograderError):
    """Bytes from outside (a student's process, a file) are not what they should be."""


class CheckFailed(AutograderError):
    """A self-check found something wrong; its one line is what `nbgrader validate` shows."""
