"""What the notebooks import: stand-ins for earlier answers, data, small models.

The loaders are imported when they are first asked for, since they bring libraries that take seconds to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograder.course.models import pretrained_encoder, pretrained_tokenizer
    from autograder.course.questions import load_questions
    from autograder.course.sentiment import load_sentiment
    from autograder.course.texts import load_text

__all__ = ["load_questions", "load_sentiment", "load_text", "pretrained_encoder", "pretrained_tokenizer"]

_MODULES = {
    "load_questions": "questions",
    "load_sentiment": "sentiment",
    "load_text": "texts",
    "pretrained_encoder": "models",
    "pretrained_tokenizer": "models",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
