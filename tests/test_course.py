"""The loaders that notebooks import: which source serves, what is said, and what is wrong with a faulty one."""

import json
import os
import re
import socket
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest
import torch
import transformers
from toycourse import ROOT
from toymodels import save_tiny_bert

from autograder import selfcheck
from autograder.course import load_sentiment, load_text, messages, pretrained_encoder, pretrained_tokenizer, sources
from autograder.course.models import DEFAULT
from autograder.course.sentiment import REVIEWS, read_table
from autograder.course.texts import python_documentation
from autograder.errors import CourseError
from autograder.text import Text

SLICES = ROOT.parent / "shared" / "data"
ALL = [
    (f"{name}.{key}", text) for name in ("SAYS", "SOURCES", "WRONG") for key, text in getattr(messages, name).items()
]
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
TABLE = "label\tsentence\n1\tA joy.\n0\tA bore.\n1\tNot bad at all.\n0\tNo joy.\n"

Printed = Callable[[], list[str]]


class OnlineHub(sources.Hub):
    """A hub that answers."""

    def answers(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder, no network, and a process that has not asked the hub yet."""
    monkeypatch.delenv(sources.VARIABLE, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(sources, "hub", sources.Hub())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that AUTOGRADER_DATA names."""
    place = tmp_path / "data"
    place.mkdir()
    monkeypatch.setenv(sources.VARIABLE, str(place))
    return place


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    return lambda: capsys.readouterr().out.splitlines()


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows_of(data: Any) -> list[tuple[str, int]]:
    return list(zip(data["text"], data["label"], strict=True))


def the_error(call: Callable[[], object]) -> str:
    """The one line that the call fails with."""
    with pytest.raises(CourseError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


# -- what is said ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "text"), ALL, ids=[name for name, _ in ALL])
def test_a_sentence_says_the_same_in_both_languages(name: str, text: Text) -> None:
    fields = [{field for _, field, _, _ in string.Formatter().parse(each) if field} for each in (text.en, text.ja)]
    assert fields[0] == fields[1]
    assert JAPANESE.search(text.ja) or name == "SOURCES.hub"
    assert not JAPANESE.search(text.en)


def test_the_notebooks_language_is_spoken(monkeypatch: pytest.MonkeyPatch, printed: Printed) -> None:
    monkeypatch.setattr(selfcheck, "_session", selfcheck.Session("", None, None, "ja"))
    load_sentiment(limit=3)
    assert all(JAPANESE.search(line) for line in printed())
    assert JAPANESE.search(the_error(lambda: load_sentiment("test")))


# -- reviews written for the course ----------------------------------------------------------------------------------


def test_the_courses_own_reviews_are_the_last_resort(printed: Printed) -> None:
    train, validation = load_sentiment(), load_sentiment("validation", name="imdb")
    assert [data.column_names for data in (train, validation)] == [["text", "label"]] * 2
    assert train.features["label"].names == ["negative", "positive"]
    offline, first, second = printed()
    assert "HF_HUB_OFFLINE" in offline  # said once a process
    assert f"{len(train)} of {len(train)} rows" in first
    assert "written for this course" in second


def test_there_are_enough_reviews_half_of_them_good() -> None:
    tables = {split: read_table(REVIEWS / f"{split}.tsv") for split in ("train", "validation")}
    assert len(tables["train"]) >= 340
    assert len(tables["validation"]) >= 80
    for rows in tables.values():
        labels = torch.tensor([label for _, label in rows])
        assert labels.float().mean() == 0.5
        # mixed: no long run of one label
        assert max(map(len, re.findall("0+|1+", "".join(map(str, labels.tolist()))))) < 12


def test_reviews_are_sentences_of_few_and_of_many_words() -> None:
    texts = [text for split in ("train", "validation") for text, _ in read_table(REVIEWS / f"{split}.tsv")]
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) == 4
    assert 25 <= max(lengths) <= 30
    assert all(text[0].isupper() and text[-1] in ".!?" and text.isascii() for text in texts)


def test_no_review_is_like_another() -> None:
    texts = [text for split in ("train", "validation") for text, _ in read_table(REVIEWS / f"{split}.tsv")]
    words = [set(re.findall(r"[a-z']+", text.lower())) for text in texts]
    assert len(set(map(frozenset, words))) == len(texts)
    alike = [
        (texts[i], texts[j])
        for i in range(len(texts))
        for j in range(i)
        if len(words[i] & words[j]) > 0.5 * len(words[i] | words[j])
    ]
    assert not alike


def test_no_label_can_be_told_by_how_a_review_begins_or_by_its_length() -> None:
    rows = read_table(REVIEWS / "train.tsv")
    lengths = [torch.tensor([len(text.split()) for text, of in rows if of == label]).double() for label in (0, 1)]
    assert abs(lengths[0].mean() - lengths[1].mean()) < 1.5
    starts: dict[str, list[int]] = {}
    for text, label in rows:
        starts.setdefault(text.split()[0], []).append(label)
    assert max(len(labels) for labels in starts.values()) < len(rows) / 8
    assert all(0 < sum(labels) < len(labels) for labels in starts.values() if len(labels) >= 8)


# -- a part of the rows ----------------------------------------------------------------------------------------------


def test_a_limit_takes_both_labels_and_the_same_rows_each_time() -> None:
    few, many = (rows_of(load_sentiment(limit=limit)) for limit in (20, 100))
    assert sum(label for _, label in few) == 10
    assert many[:20] == few
    assert rows_of(load_sentiment(limit=20)) == few


def test_a_limit_takes_both_labels_of_a_sorted_table(folder: Path) -> None:
    rows = [f"{int(i >= 30)}\tnumber {i}\n" for i in range(40)]
    write(folder / "sst2/train.tsv", "label\tsentence\n" + "".join(rows))
    labels = [label for _, label in rows_of(load_sentiment(limit=12))]
    assert sum(labels) == 6
    assert sum(label for _, label in rows_of(load_sentiment(limit=30))) == 10  # all there are
    assert len(load_sentiment(limit=99)) == 40


@pytest.mark.parametrize("limit", [0, -1, 2.0, True, "10"])
def test_a_limit_is_a_number_of_rows(limit: Any) -> None:
    assert "above 0" in the_error(lambda: load_sentiment(limit=limit))


@pytest.mark.parametrize(
    "call",
    [
        lambda: load_sentiment("test"),
        lambda: load_sentiment(name="yelp"),
        lambda: load_sentiment(None),  # type: ignore[arg-type]
        lambda: load_text("shakespeare"),
        lambda: load_text([]),  # type: ignore[arg-type]
    ],
)
def test_a_name_that_is_not_known(call: Callable[[], object]) -> None:
    assert "choose one of" in the_error(call)


# -- the folder ------------------------------------------------------------------------------------------------------


def test_the_folder_comes_first(folder: Path, printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "hub", None)  # not looked at
    train = write(folder / "sst2/train.tsv", TABLE)
    dev = write(folder / "sst2/dev.tsv", "\ufeffcontent\tLabel\r\nWhat a\x85 joy.\t1\r\n\r\n".encode())
    assert rows_of(load_sentiment()) == [("A joy.", 1), ("A bore.", 0), ("Not bad at all.", 1), ("No joy.", 0)]
    assert rows_of(load_sentiment("validation")) == [("What a\x85 joy.", 1)]
    assert [line.split(", from ")[1] for line in printed()] == [f"{train}.", f"{dev}."]


def test_one_table_for_both_splits_is_parted(folder: Path) -> None:
    write(folder / "imdb/imdb_labelled.txt", "".join(f"Film {i} .  \t{i % 2}\n" for i in range(1, 13)))
    train, validation = (rows_of(load_sentiment(split, name="imdb")) for split in ("train", "validation"))
    assert validation == [("Film 5 .", 1), ("Film 10 .", 0)]
    assert len(train) == 10
    assert not set(train) & set(validation)


def test_a_folder_without_the_data_set_is_passed_over_and_says_so(folder: Path, printed: Printed) -> None:
    assert len(load_sentiment()) >= 340
    assert load_text("wikitext-2") == python_documentation()
    lines = printed()
    assert [line for line in lines if str(folder) in line] == [lines[0], lines[3]]
    assert "no folder sst2" in lines[0]
    assert "no folder wikitext-2" in lines[3]


def test_a_named_folder_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path / "gone"))
    for call in (load_sentiment, lambda: load_text("wikitext-2"), pretrained_encoder):
        said = the_error(call)
        assert "AUTOGRADER_DATA" in said
        assert str(tmp_path / "gone") in said


def test_a_folder_without_the_split(folder: Path) -> None:
    write(folder / "sst2/train.tsv", TABLE)
    assert "validation.tsv, dev.tsv, sst2_labelled.txt" in the_error(lambda: load_sentiment("validation"))


FAULTY = {
    "no header": ("1\tA joy.\n", "line 1: name the columns"),
    "header without label": ("sentence\tscore\nA joy.\t1\n", "found 'sentence\\tscore'"),
    "another label": ("label\tsentence\n1\tA joy.\n2\tA bore.\n", "line 3: expected 2 cells"),
    "no tab": ("label\tsentence\n1 A joy.\n", "line 2: expected 2 cells"),
    "a tab too many": ("label\tsentence\n\n1\tA\tjoy.\n", "line 3: expected 2 cells"),
    "no text": ("label\tsentence\n1\t \n", "line 2: expected 2 cells"),
    "no rows": ("label\tsentence\n\n", "nothing to read"),
    "empty": ("", "nothing to read"),
    "not UTF-8": (b"label\tsentence\n1\tA joy.\n0\tB\xe9te.\n", "line 3: this is not UTF-8"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_table_is_named_by_line_and_no_other_source_is_taken(
    folder: Path, fault: str, printed: Printed
) -> None:
    content, says = FAULTY[fault]
    path = write(folder / "sst2/train.tsv", content)
    said = the_error(load_sentiment)
    assert said.startswith(f"{path}, line ")
    assert says in said
    assert not printed()


def test_a_table_for_both_splits_too_small_to_part(folder: Path) -> None:
    write(folder / "imdb/imdb_labelled.txt", "A joy.\t1\n")
    assert "nothing to read" in the_error(lambda: load_sentiment("validation", name="imdb"))


def test_a_file_that_cannot_be_read(folder: Path) -> None:
    (folder / "sst2/train.tsv").mkdir(parents=True)
    (folder / "tinyshakespeare").mkdir()
    (folder / "tinyshakespeare/input.txt").symlink_to(folder / "gone")
    assert "cannot be read" in the_error(load_sentiment)
    assert "cannot be read" in the_error(lambda: load_text("tinyshakespeare"))


# -- texts -----------------------------------------------------------------------------------------------------------


def test_pythons_documentation_is_long_english_and_always_the_same(printed: Printed) -> None:
    text = load_text()
    assert len(text) >= 300_000
    assert load_text("tinyshakespeare") == text
    assert text.count(" the ") > 3_000
    assert sum(character.isascii() for character in text) > 0.999 * len(text)
    again = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, autograder.course as c; t = c.load_text(); sys.stderr.buffer.write(t.encode())",
        ],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert again.stderr.decode() == text
    assert "documentation inside Python" in printed()[0]


def test_a_text_of_the_folder(folder: Path, printed: Printed) -> None:
    path = write(folder / "wikitext-2/wiki.valid.tokens", " = Lobsters = \r\n \r\n They are <unk> .\r\n")
    assert load_text("wikitext-2") == " = Lobsters = \n \n They are <unk> .\n"
    assert printed() == [f"wikitext-2: 35 characters in 3 lines, from {path}."]
    write(folder / "wikitext-2/train.txt", b"\xff")
    assert "line 1: this is not UTF-8" in the_error(lambda: load_text("wikitext-2"))
    (folder / "tinyshakespeare").mkdir()
    assert "none of input.txt" in the_error(lambda: load_text("tinyshakespeare"))


def test_a_python_without_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    python_documentation.cache_clear()
    assert "pydoc_data" in the_error(load_text)


@pytest.mark.skipif(not SLICES.is_dir(), reason="the real slices are not here")
class TestRealSlices:
    @pytest.fixture(autouse=True)
    def _named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(sources.VARIABLE, str(SLICES))
        monkeypatch.setattr(sources, "hub", None)

    def test_sst2(self) -> None:
        train, validation = load_sentiment(), load_sentiment("validation")
        assert (len(train), len(validation)) == (67_349, 872)
        assert train[0] == {"text": "hide new secretions from the parental units", "label": 0}
        assert sum(train["label"]) == 37_569
        assert sum(load_sentiment(limit=2_000)["label"]) == 1_000

    def test_imdb(self) -> None:
        train, validation = (load_sentiment(split, name="imdb") for split in ("train", "validation"))
        assert (len(train), len(validation)) == (800, 200)
        assert 300 < sum(train["label"]) < 500
        assert 75 < sum(validation["label"]) < 125

    def test_texts(self) -> None:
        assert load_text("tinyshakespeare").startswith("First Citizen:\nBefore we proceed")
        assert load_text("wikitext-2").startswith(" \n = Homarus gammarus = \n")

    def test_a_tokenizers_folder_without_settings(self) -> None:
        assert "tokenizer_config.json" in the_error(lambda: pretrained_tokenizer("gpt2-tokenizer"))


# -- the hub, simulated ----------------------------------------------------------------------------------------------


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A hub that gives what the test puts into it: `load_dataset` returns, or raises, the next thing."""
    waiting: list[Any] = []

    def load_dataset(*arguments: Any, **options: Any) -> Any:
        answer = waiting.pop(0)
        if isinstance(answer, Exception):
            raise answer
        asked, columns = answer
        assert (*arguments, options["split"]) == asked
        return datasets.Dataset.from_dict(columns)

    monkeypatch.setattr(sources, "hub", OnlineHub())
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    yield waiting
    assert not waiting


def test_the_hub_comes_second(online: list[Any], printed: Printed) -> None:
    online.append((("stanfordnlp/sst2", "train"), {"idx": [0, 1], "sentence": ["fine", "dull"], "label": [1, 0]}))
    online.append((("stanfordnlp/imdb", "test"), {"text": ["dull", "dire", "fine"], "label": [0, 0, 1]}))
    assert rows_of(load_sentiment()) == [("fine", 1), ("dull", 0)]
    assert {label for _, label in rows_of(load_sentiment("validation", limit=2, name="imdb"))} == {0, 1}
    assert printed() == [
        "sst2 (train): 2 of 2 rows, from the Hugging Face hub (stanfordnlp/sst2).",
        "imdb (validation): 2 of 3 rows, from the Hugging Face hub (stanfordnlp/imdb).",
    ]


def test_texts_of_the_hub(online: list[Any]) -> None:
    online.append((("karpathy/tiny_shakespeare", None, "train+validation+test"), {"text": ["First\n", "Last\n"]}))
    online.append((("Salesforce/wikitext", "wikitext-2-v1", "train"), {"text": ["", " = A = \n", " b\n"]}))
    assert load_text("tinyshakespeare") == "First\nLast\n"
    assert load_text("wikitext-2") == " = A = \n b\n"


def test_a_hub_that_fails_is_not_asked_again(online: list[Any], printed: Printed) -> None:
    online.append(ConnectionResetError("gone"))
    for _ in range(2):
        assert len(load_sentiment()) >= 340
    failed, *served = printed()
    assert "does not give stanfordnlp/sst2 (ConnectionResetError)" in failed
    assert len(served) == 2


def test_offline_by_the_environment_means_that_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    monkeypatch.setattr(sources, "_why_unreachable", None)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "yes")
    assert not sources.hub.answers()
    assert not sources.hub.answers()
    assert printed() == ["The Hugging Face hub is not asked: TRANSFORMERS_OFFLINE is set."]


def asking(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> tuple[bool, float]:
    """Whether a hub at this address answers, and after how long."""
    from huggingface_hub import constants

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    start = time.monotonic()
    return sources.hub.answers(), time.monotonic() - start


def test_a_hub_that_keeps_silent_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch, printed: Printed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answers, seconds = asking(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert not answers
        assert seconds < 4
        start = time.monotonic()
        assert not sources.hub.answers()
        assert time.monotonic() - start < 0.1
    (line,) = printed()
    assert line.startswith("The Hugging Face hub cannot be reached (")


def test_a_name_that_is_looked_up_for_ever(monkeypatch: pytest.MonkeyPatch, printed: Printed) -> None:
    from huggingface_hub import utils

    monkeypatch.setattr(utils, "get_session", lambda: SimpleNamespace(head=lambda *_, **__: time.sleep(5)))
    answers, seconds = asking(monkeypatch, "http://127.0.0.1:9")
    assert not answers
    assert seconds < 4
    assert "no answer" in printed()[0]


def test_a_hub_that_answers(monkeypatch: pytest.MonkeyPatch, printed: Printed) -> None:
    from huggingface_hub import utils

    monkeypatch.setattr(utils, "get_session", lambda: SimpleNamespace(head=lambda *_, **__: None))
    assert asking(monkeypatch, "http://127.0.0.1:9")[0]
    assert not printed()


# -- models ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A tiny encoder's folder, as `save_pretrained` writes it."""
    return save_tiny_bert(tmp_path / "toy", ["a", "joy", "bore", "."], dtype=torch.half)


def test_the_default_encoder_comes_from_its_package(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "hub", None)
    encoder, tokenizer = pretrained_encoder().requires_grad_(False), pretrained_tokenizer()
    assert (encoder.config.model_type, encoder.config.num_hidden_layers, encoder.training) == ("bert", 6, False)
    lines = printed()
    assert lines[0] == f"{DEFAULT}: an encoder with 22,713,216 parameters, from the installed package {DEFAULT}."
    assert lines[1] == f"{DEFAULT}: a tokenizer with 30,522 tokens, from the installed package {DEFAULT}."
    sentences = ["A wonderful film.", "What a marvellous movie!", "The lift is out of order."]
    batch = tokenizer(sentences, padding=True, return_tensors="pt")
    assert batch["input_ids"].shape[1] == batch["attention_mask"].sum(1).max() < 12
    keep = batch["attention_mask"].unsqueeze(-1)
    means = (encoder(**batch).last_hidden_state * keep).sum(1) / keep.sum(1)
    near, far = (torch.cosine_similarity(means[0], means[i], dim=0) for i in (1, 2))
    assert near > far + 0.3  # it has read English


def test_a_head_is_new_and_the_same_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = pretrained_encoder(num_labels=3)
    assert torch.equal(torch.rand(2), expected)
    second, other = pretrained_encoder(num_labels=3), pretrained_encoder(num_labels=2)
    assert first.classifier.weight.shape == (3, 384)
    assert torch.equal(first.classifier.weight, second.classifier.weight)
    assert first.classifier.weight.std() > 0.01
    assert other.config.num_labels == 2
    shown = capsys.readouterr()
    assert "a new head for 3 labels" in shown.out
    assert not shown.err  # a notebook's cell that writes there looks like an error


@pytest.mark.parametrize("labels", [0, -1, 2.5, "2", True])
def test_labels_are_a_number(labels: Any) -> None:
    assert "num_labels" in the_error(lambda: pretrained_encoder(num_labels=labels))


def test_a_folder_of_ones_own(toy: Path, folder: Path, printed: Printed) -> None:
    encoder = pretrained_encoder(str(toy), num_labels=2)
    assert encoder.bert.embeddings.word_embeddings.weight.dtype == torch.float32
    assert len(pretrained_tokenizer(str(toy))) == 9
    assert all(f"from {toy}" in line for line in printed())
    toy.rename(folder / "mine")
    assert pretrained_encoder("mine").config.vocab_size == 9
    assert f"from {folder / 'mine'}" in printed()[0]


def test_the_folder_has_the_default_model_too(toy: Path, folder: Path) -> None:
    toy.rename(folder / DEFAULT)
    assert pretrained_encoder().config.vocab_size == 9


def test_a_folder_without_a_model(tmp_path: Path, toy: Path) -> None:
    (toy / "config.json").unlink()
    assert "has no config.json" in the_error(lambda: pretrained_encoder(str(toy)))
    assert pretrained_tokenizer(str(toy)).pad_token_id == 0  # that is all there
    assert "has no tokenizer_config.json / config.json" in the_error(lambda: pretrained_tokenizer(str(tmp_path)))


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_folder_with_a_damaged_file(toy: Path, file: str) -> None:
    (toy / file).write_bytes(b"{oh dear")
    assert "could not be loaded" in the_error(lambda: pretrained_encoder(str(toy)))


def test_a_tokenizer_that_cannot_pad(toy: Path) -> None:
    path = toy / "tokenizer_config.json"
    settings = {**json.loads(path.read_text()), "tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps({key: value for key, value in settings.items() if key != "pad_token"}))
    (toy / "special_tokens_map.json").unlink(missing_ok=True)
    said = the_error(lambda: pretrained_tokenizer(str(toy)))
    assert "no padding token" in said
    assert "tokenizer.pad_token = tokenizer.eos_token" in said


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/place", "~/no/such/place", "a b", "", "a/b/c", 3])
def test_a_name_that_is_neither_a_folder_nor_the_hubs(name: Any) -> None:
    assert "neither a folder" in the_error(lambda: pretrained_encoder(name))


def test_a_model_of_the_hub_without_the_hub(printed: Printed) -> None:
    said = the_error(lambda: pretrained_encoder("someone/some-model-that-is-not-here"))
    assert "the Hugging Face hub cannot be asked" in said
    assert len(printed()) == 1


def test_a_model_that_the_hub_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import RepositoryNotFoundError

    def unknown(name: str, **options: Any) -> None:
        assert not options["local_files_only"]
        try:
            raise RepositoryNotFoundError.__new__(RepositoryNotFoundError)
        except RepositoryNotFoundError as error:
            raise OSError(f"{name} is not a valid model identifier") from error

    monkeypatch.setattr(sources, "hub", OnlineHub())
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", unknown)
    assert "knows no model nobody/nothing" in the_error(lambda: pretrained_encoder("nobody/nothing"))


def test_a_model_of_the_hub(monkeypatch: pytest.MonkeyPatch, toy: Path, printed: Printed) -> None:
    real = transformers.AutoModel.from_pretrained
    monkeypatch.setattr(sources, "hub", OnlineHub())
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", lambda name, **options: real(str(toy)))
    assert pretrained_encoder("someone/toy").config.vocab_size == 9
    assert printed()[0].endswith("from the Hugging Face hub (someone/toy).")


def test_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograder.course.models.find_spec", lambda name: None)
    assert f"pip install {DEFAULT}" in the_error(pretrained_encoder)


# -- what importing and loading leave behind -------------------------------------------------------------------------


def test_importing_the_stand_ins_brings_no_large_library() -> None:
    look = "import autograder.course.standins, sys; print(*{'datasets', 'transformers'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert not found.stdout.strip()


def test_the_course_has_no_other_names() -> None:
    import autograder.course

    with pytest.raises(ImportError):
        exec("from autograder.course import load_nothing")
    assert set(autograder.course.__all__) <= set(dir(autograder.course))


EVERYTHING = """
from autograder.course import load_sentiment, load_text, pretrained_encoder, pretrained_tokenizer
load_text()
tokenizer = pretrained_tokenizer()
data = load_sentiment(limit=8).map(lambda rows: tokenizer(rows["text"]), batched=True)
assert len(data.train_test_split(0.5, seed=0)["train"].shuffle(seed=0)) == 4
assert pretrained_encoder(num_labels=2).config.num_labels == 2
"""


@pytest.mark.parametrize("home", ["/proc/nowhere", "{tmp}/missing"])
def test_nothing_is_written_but_temporary_files(tmp_path: Path, home: str) -> None:
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    work.mkdir()
    temporary.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_", "AUTOGRADER_"))}
    environment = {**kept, "HOME": home.format(tmp=tmp_path), "TMPDIR": str(temporary), "HF_HUB_OFFLINE": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", EVERYTHING], cwd=work, env=environment, check=True
    )
    assert not list(work.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporary", "work"]
