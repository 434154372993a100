"""What a verdict says of itself: status, one line, and data without hidden numbers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import mean_exercise, verdict_of

from autograder.messages import FINDINGS, VERDICT
from autograder.text import Text, same
from autograder.verdict import FORMAT, CaseVerdict, Finding, Named, Verdict

WRONG = Finding("values", {"where": same(""), "differ": 1, "total": 2, "worst": 0.5, "index": [0]} | {
    "expected": 1.25, "actual": 1.75,
})  # fmt: skip


def verdict(*cases: CaseVerdict, mistake: Named | None = None) -> Verdict:
    return Verdict("toy", Text("A toy", "おもちゃ"), 3.0, cases, mistake)


def case(*findings: Finding, visible: bool = False, weight: float = 1.0) -> CaseVerdict:
    return CaseVerdict(Text("a row", "行"), visible, weight, findings)


BLANK, MISSING = Finding("not_attempted", {"answer": "f"}), Finding("missing", {"answer": "f"})


@pytest.mark.parametrize(
    ("cases", "status", "fraction"),
    [
        ((), "recorded", 1.0),
        ((case(), case()), "right", 1.0),
        ((case(), case(WRONG)), "partly", 0.5),
        ((case(), case(WRONG, weight=3.0)), "partly", 0.25),
        ((case(WRONG), case(WRONG)), "wrong", 0.0),
        ((case(BLANK), case(MISSING)), "not_attempted", 0.0),
        ((case(MISSING), case(MISSING)), "missing", 0.0),
        ((case(BLANK), case(WRONG)), "wrong", 0.0),
        ((case(weight=0.0, visible=True), case(WRONG, weight=0.0, visible=True)), "partly", 0.5),
        ((case(weight=0.0, visible=True), case(WRONG)), "wrong", 0.0),
    ],
)
def test_status_and_share(cases: tuple[CaseVerdict, ...], status: str, fraction: float) -> None:
    found = verdict(*cases)
    assert (found.status, found.fraction) == (status, fraction)
    assert found.score == 3.0 * fraction
    assert status in VERDICT
    assert found.graded == any(each.weight for each in cases)


def test_one_line_names_the_mistake_or_the_first_finding() -> None:
    named = Named("m", Text("Not divided.", "割っていません。"), same("hint"))
    for language, status in (("en", "wrong"), ("ja", "不正解")):
        line = verdict(case(WRONG), mistake=named).summary().pick(language)
        assert line.startswith(f"toy · {status}")
        assert named.says.pick(language) in line
        assert "\n" not in line
    visible = case(WRONG, visible=True, weight=0.0)
    assert "expected 1.25, got 1.75" in verdict(visible).summary().en
    assert "1.25" not in verdict(case(WRONG)).summary().en
    assert "not attempted yet" in verdict(case(BLANK)).summary().en
    assert "right" in verdict(case()).summary().en


def test_data_holds_no_hidden_number() -> None:
    data = verdict(case(WRONG), case(WRONG, visible=True)).as_data()
    assert data["format"] == FORMAT
    assert json.loads(json.dumps(data)) == data
    hidden, visible = data["cases"]
    assert (hidden["finding"], hidden["says"]["en"]) == ("values", "the values are wrong.")
    assert "1.75" in visible["says"]["en"]
    assert data["score"] == 0.0


def test_the_data_of_a_real_exam() -> None:
    exercise = mean_exercise()
    data = verdict_of(exercise, exercise.mistakes[0].answers["weighted_mean"]).as_data()
    assert data["mistake"] == "not_divided"
    assert data["mistake_says"]["ja"] == "重みの和で割っていません。"
    assert [each["weight"] for each in data["cases"]] == [0.0, 1.0, 2.0, 1.0]
    assert verdict_of(exercise).as_data()["mistake"] is None


@given(st.sampled_from(sorted(FINDINGS)), st.sampled_from(["ValueError", "MyError", "print", "x" * 50]), st.booleans())
def test_a_hidden_case_tells_an_exception_only_if_python_has_it(kind: str, name: str, hidden: bool) -> None:
    fields = dict.fromkeys(("answer", "message", "source", "choices", "name", "text", "expected", "actual"), "SECRET")
    numbers = {"seconds": 2.0, "line": 3, "differ": 1, "total": 2, "index": [0]}
    finding = Finding(kind, {"where": same("SECRET "), "type": name, **fields, **numbers})
    text = finding.text(hidden)
    assert text.is_whole
    if hidden and kind in ("raised", "raised_at"):
        assert ("ValueError" in text.en) == (name == "ValueError")
        assert "SECRET" not in text.en
        assert "MyError" not in text.en + text.ja


def test_texts_have_two_languages_and_no_others() -> None:
    text = Text("a {thing}", "{thing}です").format(thing=Text("mask", "マスク"))
    assert (text.pick("en"), text.pick("ja")) == ("a mask", "マスクです")
    assert text.as_data() == {"en": "a mask", "ja": "マスクです"}
    assert not Text("a", " ").is_whole
    with pytest.raises(ValueError, match="no language 'fr': choose one of en, ja"):
        text.pick("fr")


def test_a_hidden_case_does_not_tell_the_line_that_an_answer_chose() -> None:
    finding = Finding.of_failure({"kind": "raised", "type": "ValueError", "message": "m", "line": 1334, "source": "s"})
    assert "1334" in finding.text().en
    for text in (finding.text(hidden=True).en, finding.text(hidden=True).ja):
        assert "ValueError" in text
        assert "1334" not in text
