"""Chapter 4, BERT: the references equal transformers' BERT with the same weights, and the texts say what is so."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toycourse import ROOT
from transformers import BertConfig, BertForPreTraining, BertModel
from transformers.models.bert import modeling_bert

from autograder.course.small_encoder import SmallEncoder
from autograder.exercise import Exercise
from autograder.solutions import load_exercise

# our module: theirs, in a layer
LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "norm2": "output.LayerNorm",
}
EMBEDDINGS = {
    "token": "word_embeddings",
    "position": "position_embeddings",
    "segment": "token_type_embeddings",
    "norm": "LayerNorm",
}
DTYPES = pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-5), (torch.float64, 1e-10)], ids=str)
ATTENTION = pytest.mark.parametrize("attention", ["eager", "sdpa"])


def exercise_of(slug: str) -> Exercise:
    return load_exercise(ROOT / "solutions" / "ch4" / f"{slug}.py")


def reference(slug: str, name: str) -> Any:
    return exercise_of(slug).answers[name]


def redrawn(module: nn.Module, dtype: torch.dtype) -> Any:
    """The module in evaluation mode, its weights redrawn at a visible scale."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.2)
    return module.to(dtype).eval()


def copied(ours: nn.Module, theirs: nn.Module, names: Mapping[str, str], dtype: torch.dtype) -> Any:
    """Ours with the weights of theirs, in evaluation mode."""
    state = theirs.state_dict()
    weights = {name: state[f"{names[name.rsplit('.', 1)[0]]}.{name.rsplit('.', 1)[1]}"] for name in ours.state_dict()}
    ours.to(dtype).load_state_dict(weights)
    return ours.eval()


def config(attention: str, **sizes: Any) -> BertConfig:
    usual = {"vocab_size": 23, "hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 17}
    made = BertConfig(**{**usual, "num_hidden_layers": 3, "max_position_embeddings": 11, **sizes})
    made._attn_implementation = attention
    return made


def embeddings_of(theirs: nn.Module, c: BertConfig, dtype: torch.dtype) -> Any:
    sizes = (c.vocab_size, c.max_position_embeddings, c.hidden_size)
    ours = reference("bert_embeddings", "BertEmbeddings")(*sizes, dropout=c.hidden_dropout_prob, eps=c.layer_norm_eps)
    return copied(ours, theirs, EMBEDDINGS, dtype)


def layer_of(theirs: nn.Module, c: BertConfig, dtype: torch.dtype) -> Any:
    sizes = (c.hidden_size, c.num_attention_heads, c.intermediate_size)
    ours = reference("bert_layer", "BertLayer")(*sizes, dropout=c.hidden_dropout_prob, eps=c.layer_norm_eps)
    return copied(ours, theirs, LAYER, dtype)


def inputs(*lengths: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, segment ids and which tokens are real, for rows of these lengths."""
    torch.manual_seed(5)
    time = max(lengths)
    real = torch.arange(time) < torch.tensor(lengths)[:, None]
    return torch.randint(1, 23, real.shape) * real, (torch.arange(time) >= 3).long() * real, real


# -- against transformers ----------------------------------------------------------------------------------------------


@DTYPES
def test_the_embeddings_equal_those_of_transformers(dtype: torch.dtype, within: float) -> None:
    c = config("eager")
    theirs = redrawn(modeling_bert.BertEmbeddings(c), dtype)
    ours = embeddings_of(theirs, c, dtype)
    ids, segments, _ = inputs(11, 7, 4)
    assert (ours(ids, segments) - theirs(input_ids=ids, token_type_ids=segments)).abs().max() < within
    assert (ours(ids) - theirs(input_ids=ids)).abs().max() < within


@DTYPES
@ATTENTION
@pytest.mark.parametrize(("width", "heads", "inner"), [(12, 3, 17), (8, 1, 5), (20, 10, 40)])
def test_a_layer_equals_one_of_transformers(
    dtype: torch.dtype, within: float, attention: str, width: int, heads: int, inner: int
) -> None:
    c = config(attention, hidden_size=width, num_attention_heads=heads, intermediate_size=inner)
    theirs = redrawn(modeling_bert.BertLayer(c), dtype)
    ours = layer_of(theirs, c, dtype)
    x = torch.randn(3, 7, width, dtype=dtype)
    assert (ours(x) - _first(theirs(x))).abs().max() < within
    keep = (torch.arange(7) < torch.tensor([7, 2, 5])[:, None])[:, None, None].expand(3, 1, 7, 7)
    added = torch.zeros(keep.shape, dtype=dtype).masked_fill(~keep, torch.finfo(dtype).min)
    assert (ours(x, keep) - _first(theirs(x, attention_mask=added))).abs().max() < within
    assert (ours(x, keep) - ours(x)).abs().max() > 0.01, "a mask that changes nothing tests nothing"


def _first(result: Any) -> Tensor:
    """A layer gives its output, or a tuple of which it is the first: this changed with transformers' version."""
    output: Tensor = result if isinstance(result, Tensor) else result[0]
    return output


@DTYPES
@ATTENTION
def test_a_stack_equals_bert_at_all_real_tokens(dtype: torch.dtype, within: float, attention: str) -> None:
    c = config(attention)
    theirs = redrawn(BertModel(c), dtype)
    ids, segments, real = inputs(11, 7, 4)
    x = embeddings_of(theirs.embeddings, c, dtype)(ids, segments)
    for layer in theirs.encoder.layer:
        x = layer_of(layer, c, dtype)(x, real[:, None, None])
    with torch.no_grad():
        expected = theirs(input_ids=ids, token_type_ids=segments, attention_mask=real.long()).last_hidden_state
    assert (x - expected)[real].abs().max() < within


def test_gradients_of_a_layer_equal_those_of_transformers() -> None:
    c = config("eager")
    theirs = redrawn(modeling_bert.BertLayer(c), torch.float64)
    ours = layer_of(theirs, c, torch.float64)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    weight = torch.randn(2, 5, 12, dtype=torch.float64)
    (ours(x) * weight).sum().backward()
    (_first(theirs(x)) * weight).sum().backward()
    named = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        module, kind = name.rsplit(".", 1)
        torch.testing.assert_close(parameter.grad, named[f"{LAYER[module]}.{kind}"].grad)


@pytest.mark.parametrize("pairs", [[0, 1, 1], [1, -100, 0]], ids=str)
def test_the_loss_equals_that_of_bert_for_pretraining(pairs: list[int]) -> None:
    model = redrawn(BertForPreTraining(config("sdpa")), torch.float64)
    ids, segments, real = inputs(11, 7, 4)
    labels = torch.where((torch.rand(ids.shape) < 0.4) & real, ids, -100)
    assert (labels != -100).any()
    given = {"input_ids": ids, "token_type_ids": segments, "attention_mask": real.long()}
    theirs = model(**given, labels=labels, next_sentence_label=torch.tensor(pairs))
    ours = reference("bert_pretraining_loss", "bert_pretraining_loss")(
        theirs.prediction_logits, theirs.seq_relationship_logits, labels, torch.tensor(pairs)
    )
    torch.testing.assert_close(ours, theirs.loss)


# -- what the texts say ------------------------------------------------------------------------------------------------


def test_the_loss_over_nothing_is_zero_and_so_are_its_gradients() -> None:
    words, pairs = torch.randn(2, 3, 5, requires_grad=True), torch.randn(2, 2, requires_grad=True)
    loss = reference("bert_pretraining_loss", "bert_pretraining_loss")(
        words, pairs, torch.full((2, 3), -100), torch.full((2,), -100)
    )
    loss.backward()
    assert loss == 0
    assert words.grad is not None
    assert pairs.grad is not None
    assert not words.grad.any()
    assert not pairs.grad.any()


def test_the_loss_worked_by_hand() -> None:
    words = [-math.log(math.exp(2) / (math.exp(2) + 3)), math.log(4), -math.log(math.exp(3) / (math.exp(3) + 3))]
    pairs = [math.log1p(math.exp(-2)), math.log1p(math.exp(1))]
    assert [round(cost, 3) for cost in words + pairs] == [0.341, 1.386, 0.139, 0.127, 1.313]
    assert [round(sum(costs) / len(costs), 3) for costs in (words, pairs, words + pairs)] == [0.622, 0.720, 0.661]
    trial = exercise_of("bert_pretraining_loss").trial(exercise_of("bert_pretraining_loss").cases[0], 0)
    loss = reference("bert_pretraining_loss", "bert_pretraining_loss")(**trial.fields["inputs"])
    assert round(float(loss), 3) == 1.342


def test_the_layer_worked_by_hand() -> None:
    h = F.layer_norm(torch.tensor([0.0, 2.0, 2.0, 4.0]), (4,))
    assert [round(v, 3) for v in F.gelu(h).tolist()] == [-0.111, 0.0, 0.0, 1.303]
    y = F.layer_norm(h + F.gelu(h), (4,))
    assert [round(v, 3) for v in y.tolist()] == [-1.192, -0.195, -0.195, 1.582]


def test_the_parameters_of_bert_base_and_the_share_of_the_embeddings() -> None:
    with torch.device("meta"):
        base, large = (
            BertModel(c)
            for c in (
                BertConfig(),
                BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096),
            )
        )

    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(base.embeddings) == 23_837_184
    assert count(base.encoder.layer[0]) == 7_087_872
    assert count(base.pooler) == 590_592
    assert count(base) == 109_482_240
    share = 100 * count(large.embeddings) / count(large)
    assert share == pytest.approx(exercise_of("bert_embedding_share").references[0], abs=1e-4)


def test_what_a_row_teaches() -> None:
    chosen = 0.15 * (128 - 3)
    assert exercise_of("bert_training_signal").references[0] == pytest.approx(1000 * 127 / chosen, abs=0.05)


# -- the classifier ----------------------------------------------------------------------------------------------------


def classifier(num_labels: int = 2) -> Any:
    torch.manual_seed(0)
    return reference("sentiment_classifier", "SentimentClassifier")(SmallEncoder(9, 6), num_labels)


def test_padding_does_not_change_what_a_text_is_given() -> None:
    model = classifier(3).eval()
    ids = torch.tensor([[1, 5, 7, 2]])
    longer = F.pad(ids, (0, 3), value=8)
    alone = model(ids, torch.ones(1, 4, dtype=torch.bool))
    padded = model(longer, torch.arange(7)[None] < 4)
    torch.testing.assert_close(alone, padded)


def test_the_classifier_learns_which_word_is_good() -> None:
    model = classifier()
    ids = torch.randint(3, 9, (128, 7), generator=torch.Generator().manual_seed(1))
    keep = torch.arange(7) < torch.randint(2, 8, (128, 1), generator=torch.Generator().manual_seed(2))
    labels = ((ids == 3) & keep).any(dim=1).long()
    assert 30 < int(labels.sum()) < 98
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(ids, keep), labels).backward()
        optimizer.step()
    assert (model(ids, keep).argmax(dim=1) == labels).float().mean() > 0.95


def test_the_small_encoder_hides_padding_and_nothing_else() -> None:
    torch.manual_seed(0)
    encoder, ids = SmallEncoder(9, 6), torch.tensor([[1, 2, 3, 4]])
    keep = torch.tensor([[True, True, True, False]])
    assert encoder(ids, keep).shape == (1, 4, encoder.config.hidden_size)
    other = ids.clone()
    other[0, 3] = 5
    torch.testing.assert_close(encoder(ids, keep)[:, :3], encoder(other, keep)[:, :3])
    assert (encoder(ids)[:, 0] != encoder(other)[:, 0]).any()
    assert encoder(ids, keep)[0, 3].abs().max() > 0.1, "what stands at padding must be able to do harm"
