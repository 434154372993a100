"""The checks file: only what a student may have, and whole or not read at all."""

import hashlib
import json
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import SEED, ask, exercise_of, mean_exercise, namespace_of, not_divided, question

from autograder.checksfile import FORMAT, Checks, OtherVersion, pack, unpack
from autograder.errors import DataError
from autograder.judge import judge
from autograder.key import Key, key_as_data, key_from_data, make_key, visible_part
from autograder.serialize import decode, encode


def visible(exercise: Any) -> Key:
    return make_key(exercise, SEED, hidden=False)


def drawer() -> Any:
    """An exercise with an input that is not data, which travels as a recipe."""

    def fills(ax: Any, title: str) -> str:
        return title

    exercise = exercise_of(fills)
    exercise.visible(en="axes", ja="軸", rtol=0.5)(
        lambda make: {"ax": make.recipe("autograder.recipes:axes"), "title": "t"}
    )
    exercise.hidden(en="hidden axes", ja="非公開")(lambda make: {"ax": 1, "title": "SECRET"})
    return exercise


KEYS = [visible(mean_exercise()), visible(question()), visible(drawer())]
DATA = pack(KEYS, "ja")


def test_keys_come_back_and_judge_as_before() -> None:
    checks = unpack(DATA)
    assert checks.language == "ja"
    assert list(checks.keys) == ["weighted_mean", "best", "fills"]
    for before in KEYS:
        after = checks.keys[before.sheet.slug]
        assert (after.answers, after.objectives, after.stand_ins, after.device) == (
            before.answers, before.objectives, before.stand_ins, before.device,
        )  # fmt: skip
        assert after.form == before.form
        assert after.sheet.mistakes == before.sheet.mistakes
        assert [case.tolerance for case in after.sheet.cases] == [case.tolerance for case in before.sheet.cases]
    key = checks.keys["weighted_mean"]
    assert judge(key.sheet, ask(key, namespace_of(mean_exercise()))).status == "right"
    wrong = judge(key.sheet, ask(key, {"weighted_mean": not_divided}))
    assert wrong.mistake is not None
    assert wrong.mistake.says.ja == "重みの和で割っていません。"
    assert checks.keys["fills"].sheet.cases[0].tolerance.rtol == 0.5


def test_an_exercise_is_found_by_its_name_or_by_an_answers() -> None:
    key = visible(exercise_of(lambda x: x, slug="pair"))
    checks = Checks("en", {"pair": key})
    assert checks.of("pair") is checks.of("<lambda>") is key
    assert checks.of("other") is None


def test_the_same_keys_give_the_same_bytes_under_every_seed() -> None:
    assert pack([make_key(mean_exercise(), 99, hidden=False)], "ja") == pack([KEYS[0]], "ja")


def test_nothing_hidden_is_written_out() -> None:
    full = make_key(mean_exercise(), SEED)
    with pytest.raises(ValueError, match="weighted_mean: a key with hidden cases"):
        key_as_data(full)
    with pytest.raises(ValueError, match="hidden"):
        pack([full], "en")
    part = visible_part(full)
    assert len(part.trials) == len(part.sheet.cases) == 1
    assert pack([part], "ja") == pack([KEYS[0]], "ja")
    text = DATA.decode("latin-1")
    for word in ("SECRET", "hidden axes", "a batch", "def ", "return", "lambda"):
        assert word not in text
    assert json.dumps("a matrix") in text


def packed(inside: Any, **changes: Any) -> bytes:
    """A file whose outside is whole, but for the changes, and whose content is this."""
    body = inside if isinstance(inside, bytes) else encode(inside)
    whole = decode(pack([], "en"))
    tensor = torch.frombuffer(bytearray(body), dtype=torch.uint8)
    return encode({**whole, "digest": hashlib.sha256(body).hexdigest(), "content": tensor, **changes})


GOOD = {"language": "en", "objectives": {"0.1": {"en": "Means", "ja": "平均"}}, "exercises": [key_as_data(KEYS[0])]}


def test_a_file_made_by_hand_is_read() -> None:
    checks = unpack(packed(GOOD))
    assert list(checks.keys) == ["weighted_mean"]
    assert checks.objectives["0.1"].ja == "平均"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        encode(None),
        encode([1]),
        encode({"language": "en"}),
        encode({"format": FORMAT}),
        packed(GOOD, content=None),
        packed(GOOD, content="text"),
        packed(GOOD, content=torch.zeros(3)),
        packed(GOOD, digest=None),
        packed(GOOD, digest="0" * 64),
        packed(b"scraps"),
        packed(None),
        packed([]),
        packed({"language": "en"}),
        packed({"language": "en", "exercises": 3}),
        packed({"language": "en", "exercises": [3]}),
        packed({"language": "en", "exercises": [{}]}),
        packed({"exercises": []}),
        packed({**GOOD, "language": "fr"}),
        packed({**GOOD, "language": ["en"]}),
    ],
    ids=range(21),
)
def test_a_damaged_file_is_refused_whatever_is_wrong(data: bytes) -> None:
    with pytest.raises(DataError) as caught:
        unpack(data)
    assert not isinstance(caught.value, OtherVersion)


@pytest.mark.parametrize("name", sorted(key_as_data(KEYS[0])))
def test_an_incomplete_exercise_is_refused(name: str) -> None:
    data = key_as_data(KEYS[0])
    del data[name]
    with pytest.raises(DataError):
        key_from_data(data)


@pytest.mark.parametrize("theirs", [FORMAT + 1, 0, "2", None, "x" * 100])
def test_another_format_says_which(theirs: Any) -> None:
    with pytest.raises(OtherVersion) as caught:
        unpack(packed(GOOD, format=theirs))
    assert caught.value.theirs == str(theirs)[:20]


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_one_wrong_byte_is_never_read_as_whole(place: int, flip: int) -> None:
    data = bytearray(DATA)
    data[place] ^= flip
    try:
        checks = unpack(bytes(data))
    except DataError:
        return
    assert pack(checks.keys.values(), checks.language) == DATA  # it struck where nothing stands


@given(st.integers(0, len(DATA) - 1))
def test_a_file_cut_short_is_refused(length: int) -> None:
    with pytest.raises(DataError):
        unpack(DATA[:length])
