"""Chapter 3, the second notebook: the references against PyTorch, transformers and scikit-learn, and its vocabulary."""

import copy
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import peft
import pytest
import torch
import torch.nn.functional as F
import transformers
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.utils import parametrize
from toycourse import ROOT

from autograder.course import curves
from autograder.key import make_key
from autograder.runners import as_data
from autograder.selfcheck import judge_here
from autograder.solutions import load_exercise

FOLDER = ROOT / "solutions" / "ch3"
LORA, TRUNCATE, CURVE = (
    load_exercise(FOLDER / f"{slug}.py") for slug in ("lora_linear", "truncate_pair", "learning_curve")
)
LoRALinear = LORA.answers["LoRALinear"]
truncate_pair = TRUNCATE.answers["truncate_pair"]
learning_curve = CURVE.answers["learning_curve"]


def verdict_on(exercise: Any, source: str) -> Any:
    """The exam's verdict on an answer that is written as a student would write it."""
    namespace: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "math": math, "copy": copy, "plt": plt}
    exec(source, namespace)
    return judge_here(make_key(exercise, seed=5), namespace)


# -- LoRALinear ----------------------------------------------------------------------------------------------------


def adapted(fan_in: int, fan_out: int, rank: int, alpha: float, bias: bool = True) -> Any:
    """A LoRALinear, float64, that is no longer at its start."""
    torch.manual_seed(0)
    module = LoRALinear(nn.Linear(fan_in, fan_out, bias=bias), rank, alpha).double()
    nn.init.normal_(module.b)
    return module


class LowRank(nn.Module):
    """The same update as a parametrization of PyTorch's own."""

    def __init__(self, module: Any, scale: float) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(module.a.detach().clone()), nn.Parameter(module.b.detach().clone())
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        return torch.addmm(weight, self.b, self.a, alpha=self.scale)


@pytest.mark.parametrize("bias", [True, False])
def test_lora_equals_a_parametrized_linear_layer(bias: bool) -> None:
    module = adapted(6, 4, rank=3, alpha=7.5, bias=bias)
    twin = copy.deepcopy(module.linear)
    parametrize.register_parametrization(twin, "weight", LowRank(module, 2.5))
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(module(x), twin(x))
    module(x).square().sum().backward()
    twin(x).square().sum().backward()
    update: Any = twin.parametrizations["weight"][0]
    torch.testing.assert_close(module.a.grad, update.a.grad)
    torch.testing.assert_close(module.b.grad, update.b.grad)
    assert all(parameter.grad is None for parameter in module.linear.parameters())


@pytest.mark.parametrize("bias", [True, False])
def test_a_merged_layer_computes_the_same_and_leaves_the_module_as_it_was(bias: bool) -> None:
    module = adapted(5, 7, rank=2, alpha=3.0, bias=bias)
    before = copy.deepcopy(module.state_dict())
    x = torch.randn(3, 5, dtype=torch.float64)
    first, second = module.merge(), module.merge()
    assert type(first) is nn.Linear
    assert all(parameter.requires_grad for parameter in first.parameters())
    torch.testing.assert_close(first(x), module(x))
    torch.testing.assert_close(second(x), module(x))
    torch.testing.assert_close(dict(module.state_dict()), dict(before), rtol=0, atol=0)


def test_lora_equals_peft() -> None:
    module = adapted(6, 4, rank=3, alpha=7.5)
    theirs = peft.get_peft_model(
        nn.Sequential(copy.deepcopy(module.linear)), peft.LoraConfig(r=3, lora_alpha=7.5, target_modules=["0"])
    ).double()
    layer = theirs.base_model.model[0]
    layer.lora_A["default"].weight.data, layer.lora_B["default"].weight.data = module.a.data, module.b.data
    x = torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(module(x), theirs(x))


def test_lora_in_a_real_encoder_changes_nothing_at_first_and_can_be_merged_away() -> None:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48
    )
    plain = transformers.BertModel(config).eval()
    ids = torch.randint(50, (2, 7))
    model = copy.deepcopy(plain)
    for layer in model.encoder.layer:
        layer.attention.self.query = LoRALinear(layer.attention.self.query, 4, 8.0)
        layer.attention.self.value = LoRALinear(layer.attention.self.value, 4, 8.0)
    with torch.no_grad():
        torch.testing.assert_close(model(ids).last_hidden_state, plain(ids).last_hidden_state, rtol=0, atol=0)
        for layer in model.encoder.layer:
            nn.init.normal_(layer.attention.self.query.b)
            nn.init.normal_(layer.attention.self.value.b)
        moved = model(ids).last_hidden_state
        assert (moved - plain(ids).last_hidden_state).abs().max() > 0.01
        for layer in model.encoder.layer:
            layer.attention.self.query = layer.attention.self.query.merge()
            layer.attention.self.value = layer.attention.self.value.merge()
        torch.testing.assert_close(model(ids).last_hidden_state, moved, rtol=1e-4, atol=1e-5)


def test_the_number_of_trained_parameters_is_what_pytorch_counts() -> None:
    question = load_exercise(FOLDER / "lora_parameters.py")
    with torch.device("meta"):
        layers = [LoRALinear(nn.Linear(1024, fan_out), 16, 32.0) for fan_out in (1024, 1024, 4096)]
    trained = sum(p.numel() for layer in layers for p in layer.parameters() if p.requires_grad)
    assert 24 * trained == question.references[0]


def test_an_adapter_that_does_not_start_as_the_layer_is_named() -> None:
    source = """
class LoRALinear(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, linear.in_features))
        self.linear = linear.requires_grad_(False)
        self.b = nn.Parameter(0.01 * torch.randn(linear.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.a.T @ self.b.T)

    def merge(self):
        merged = nn.Linear(*self.linear.weight.T.shape, bias=self.linear.bias is not None)
        weight = self.linear.weight + self.scale * self.b @ self.a
        merged.load_state_dict({**self.linear.state_dict(), "weight": weight})
        return merged
"""
    verdict = verdict_on(LORA, source)
    assert 0 < verdict.fraction < 1
    assert verdict.mistake is not None
    assert verdict.mistake.name == "BothRandom"
    assert verdict_on(LORA, source.replace("0.01 * torch.randn", "0.0 * torch.randn")).status == "right"


# -- truncate_pair -------------------------------------------------------------------------------------------------


def every_pair() -> list[tuple[list[int], list[int], int]]:
    lengths = itertools.product(range(9), range(9), range(18))
    return [(list(range(n)), list(range(100, 100 + m)), limit) for n, m, limit in lengths]


def test_truncation_equals_that_of_transformers_python_tokenizers(tmp_path: Path, caplog: Any) -> None:
    legacy = pytest.importorskip("transformers.models.bert.tokenization_bert_legacy")
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "tea"]) + "\n")
    tokenizer = legacy.BertTokenizerLegacy(str(tmp_path / "vocab.txt"))
    for a, b, limit in every_pair():
        if not a or not b:
            continue
        theirs = tokenizer.truncate_sequences(a, b, len(a) + len(b) - limit, "longest_first")
        assert list(truncate_pair(a, b, limit)) == [list(theirs[0]), list(theirs[1])], (a, b, limit)


def test_fast_tokenizers_differ_in_who_keeps_the_odd_place_and_in_nothing_else() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = {f"w{i}": i for i in range(200)} | {"[UNK]": 200}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]")
    for a, b, limit in every_pair():
        if not a or not b or limit < 2:
            continue
        texts = (" ".join(f"w{i}" for i in ids) for ids in (a, b))
        found = tokenizer(*texts, truncation="longest_first", max_length=limit, add_special_tokens=False)["input_ids"]
        kept = sum(i < 100 for i in found)
        ours, rest = truncate_pair(a, b, limit)
        both_cut = min(len(a), len(b)) > limit // 2 and limit % 2 and len(a) + len(b) > limit
        if both_cut:  # the odd place: ours to the first, theirs to the longer one, to the second where none is
            assert len(ours) == limit // 2 + 1
            assert kept == limit // 2 + (len(a) > len(b)), (len(a), len(b), limit)
        else:
            assert (kept, len(found) - kept) == (len(ours), len(rest)), (len(a), len(b), limit)


def test_truncation_is_a_loop_that_drops_one_at_a_time() -> None:
    assert truncate_pair([11, 12, 13, 14, 15, 16, 17], [21, 22, 23, 24], 5) == ([11, 12, 13], [21, 22])
    a, b = [1, 2, 3], [4, 5]
    truncate_pair(a, b, 1)
    assert (a, b) == ([1, 2, 3], [4, 5])  # the lists that were handed over stay whole
    source = """
def truncate_pair(a, b, max_tokens):
    for _ in range(len(a) + len(b) - max_tokens):
        del (b if len(b) >= len(a) else a)[-1]
    return a, b
"""
    assert verdict_on(TRUNCATE, source).status == "right"  # changed in place, which costs nothing


# -- learning_curve ------------------------------------------------------------------------------------------------


def two_classes(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (80,), generator=generator)
    return torch.randn(80, 3, generator=generator) + 0.8 * y[:, None], y


def test_the_learning_curve_counts_as_scikit_learn_does() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    neighbors = pytest.importorskip("sklearn.neighbors")
    (x, y), (x_test, y_test) = two_classes(1), two_classes(2)
    orders = torch.stack([torch.randperm(80, generator=torch.Generator().manual_seed(seed)) for seed in (3, 4, 5)])
    sizes = [10, 20, 40, 80]
    _, _, theirs = selection.learning_curve(
        neighbors.NearestCentroid(),
        torch.cat([x, x_test]).numpy(),
        torch.cat([y, y_test]).numpy(),
        train_sizes=sizes,
        cv=[(order.numpy(), np.arange(80, 160)) for order in orders],
    )
    ours = learning_curve(sizes, orders, curves.trainer(x, y), curves.scorer(x_test, y_test), Figure().add_subplot())
    np.testing.assert_allclose(np.array(ours), theirs)


def test_the_example_that_is_worked_by_hand() -> None:
    train = curves.trainer(torch.tensor([[0.0], [2.0], [7.0], [11.0]]), torch.tensor([0, 0, 1, 1]))
    score = curves.scorer(torch.tensor([[1.0], [4.0], [4.5], [6.0], [12.0]]), torch.tensor([0, 0, 0, 1, 1]))
    ax = curves.curve_axes()
    found = learning_curve([1, 2, 4], torch.tensor([[0, 2, 1, 3], [3, 1, 2, 0]]), train, score, ax)
    assert found == [[0.6, 0.4], [0.6, 0.8], [1.0, 1.0]]
    assert ax["curve"]["x"] == [1.0, 2.0, 4.0]
    assert ax["curve"]["y"] == pytest.approx([0.5, 0.7, 1.0])


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: ax.plot([1, 10], [0.5, 0.75], "o"),
        lambda ax: ax.errorbar([1, 10], [0.5, 0.75], yerr=0.1, capsize=2, barsabove=True),
        lambda ax: (ax.axhline(0.5), ax.axvline(3), ax.scatter([1], [1]), ax.loglog([1, 10], [0.5, 0.75])),
        lambda ax: (ax.semilogx(torch.tensor([1, 10]), torch.tensor([0.5, 0.75])), ax.plot([1, 10], [0, 1])),
        lambda ax: (ax.fill_between([1, 10], 0, 1), ax.plot([3], [3], visible=False), ax.plot([1, 10], [0.5, 0.75])),
    ],
)
def test_axes_tell_the_first_line_however_it_was_drawn(draw: Callable[[Any], Any]) -> None:
    ax = curves.curve_axes()
    draw(ax)
    assert ax["curve"] == {"x": [1.0, 10.0], "y": [0.5, 0.75]}


def test_axes_tell_what_they_are_asked_for() -> None:
    ax = curves.curve_axes("x_scale", "y_label")
    ax.set(xscale="log", xlabel="Size", ylabel=" Accuracy ", title="A curve")
    assert as_data(ax) == {"x_scale": "log", "y_label": "accuracy"}
    assert as_data(curves.curve_axes()) == {"curve": None, "x_scale": "linear", "x_label": "", "y_label": ""}
    with pytest.raises(KeyError):
        ax["curve"]
    assert ax.get_title() == "A curve"
    assert {ax: 1}[ax] == 1
    assert copy.copy(ax).get_title() == "A curve"


def test_a_model_learns_from_indices_only() -> None:
    train = curves.trainer(*two_classes(1))
    with pytest.raises(ValueError, match="row of indices"):
        train(7)
    torch.testing.assert_close(train([3, 1, 4]), train(torch.tensor([4, 3, 1])))


def test_a_slip_in_the_picture_leaves_the_marks_of_the_accuracies() -> None:
    source = """
def learning_curve(sizes, orders, train, score, ax):
    accuracy = torch.tensor([[score(train(order[:n])) for order in orders] for n in sizes])
    ax.plot(sizes, accuracy.mean(1))
    return accuracy
"""
    verdict = verdict_on(CURVE, source)
    assert verdict.fraction == pytest.approx(0.75)
    right = source.replace("accuracy.mean(1))", 'accuracy.mean(1)); ax.set(xscale="log", xlabel="training examples")')
    right = right.replace("return", 'ax.set_ylabel("accuracy"); return')
    assert verdict_on(CURVE, right).status == "right"
