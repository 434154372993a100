"""Autograded exercises on top of nbgrader: what a notebook imports.

The self-check is imported when it is first asked for, since it brings PyTorch: commands start without it.
"""

from typing import TYPE_CHECKING, Any

from autograder.version import VERSION

if TYPE_CHECKING:
    from autograder.selfcheck import check, exam, progress, start

__all__ = ["check", "exam", "progress", "start"]
__version__ = VERSION


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from autograder import selfcheck

    return getattr(selfcheck, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
