"""How a verdict shows itself: text, HTML that escapes what came from an answer, JSON."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from toys import SEED, ask, exercise_of, mean_exercise, not_divided, question, verdict_of, weighted_mean

from autograder.judge import judge
from autograder.key import make_key
from autograder.messages import VERDICT
from autograder.render import MIME, as_html, as_mimebundle, as_progress, as_text
from autograder.selfcheck import judge_here
from autograder.text import same
from autograder.verdict import CaseVerdict, Finding, Verdict

EVIL = "<script>alert('x')</script>\"&"


class Reader(HTMLParser):
    """Fails on tags that do not match, and remembers what was there."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert reader.tags <= {"div", "span", "strong", "code", "figure", "figcaption", "svg", "rect", "title"}
    assert not any(name.startswith("on") for name in reader.attributes)
    return reader


@pytest.mark.parametrize("language", ["en", "ja"])
def test_an_exam_in_text_and_html(language: str) -> None:
    verdict = verdict_of(mean_exercise(), not_divided)
    says = mean_exercise().mistakes[0]
    text, html = as_text(verdict, language), as_html(verdict, language)
    read(html)
    for shown in (text, html):
        assert VERDICT["wrong"].pick(language) in shown
        assert says.says.pick(language) in shown
        assert says.hint.pick(language) in shown
        assert VERDICT["hidden"].pick(language) in shown
    assert ("0 of 4 points" in text) == (language == "en")
    assert ("4 点中 0 点" in text) == (language == "ja")
    assert text.splitlines()[0].startswith("weighted_mean · ")


def test_a_right_and_an_empty_answer() -> None:
    right = as_text(verdict_of(mean_exercise()), "en")
    assert "weighted_mean · right · 4 of 4 points · 4 of 4 cases right" in right
    assert "✗" not in right
    key = make_key(mean_exercise(), SEED)
    missing = judge(key.sheet, ask(key, {}))
    html = as_html(missing, "en")
    read(html)
    assert "no answer is found" in html
    assert html.count("is not defined") == 1  # once for the exercise, not once a case


def test_a_recorded_answer() -> None:
    key = make_key(question(), SEED, hidden=False)
    verdict = judge_here(key, {"best": "a"})
    assert verdict.status == "recorded"
    assert "answer recorded" in as_text(verdict, "en")
    read(as_html(verdict, "ja"))


def test_the_bundle_is_json() -> None:
    bundle = as_mimebundle(verdict_of(mean_exercise(), not_divided), "ja")
    assert set(bundle) == {"text/plain", "text/html", MIME}
    assert json.loads(json.dumps(bundle[MIME]))["mistake"] == "not_divided"


# -- pictures ------------------------------------------------------------------------------------------------------


def table(expected: Tensor, actual: Tensor) -> str:
    case = CaseVerdict(same("c"), True, 0.0, (Finding("values"),), picture=(expected.double(), actual.double()))
    html = as_html(Verdict("toy", same("t"), 1.0, (case,)), "en")
    read(html)
    return html


def test_a_picture_of_expected_yours_and_the_difference() -> None:
    html = table(torch.eye(2), torch.tensor([[1.0, 0.5], [0.0, 1.0]]))
    assert html.count("<svg") == 3
    assert html.count("<rect") == 12
    assert "[0, 1] 0.5" in html
    for word in ("expected", "yours", "difference"):
        assert f'<figcaption style="font-size:12px;color:#57606a">{word}' in html


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 1e-320, 0.0])
def test_a_picture_of_extreme_values(value: float) -> None:
    for other in (0.0, value, -1e308):
        expected = torch.full((2, 2), other, dtype=torch.float64)
        actual = torch.full((2, 2), value, dtype=torch.float64)
        colours = re.findall(r'fill="([^"]*)"', table(expected, actual))
        assert all(re.fullmatch(r"#[0-9a-f]{6}", colour) for colour in colours)


# -- what came from an answer --------------------------------------------------------------------------------------


def evil(kind: str) -> Any:
    error = type(EVIL, (Exception,), {})

    def answer(x: Any) -> Any:
        if kind == "message":
            raise ValueError(EVIL)
        if kind == "type":
            raise error(EVIL)
        return {"text": EVIL, "key": {EVIL: 1}, "object": type(EVIL, (), {})(), "list": [EVIL, {EVIL: EVIL}]}[kind]

    answer.__name__ = answer.__qualname__ = EVIL
    return answer


@pytest.mark.parametrize("expected", ["word", {"a": 1}, torch.ones(2), ["a", "b"]])
@pytest.mark.parametrize("kind", ["message", "type", "text", "key", "object", "list"])
def test_html_escapes_what_came_from_an_answer(kind: str, expected: Any) -> None:
    exercise = exercise_of(lambda x: expected, slug="toy")
    exercise.visible(en="a case", ja="例")(lambda make: {"x": 1})
    exercise.hidden(en="hidden one", ja="非公開")(lambda make: {"x": 2})
    key = make_key(exercise, SEED)
    verdict = judge(key.sheet, ask(key, {"<lambda>": evil(kind)}))
    assert not any(case.passed for case in verdict.cases)
    for language in ("en", "ja"):
        html = as_html(verdict, language)
        read(html)
        assert "<script" not in html
        assert "alert" not in html.split(verdict.cases[1].name.pick(language))[1]


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_of_an_answer_keeps_the_html_whole(first: str, second: str) -> None:
    finding = Finding("raised_at", {"type": first, "message": second, "line": 1, "source": first})
    case = CaseVerdict(same("c"), True, 0.0, (finding,))
    verdict = Verdict("toy", same("t"), 1.0, (case,), remarks=(Finding("changed", {"names": second}),))
    read(as_html(verdict, "en"))


# -- progress ------------------------------------------------------------------------------------------------------


def test_progress_is_escaped_and_whole() -> None:
    statuses = ("right", "recorded", "partly", "wrong", "not_attempted", "missing")
    rows = [{"title": EVIL, "status": status, "says": EVIL, "share": 0.5} for status in statuses]
    words = dict.fromkeys(("title", "counted", "exercises", "objectives", "met", "open"), EVIL)
    html = as_progress(rows, [{"name": EVIL, "met": True}, {"name": "2", "met": False}], words)
    read(html)
    assert "<script" not in html


def test_a_remark_is_shown_under_the_cases() -> None:
    def in_place(values: Tensor, weights: Tensor) -> Any:
        weights.mul_(2.0)
        return weighted_mean(values, weights)

    verdict = verdict_of(mean_exercise(), in_place)
    assert verdict.score == 4.0
    assert "weights is changed in place" in as_text(verdict, "en")
    assert "weights をその場で書き換えています" in as_html(verdict, "ja")
