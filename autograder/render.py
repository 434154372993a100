"""How a verdict shows itself: text for a terminal, HTML with a small picture for a notebook, JSON for a report."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from torch import Tensor

from autograder.messages import VERDICT
from autograder.text import Text
from autograder.verdict import CaseVerdict, Verdict

MIME = "application/vnd.autograder.verdict+json"
_CELL = 12  # pixels of one entry in a picture


def as_text(verdict: Verdict, language: str) -> str:
    """The verdict as lines of text."""

    def say(text: Text) -> str:
        return text.pick(language)

    counted = [say(_counted(verdict))] if verdict.cases else []
    lines = [" · ".join([verdict.slug, say(VERDICT[verdict.status]), *counted])]
    if verdict.nothing_to_judge:
        return "\n".join([f"{verdict.slug} · {say(VERDICT[verdict.status])}", *_first_sentence(verdict, language)])
    for case in verdict.cases:
        mark = "✓" if case.passed else "✗"
        label = "" if case.visible else f" ({say(VERDICT['hidden'])})"
        said = f": {say(case.says)}" if case.says is not None else ""
        lines.append(f"{mark} {say(case.name)}{label}{said}")
    if verdict.mistake is not None:
        lines.append(f"{say(VERDICT['mistake'])} {say(verdict.mistake.says)}")
        lines.append(f"{say(VERDICT['hint'])} {say(verdict.mistake.hint)}")
    lines += [f"· {say(remark.text())}" for remark in verdict.remarks]
    return "\n".join(lines)


def as_html(verdict: Verdict, language: str) -> str:
    """The verdict as one `<div>`; everything that came from a student's process is escaped."""
    template = _environment().get_template("verdict.html.j2")
    pictures = [_pictures(case, language) for case in verdict.cases]
    cases = list(zip(verdict.cases, pictures, strict=True))
    return template.render(v=verdict, cases=cases, **_words(verdict, language))


def as_mimebundle(verdict: Verdict, language: str) -> dict[str, Any]:
    """What a notebook cell shows: the richest form that the reader's program knows."""
    return {
        "text/plain": as_text(verdict, language),
        "text/html": as_html(verdict, language),
        MIME: verdict.as_data(),
    }


def as_progress(rows: list[dict[str, Any]], objectives: list[dict[str, Any]], words: dict[str, str]) -> str:
    """The chapter as a picture: a bar for each exercise and a tile for each objective, as HTML."""
    return _environment().get_template("progress.html.j2").render(rows=rows, objectives=objectives, words=words)


def _first_sentence(verdict: Verdict, language: str) -> list[str]:
    return [case.says.pick(language) for case in verdict.cases[:1] if case.says is not None]


def _counted(verdict: Verdict) -> Text:
    cases = VERDICT["cases"].format(passed=verdict.passed, total=len(verdict.cases))
    if not verdict.graded:
        return cases
    points = VERDICT["points"].format(score=verdict.score, points=verdict.points)
    return Text(f"{points.en} · {cases.en}", f"{points.ja} · {cases.ja}")


def _words(verdict: Verdict, language: str) -> dict[str, Any]:
    return {
        "say": lambda text: text.pick(language),
        "word": {key: text.pick(language) for key, text in VERDICT.items()},
        "counted": _counted(verdict).pick(language),
    }


def _pictures(case: CaseVerdict, language: str) -> list[dict[str, Any]]:
    """Expected, actual and their difference as grids of coloured cells."""
    if case.picture is None:
        return []
    expected, actual = case.picture
    finite = [value for value in (*expected.flatten().tolist(), *actual.flatten().tolist()) if abs(value) < 1e300]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    gap = actual - expected
    widest = max((abs(v) for v in gap.flatten().tolist() if abs(v) < 1e300), default=1.0) or 1.0
    return [
        _grid(VERDICT["expected"].pick(language), expected, low, high, _blue),
        _grid(VERDICT["got"].pick(language), actual, low, high, _blue),
        _grid(VERDICT["difference"].pick(language), gap, -widest, widest, _red_blue),
    ]


def _grid(title: str, values: Tensor, low: float, high: float, colour: Any) -> dict[str, Any]:
    rows, columns = values.shape
    cells = []
    for r, row in enumerate(values.tolist()):
        for c, value in enumerate(row):
            share = (value - low) / (high - low) if high > low else 0.5
            fill = colour(min(max(share, 0.0), 1.0)) if abs(value) < 1e300 else "#333333"
            cells.append({"x": c * _CELL, "y": r * _CELL, "fill": fill, "tip": f"[{r}, {c}] {value:.4g}"})
    return {"title": title, "width": columns * _CELL, "height": rows * _CELL, "cells": cells, "side": _CELL}


def _blue(share: float) -> str:
    return _mix((247, 251, 255), (8, 48, 107), share)


def _red_blue(share: float) -> str:
    if share < 0.5:
        return _mix((178, 24, 43), (250, 250, 250), share * 2)
    return _mix((250, 250, 250), (33, 102, 172), share * 2 - 1)


def _mix(low: tuple[int, int, int], high: tuple[int, int, int], share: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(low, high, strict=True))


@cache
def _environment() -> Environment:
    loader = PackageLoader("autograder", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
