"""Every sentence is there in both languages, with the same fields, and a hidden case's sentences hold no value."""

import re
import string

import pytest

from autograder import messages
from autograder.text import Text

GROUPS = {
    name: table
    for name, table in vars(messages).items()
    if isinstance(table, dict) and table and all(isinstance(text, Text) for text in table.values())
}
ALL = [(f"{group}.{key}", text) for group, table in GROUPS.items() for key, text in table.items()]
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def test_there_are_messages_of_every_group() -> None:
    assert {"FINDINGS", "HIDDEN_FINDINGS", "REMARKS", "VERDICT", "CHECK", "PROGRESS"} <= set(GROUPS)


@pytest.mark.parametrize(("name", "text"), ALL, ids=[name for name, _ in ALL])
def test_a_message_says_the_same_in_both_languages(name: str, text: Text) -> None:
    assert text.is_whole
    assert fields(text.en) == fields(text.ja)
    if re.sub(r"\{.*?\}", "", text.en).strip(" :"):
        assert JAPANESE.search(text.ja)
        assert not JAPANESE.search(text.en)


@pytest.mark.parametrize("kind", messages.FINDINGS)
def test_a_hidden_case_holds_no_value(kind: str) -> None:
    text = messages.HIDDEN_FINDINGS.get(kind, messages.FINDINGS[kind])
    assert fields(text.en) <= {"answer", "choices", "seconds", "type", "line", "name", "text", "where"}


def test_hidden_findings_are_findings() -> None:
    assert set(messages.HIDDEN_FINDINGS) <= set(messages.FINDINGS)
