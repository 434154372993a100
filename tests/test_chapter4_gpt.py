"""Chapter 4's GPT: it equals transformers' GPT-2 with the same weights, and so do the stand-ins and the cache."""

import inspect
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toycourse import ROOT
from transformers import GPT2Config, GPT2LMHeadModel

from autograder.course import gpt
from autograder.course.gpt import GPTConfig
from autograder.exercise import Exercise
from autograder.solutions import load_exercise


def exercise_of(slug: str) -> Exercise:
    return load_exercise(ROOT / "solutions" / "ch4" / f"{slug}.py")


def answer(slug: str, name: str) -> Any:
    return exercise_of(slug).answers[name]


class OfReferences(gpt.GPT):
    """The exercise's GPT, whose blocks are those of the exercise, too."""

    def __new__(cls, config: GPTConfig) -> Any:
        model = answer("gpt_model", "GPT")(config)
        model.blocks = nn.ModuleList(answer("gpt_block", "GPTBlock")(config) for _ in range(config.num_layers))
        return model


GPTS = pytest.mark.parametrize("gpt_class", [OfReferences, gpt.GPT], ids=["references", "stand-ins"])
CONFIGS = [
    GPTConfig(vocab_size=11, max_len=9, d_model=12, num_heads=3, num_layers=2),
    GPTConfig(vocab_size=7, max_len=6, d_model=8, num_heads=8, num_layers=1, eps=0.1),
    GPTConfig(vocab_size=19, max_len=12, d_model=20, num_heads=2, num_layers=3),
]
# newer versions of transformers call the argument cache, older ones past_key_values
CACHE = "cache" if "cache" in inspect.signature(GPT2LMHeadModel.forward).parameters else "past_key_values"
NAMES = {
    "token": "wte",
    "position": "wpe",
    "norm": "ln_f",
    "norm1": "ln_1",
    "qkv": "attn.c_attn",
    "output": "attn.c_proj",
    "norm2": "ln_2",
    "inner": "mlp.c_fc",
    "outer": "mlp.c_proj",
}


def huggingface(config: GPTConfig) -> GPT2LMHeadModel:
    sizes = {"n_embd": config.d_model, "n_head": config.num_heads, "n_layer": config.num_layers}
    rates = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocab_size, n_positions=config.max_len, layer_norm_epsilon=config.eps, **sizes, **rates
        )
    )
    return model.eval()


def copy_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Redraw our weights at std 0.2 and give them to transformers' model; its linear layers store (in, out)."""
    to = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        nn.init.normal_(parameter, std=0.2)
        *path, part, kind = name.split(".")
        where = ".".join([*(["h", path[1]] if path else []), NAMES[part], kind])
        linear = part in ("qkv", "output", "inner", "outer") and kind == "weight"
        to[f"transformer.{where}"].data.copy_(parameter.data.T if linear else parameter.data)


# -- the model -----------------------------------------------------------------------------------------------------


@GPTS
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_the_model_is_gpt_2(gpt_class: type[gpt.GPT], config: GPTConfig, dtype: torch.dtype, bound: float) -> None:
    torch.manual_seed(config.vocab_size)
    ours, theirs = gpt_class(config).to(dtype).eval(), huggingface(config).to(dtype)
    copy_weights(ours, theirs)
    for time in (1, config.max_len // 2, config.max_len):
        ids = torch.randint(config.vocab_size, (3, time))
        assert (ours(ids) - theirs(ids).logits).abs().max() < bound


@pytest.mark.parametrize("block_class", [answer("gpt_block", "GPTBlock"), gpt.GPTBlock], ids=["reference", "stand-in"])
def test_the_block_is_gpt_2_s(block_class: type[nn.Module]) -> None:
    config = CONFIGS[0]
    torch.manual_seed(1)
    ours, theirs = gpt.GPT(config).double(), huggingface(config).double()
    copy_weights(ours, theirs)
    block = block_class(config).double()
    block.load_state_dict(ours.blocks[1].state_dict())
    x = torch.randn(2, 7, config.d_model, dtype=torch.float64)
    result = theirs.transformer.h[1](x)
    assert (block(x) - (result[0] if isinstance(result, tuple) else result)).abs().max() < 1e-10


@GPTS
def test_gpt_2_small_has_as_many_parameters(gpt_class: type[gpt.GPT]) -> None:
    with torch.device("meta"):
        ours = gpt_class(GPTConfig(vocab_size=50257, max_len=1024, d_model=768, num_heads=12, num_layers=12))
        theirs = GPT2LMHeadModel(GPT2Config())
    assert sum(parameter.numel() for parameter in ours.parameters()) == 124_439_808
    assert sum(parameter.numel() for parameter in theirs.parameters()) == 124_439_808


@GPTS
def test_weights_start_as_those_of_gpt_2(gpt_class: type[gpt.GPT]) -> None:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=301, max_len=64, d_model=96, num_heads=4, num_layers=8)
    model = gpt_class(config) if gpt_class is gpt.GPT else answer("gpt_model", "GPT")(config)
    theirs = huggingface(config)
    for name, parameter in model.named_parameters():
        *path, part, kind = name.split(".")
        where = ".".join(["transformer", *(["h", path[1]] if path else []), NAMES[part], kind])
        expected = theirs.get_parameter(where)
        if parameter.ndim == 2:
            assert parameter.std().item() == pytest.approx(expected.std().item(), rel=0.06), name
        else:
            assert torch.equal(parameter, expected), name
    ids = torch.randint(301, (4, 64))
    loss = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(301), abs=0.1)


@GPTS
def test_no_logit_looks_ahead(gpt_class: type[gpt.GPT]) -> None:
    config = CONFIGS[2]
    torch.manual_seed(2)
    model = gpt_class(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    ids = torch.randint(config.vocab_size, (1, 10))
    for place in range(10):
        other = ids.clone()
        other[0, place] = (other[0, place] + 1) % config.vocab_size
        moved = (model(other) - model(ids)).abs().amax(dim=-1)[0] > 1e-6
        assert moved.tolist() == [now >= place for now in range(10)]


@GPTS
def test_too_long_a_text_is_refused_in_a_sentence(gpt_class: type[gpt.GPT]) -> None:
    model = gpt_class(CONFIGS[1])
    assert model(torch.zeros(1, 6, dtype=torch.long)).shape == (1, 6, 7)
    with pytest.raises(ValueError, match=r"There are 7 tokens, but only 6 positions \(max_len\)\.$"):
        model(torch.zeros(1, 7, dtype=torch.long))


def test_the_names_of_exercise_and_stand_in_are_the_same() -> None:
    ours, theirs = OfReferences(CONFIGS[0]).state_dict(), gpt.GPT(CONFIGS[0]).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"num_heads": 5}, r"^GPTConfig: d_model=12 cannot be divided into num_heads=5 heads .*\.$"),
        ({"num_layers": 0}, r"^GPTConfig: num_layers is 0; give at least 1\.$"),
        ({"dropout": 1.5}, r"^GPTConfig: dropout is 1\.5; give a share from 0 to 1\.$"),
    ],
)
def test_a_config_that_cannot_be_is_refused_in_a_sentence(changed: dict[str, Any], says: str) -> None:
    sizes: dict[str, Any] = {"vocab_size": 11, "max_len": 9, "d_model": 12, "num_heads": 3, "num_layers": 2}
    with pytest.raises(ValueError, match=says):
        GPTConfig(**{**sizes, **changed})


# -- the cache -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[10], [1] * 10, [4, 1, 1, 1, 1, 1, 1], [3, 5, 2]])
def test_attention_in_pieces_is_attention_over_the_whole(sizes: list[int]) -> None:
    torch.manual_seed(3)
    query, key, value = torch.randn(3, 2, 3, 10, 4, dtype=torch.float64)
    whole = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    cache = answer("kv_cache", "KVCache")()
    torch.testing.assert_close(cache.in_pieces(query, key, value, sizes), whole, rtol=1e-10, atol=1e-12)
    assert cache.length == 10
    assert torch.equal(cache.keys, key)
    assert torch.equal(cache.values, value)


@pytest.mark.parametrize("own_caches", [True, False], ids=["KVCache", "stand-in"])
def test_steps_with_a_cache_are_the_full_forward_and_what_gpt_2_does_with_its_own(own_caches: bool) -> None:
    next_logits, cache_class = answer("kv_cache", "next_logits"), answer("kv_cache", "KVCache")
    config = CONFIGS[2]
    torch.manual_seed(4)
    model, theirs = gpt.GPT(config).double().eval(), huggingface(config).double()
    copy_weights(model, theirs)
    ids = torch.randint(config.vocab_size, (2, 12))
    full: Tensor = model(ids)
    caches = [cache_class() for _ in model.blocks] if own_caches else gpt.filled_caches(model)
    at, past = 0, None
    for size in (5, 1, 1, 3, 1, 1):
        piece = ids[:, at : at + size]
        result = theirs(piece, use_cache=True, **{CACHE: past})
        past = result.past_key_values
        logits = next_logits(model, piece, caches)
        torch.testing.assert_close(logits, full[:, at : at + size], rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(logits, result.logits, rtol=1e-9, atol=1e-10)
        at += size
    assert [cache.length for cache in caches] == [12] * 3


def test_caches_that_have_read_something_hold_what_the_student_s_would_hold() -> None:
    model = gpt.random_gpt(vocab_size=9, max_len=8, d_model=6, num_heads=2, num_layers=2)
    ids = torch.randint(9, (2, 5))
    own = [answer("kv_cache", "KVCache")() for _ in model.blocks]
    answer("kv_cache", "next_logits")(model, ids, own)
    for mine, given in zip(own, gpt.filled_caches(model, ids), strict=True):
        keys, values = torch.cat(given.pieces, dim=-2).unbind()
        torch.testing.assert_close(keys, mine.keys)
        torch.testing.assert_close(values, mine.values)


# -- the questions, and the numbers of the texts -------------------------------------------------------------------


def test_the_parameters_of_one_block() -> None:
    with torch.device("meta"):
        medium = gpt.GPTBlock(GPTConfig(vocab_size=9, max_len=9, d_model=1024, num_heads=16, num_layers=24))
        small = gpt.GPTBlock(GPTConfig(vocab_size=9, max_len=9, d_model=768, num_heads=12, num_layers=12))
    counted = sum(parameter.numel() for parameter in medium.parameters())
    assert counted == answer("gpt_block_parameters", "gpt_block_parameters")
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in small.named_children()}
    assert parts["qkv"] == 1_771_776
    assert parts["output"] == 590_592
    assert parts["inner"] == 2_362_368
    assert parts["outer"] == 2_360_064
    assert parts["norm1"] == parts["norm2"] == 1_536
    assert sum(parts.values()) == 7_087_872
    assert 50_257 * 768 == 38_597_376
    assert 38_597_376 + 1024 * 768 + 12 * 7_087_872 + 1_536 == 124_439_808


def test_the_memory_of_a_cache() -> None:
    config = GPTConfig(vocab_size=5, max_len=20, d_model=1600, num_heads=25, num_layers=1)
    block, cache = gpt.GPTBlock(config), answer("kv_cache", "KVCache")()
    block(torch.zeros(1, 20, 1600), cache.attend)
    a_token = sum(part.numel() * part.element_size() for part in (cache.keys, cache.values)) / 20
    assert 48 * 1000 * a_token == answer("kv_cache_memory", "kv_cache_memory")
    assert 2 * 12 * 768 * 1024 * 2 == 37_748_736


def test_the_attention_worked_by_hand() -> None:
    x = torch.tensor([[[1.0, 3.0], [5.0, 1.0]]])
    mixed = F.scaled_dot_product_attention(torch.zeros_like(x), torch.zeros_like(x), x, is_causal=True)
    assert mixed.tolist() == [[[1.0, 3.0], [3.0, 2.0]]]


def test_the_masked_scores_worked_by_hand() -> None:
    scores = torch.tensor([[0.4, 2.0, 1.0], [0.0, math.log(3), 5.0], [math.log(2), 0.0, 0.0]])
    weights = scores.masked_fill(torch.ones(3, 3, dtype=torch.bool).triu(1), -math.inf).softmax(dim=-1)
    torch.testing.assert_close(weights, torch.tensor([[1, 0, 0], [0.25, 0.75, 0], [0.5, 0.25, 0.25]]))


def test_the_two_steps_with_a_cache_worked_by_hand() -> None:
    key, value = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[4.0, 0.0], [0.0, 8.0]])
    query, cache = torch.tensor([[3.0, 5.0], [0.0, 0.0]]), answer("kv_cache", "KVCache")()
    one, other = (cache.attend(*(x[None, None, i : i + 1] for x in (query, key, value))) for i in range(2))
    assert one.flatten().tolist() == [4.0, 0.0]
    assert other.flatten().tolist() == [2.0, 4.0]


def test_the_mask_of_the_library_is_at_the_upper_left_as_the_text_says() -> None:
    torch.manual_seed(5)
    query, key, value = torch.randn(1, 1, 2, 4), torch.randn(1, 1, 5, 4), torch.randn(1, 1, 5, 4)
    keep = torch.tensor([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0]]).bool()
    theirs = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(theirs, F.scaled_dot_product_attention(query, key, value, attn_mask=keep))


def test_the_two_forms_of_gelu_are_as_near_as_the_text_says() -> None:
    z = torch.linspace(-6, 6, 10_001, dtype=torch.float64)
    assert (F.gelu(z) - F.gelu(z, approximate="tanh")).abs().max() < 0.001
