"""Chapter 1: an error costs its marks once, where it was made; the stand-ins are what they stand for."""

from typing import Any

import pytest
import torch
from toycourse import ROOT

from autograder.course import standins
from autograder.key import make_key
from autograder.selfcheck import judge_here
from autograder.solutions import load_chapter

CHAPTER = load_chapter(ROOT / "solutions" / "ch1")

# A right MultiHeadAttention as most write it: with all three earlier answers.
MODULE = """
from torch import nn

class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.q_proj, self.k_proj = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.v_proj, self.out_proj = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)

    def forward(self, query, key, value, keep_mask=None):
        q = split_heads(self.q_proj(query), self.num_heads)
        k = split_heads(self.k_proj(key), self.num_heads)
        v = split_heads(self.v_proj(value), self.num_heads)
        out, weights = scaled_dot_product_attention(q, k, v, keep_mask)
        return self.out_proj(merge_heads(out)), weights
"""

WRONG = {
    "nothing": "",
    "scaled_dot_product_attention": "def scaled_dot_product_attention(q, k, v, keep_mask=None): return q @ k.mT, v",
    "split_heads": "def split_heads(x, num_heads): return x.view(x.size(0), num_heads, x.size(1), -1)",
    "merge_heads": "def merge_heads(x): raise NotImplementedError()",
    "all three": "del split_heads, merge_heads, scaled_dot_product_attention",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_helper_costs_the_module_nothing(wrong: str) -> None:
    helpers = {"scaled_dot_product_attention", "split_and_merge_heads"}
    namespace: dict[str, Any] = {name: each for slug in helpers for name, each in CHAPTER[slug].answers.items()}
    exec(WRONG[wrong] + MODULE, namespace)
    verdict = judge_here(make_key(CHAPTER["multi_head_attention"], seed=4), namespace)
    assert verdict.status == "right"
    assert ("carried" in [remark.kind for remark in verdict.remarks]) == (wrong != "nothing")


def test_a_wrong_module_is_wrong_with_any_helpers() -> None:
    namespace: dict[str, Any] = {}
    exec(MODULE.replace("self.out_proj(merge_heads(out))", "merge_heads(out)"), namespace)
    verdict = judge_here(make_key(CHAPTER["multi_head_attention"], seed=4), namespace)
    assert verdict.fraction < 1
    assert verdict.mistake is not None


@pytest.mark.parametrize("seed", [1, 20_260_401])
def test_a_softmax_in_single_precision_is_right(seed: int) -> None:
    namespace: dict[str, Any] = {}
    exec("def stable_softmax(x, dim=-1): return x.float().softmax(dim)", namespace)
    verdict = judge_here(make_key(CHAPTER["stable_softmax"], seed=seed), namespace)
    assert verdict.status == "right"


def test_a_picture_without_labels_is_not_called_empty() -> None:
    namespace: dict[str, Any] = {}
    exec("def attention_map(weights, tokens, ax): ax.imshow(weights.detach().T); return ax", namespace)
    verdict = judge_here(make_key(CHAPTER["attention_map"], seed=1), namespace)
    assert verdict.mistake is None or verdict.mistake.name != "drawn_elsewhere"


def test_the_stand_ins_equal_the_references() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, 12, dtype=torch.float64, requires_grad=True)
    references = CHAPTER["split_and_merge_heads"].answers
    heads = standins.split(x, 3)
    torch.testing.assert_close(heads, references["split_heads"](x, 3))
    torch.testing.assert_close(standins.merge(heads), x)
    assert torch.autograd.gradcheck(lambda each: standins.merge(standins.split(each, 4)), (x,))
    query, key, value = (torch.randn(2, 3, n, d, dtype=torch.float64) for n, d in ((4, 6), (5, 6), (5, 7)))
    keep = torch.rand(2, 1, 4, 5) < 0.7
    keep[..., 0] = True
    attention = CHAPTER["scaled_dot_product_attention"].answers["scaled_dot_product_attention"]
    for ours, theirs in zip(
        standins.attention(query, key, value, keep), attention(query, key, value, keep), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_a_wrong_softmax_costs_the_attention_nothing() -> None:
    source = """
def stable_softmax(x, dim=-1): return x.exp() / x.exp().sum(0)
def scaled_dot_product_attention(query, key, value, keep_mask=None):
    scores = query @ key.transpose(-2, -1) / query.size(-1) ** 0.5
    if keep_mask is not None:
        scores = scores.masked_fill(~keep_mask, float("-inf"))
    weights = stable_softmax(scores)
    return weights @ value, weights
"""
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    verdict = judge_here(make_key(CHAPTER["scaled_dot_product_attention"], seed=4), namespace)
    assert verdict.status == "right"
    assert [remark.kind for remark in verdict.remarks] == ["carried"]
