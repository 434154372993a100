"""Chapter 3, sections 3.1 and 3.2: the references do what transformers and PyTorch do; chance is judged fairly."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from toycourse import ROOT
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer, DataCollatorForLanguageModeling

from autograder.exercise import ConceptQuestion, Exercise
from autograder.inputs import build_inputs
from autograder.key import make_key
from autograder.recipes import watched_generator
from autograder.runners import as_data
from autograder.selfcheck import judge_here
from autograder.solutions import load_exercise

SLUGS = ("freeze_encoder", "encode_pair", "mask_tokens", "masked_lm_loss", "next_sentence_pairs")
QUESTIONS = ("transfer_setting", "mlm_loss_start", "why_not_all_mask", "nsp_shortcut")
EXERCISES = {slug: load_exercise(ROOT / "solutions" / "ch3" / f"{slug}.py") for slug in (*SLUGS, *QUESTIONS)}
freeze_encoder, encode_pair, mask_tokens, masked_lm_loss, next_sentence_pairs = (
    EXERCISES[slug].answers[slug] for slug in SLUGS
)

WORDS = ["the", "tea", "is", "hot", "and", "we", "wait", "for", "it", "to", "cool"]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
VOCABULARY = {token: number for number, token in enumerate(TOKENS)}


def tokenizer() -> BertTokenizer:
    return BertTokenizer(vocab=dict(VOCABULARY))


# -- freezing ------------------------------------------------------------------------------------------------------


def bert(num_layers: int = 3) -> BertForSequenceClassification:
    sizes = {"vocab_size": 20, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12}
    return BertForSequenceClassification(BertConfig(**sizes, num_hidden_layers=num_layers, num_labels=3))


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_a_bert_of_transformers_is_frozen_from_below(num_layers: int) -> None:
    model = bert()
    trained = freeze_encoder(model, num_layers)
    below = ("bert.embeddings.", *(f"bert.encoder.layer.{number}." for number in range(num_layers)))
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if name.startswith(below)}
    assert trained == model.num_parameters(only_trainable=True)
    ids = torch.arange(10).view(2, 5)
    model(input_ids=ids, labels=torch.tensor([0, 2])).loss.backward()
    assert {name for name, parameter in model.named_parameters() if parameter.grad is None} == frozen


def test_the_numbers_of_bert_base_in_the_text() -> None:
    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig(num_labels=2))
    layer = sum(parameter.numel() for parameter in model.bert.encoder.layer[0].parameters())
    embeddings = sum(parameter.numel() for parameter in model.bert.embeddings.parameters())
    assert (embeddings, layer) == (23_837_184, 7_087_872)
    assert freeze_encoder(model, 8) == 4 * 7_087_872 + 590_592 + 2 * 769


# -- the input of BERT ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), [("the tea is hot", "we wait"), ("we wait", "for it to cool"), ("tea", "tea")])
def test_a_pair_is_encoded_as_by_the_tokenizer_of_bert(a: str, b: str) -> None:
    theirs = tokenizer()(a, b, padding="max_length", max_length=12, return_tensors="pt")
    first, second = ([VOCABULARY[word] for word in text.split()] for text in (a, b))
    ids, segments, mask = encode_pair(first, second, cls_id=2, sep_id=3, pad_id=0, max_len=12)
    assert torch.equal(ids, theirs["input_ids"][0])
    assert torch.equal(segments, theirs["token_type_ids"][0])
    assert torch.equal(mask, theirs["attention_mask"][0].bool())


# -- masking -------------------------------------------------------------------------------------------------------


def judges_of(exercise: Exercise, seed: int) -> list[tuple[Any, Mapping[str, Any]]]:
    """The judges of an exercise's hidden cases, each with the inputs of its case."""
    cases = [case for case in exercise.cases if case.judge is not None]
    return [(case.judge, exercise.trial(case, seed).fields["inputs"]) for case in cases]


def collated(ids: Tensor, inputs: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """What transformers' collator makes of the inputs of a case."""
    words = [f"w{number}" for number in range(inputs["vocab_size"] - 5)]
    their = BertTokenizer(vocab={token: number for number, token in enumerate([*TOKENS[:5], *words])})
    collator = DataCollatorForLanguageModeling(their, mlm=True, mlm_probability=inputs["probability"])
    special = torch.isin(ids, torch.tensor(inputs["special_ids"]))
    masked, labels = collator.torch_mask_tokens(ids.clone(), special)
    return masked, labels


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_collator_of_transformers_passes_the_exam(seed: int) -> None:
    torch.manual_seed(seed)
    for judge, inputs in judges_of(EXERCISES["mask_tokens"], seed):
        assert judge(inputs, None, collated(inputs["ids"], inputs)) is None


def test_masking_has_the_distribution_of_transformers() -> None:
    """Shares of 40,000 tokens, of which 16,000 are chosen: two answers differ by less than 7 standard deviations."""
    torch.manual_seed(0)
    ids = torch.randint(5, 300, (100, 400))
    given = {"mask_id": 4, "vocab_size": 300, "special_ids": [0, 2, 3], "probability": 0.4}
    ours = mask_tokens(ids, **given, generator=torch.Generator().manual_seed(5))
    theirs = collated(ids, given)
    for share in ("chosen", "masked", "kept", "replaced"):
        mine, other = (shares(ids, *each, mask_id=4)[share] for each in (ours, theirs))
        assert abs(mine - other) < 7 * math.sqrt(2 * 0.24 / 16_000), share


def shares(ids: Tensor, masked: Tensor, labels: Tensor, mask_id: int) -> dict[str, float]:
    chosen = labels != -100
    before, after = ids[chosen], masked[chosen]
    hidden, kept = after == mask_id, (after == before)
    parts = {"chosen": chosen, "masked": hidden, "kept": kept, "replaced": ~hidden & ~kept}
    return {name: float(part.double().mean()) for name, part in parts.items()}


def test_a_generator_of_its_own_makes_masking_repeatable() -> None:
    ids = torch.randint(5, 50, (8, 20), generator=torch.Generator().manual_seed(1))
    given = (ids, 4, 50, [0, 2, 3], 0.5)
    first, again, other = (mask_tokens(*given, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


@pytest.mark.parametrize("slug", ["mask_tokens", "next_sentence_pairs"])
def test_a_right_answer_passes_under_many_seeds(slug: str) -> None:
    exercise = EXERCISES[slug]
    for seed in range(100, 140):
        for judge, inputs in judges_of(exercise, seed):
            result = exercise.answers[slug](**build_inputs(inputs, "cpu"))
            assert judge(inputs, None, result) is None, seed


def test_a_watched_generator_tells_whether_it_was_drawn_from() -> None:
    generator = watched_generator(3)
    assert as_data(generator) == {"used": "no"}
    expected = torch.rand(4, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.rand(4, generator=generator), expected)
    assert as_data(generator) == {"used": "yes"}


# -- the loss ------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_cross_entropy_that_ignores_what_has_no_label() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 7, 11, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(11, (3, 7)).masked_fill(torch.rand(3, 7) < 0.6, -100)
    ours = masked_lm_loss(logits, labels)
    theirs = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)))


def test_over_nothing_the_loss_is_0_and_so_is_its_gradient() -> None:
    logits = torch.randn(2, 3, 4, requires_grad=True)
    loss = masked_lm_loss(logits, torch.full((2, 3), -100))
    assert float(loss.detach()) == 0
    (gradient,) = torch.autograd.grad(loss, logits)
    assert not gradient.any()


def test_the_loss_before_training_is_that_of_the_question() -> None:
    labels = torch.randint(20_000, (1, 6), generator=torch.Generator().manual_seed(1))
    loss = masked_lm_loss(torch.zeros(1, 6, 20_000, dtype=torch.float64), labels)
    assert float(loss) == pytest.approx(EXERCISES["mlm_loss_start"].references[0], rel=1e-4)


# -- next sentences ------------------------------------------------------------------------------------------------


def test_the_pairs_are_the_ones_of_the_text() -> None:
    documents = [["a0", "a1", "a2"], ["b0"], ["c0", "c1"]]
    seen = set()
    for seed in range(60):
        pairs, labels = next_sentence_pairs(documents, torch.Generator().manual_seed(seed))
        assert [first for first, _ in pairs] == ["a0", "a1", "c0"]
        for (_, second), following, label in zip(pairs, ("a1", "a2", "c1"), labels, strict=True):
            assert (second == following) == (label == 0)
        seen.add(pairs[0][1])
    assert seen == {"a1", "b0", "c0", "c1"}


# -- the questions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", QUESTIONS)
def test_each_wrong_answer_of_a_question_is_named(slug: str) -> None:
    question = EXERCISES[slug]
    assert isinstance(question, ConceptQuestion)
    key = make_key(question, seed=1)
    assert judge_here(key, {slug: question.references[0]}).status == "right"
    for mistake in question.mistakes:
        verdict = judge_here(key, {slug: mistake.answers[slug]})
        assert verdict.mistake is not None
        assert verdict.mistake.name == mistake.name
    if question.choices is not None:
        assert len(question.mistakes) == len(question.choices) - 1
