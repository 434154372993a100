"""Text for a language model: Tiny Shakespeare or WikiText-2 where they can be had, else Python's documentation."""

import ast
import platform
import sysconfig
from functools import cache
from pathlib import Path

from autograder.course import sources
from autograder.course.messages import SOURCES
from autograder.text import Text, same

PYTHON = "python"
# On the hub: the data set, its configuration, its splits; in a folder: the files, of which the first is taken
_TEXTS: dict[str, tuple[str, str | None, str, tuple[str, ...]]] = {
    "tinyshakespeare": ("karpathy/tiny_shakespeare", None, "train+validation+test", ("input.txt",)),
    "wikitext-2": (
        "Salesforce/wikitext",
        "wikitext-2-v1",
        "train",
        ("train.txt", "wiki.train.tokens", "valid.txt", "wiki.valid.tokens", "test.txt", "wiki.test.tokens"),
    ),
}
# Modules of the standard library with much to read; one that a Python does not have is left out
_MODULES = (
    *("argparse", "ast", "bisect", "calendar", "cmd", "collections", "configparser", "contextlib", "copy", "csv"),
    *("dataclasses", "datetime", "difflib", "doctest", "enum", "fractions", "functools", "heapq", "inspect"),
    *("ipaddress", "json", "logging", "mailbox", "optparse", "os", "pathlib", "pdb", "pickle", "random", "shelve"),
    *("shutil", "statistics", "string", "subprocess", "tarfile", "tempfile", "textwrap", "threading", "trace"),
    *("traceback", "turtle", "typing", "uuid", "zipfile"),
)


def load_text(name: str = PYTHON) -> str:
    """One long text in English. Prints one line that says where it comes from.

    Args:
        name: "python", Python's own documentation; "tinyshakespeare" or "wikitext-2", from the folder in
            AUTOGRADER_DATA or the Hugging Face hub. Where neither has it, Python's documentation is taken.

    Raises:
        CourseError: the name or a file in the folder is not as it should be; the sentence says what to do.
    """
    sources.chosen("name", name, (PYTHON, *_TEXTS))
    text, source = _text(name)
    characters, rows = f"{len(text):,}", f"{text.count(chr(10)):,}"
    sources.say("served_text", name=name, characters=characters, rows=rows, source=source)
    return text


def _text(name: str) -> tuple[str, Text]:
    if name != PYTHON:
        called, configuration, splits, files = _TEXTS[name]
        folder = sources.in_folder_or_say(name)
        if folder is not None:
            path = sources.first_of(folder, files)
            return sources.read(path), same(str(path))
        text = sources.hub.load(called, lambda: _from_hub(called, configuration, splits))
        if text is not None:
            return text, SOURCES["hub"].format(name=called)
    return python_documentation(), SOURCES["python"].format(version=platform.python_version())


def _from_hub(called: str, configuration: str | None, splits: str) -> str:
    from datasets import load_dataset

    return "".join(load_dataset(called, configuration, split=splits)["text"])


@cache
def python_documentation() -> str:
    """What `help` knows of the language, and what modules of the standard library say of themselves.

    The same for the same version of Python. Raises CourseError where Python came without it.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise sources.wrong("no_documentation") from None
    language = [topics[topic].strip() for topic in sorted(topics)]
    library = [text for module in _MODULES for text in _docstrings(module)]
    return "\n\n\n".join((*language, *library)) + "\n"


def _docstrings(module: str) -> list[str]:
    """The docstrings of a module, its classes and functions, read and not imported, under what they belong to."""
    library = Path(sysconfig.get_path("stdlib"))
    path = next((path for path in (library / f"{module}.py", library / module / "__init__.py") if path.is_file()), None)
    if path is None:
        return []
    found = []
    nodes = ast.walk(ast.parse(path.read_bytes()))
    for node in nodes:
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            said = ast.get_docstring(node)
            if said:
                found.append(f"{_heading(module, node)}\n\n{said}")
    return found


def _heading(module: str, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    if isinstance(node, ast.Module):
        return f"module {module}"
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}({', '.join(map(ast.unparse, node.bases))})"
    return f"def {node.name}({ast.unparse(node.args)})"
