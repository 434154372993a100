"""Chapter 2, sections 2.2 to 2.4: the references give what PyTorch and transformers give with the same weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toycourse import ROOT
from transformers.models.distilbert.modeling_distilbert import create_sinusoidal_embeddings

from autograder.exercise import ConceptQuestion
from autograder.key import make_key
from autograder.selfcheck import judge_here
from autograder.solutions import load_chapter

CHAPTER = load_chapter(ROOT / "solutions" / "ch2")
encode = CHAPTER["sinusoidal_positional_encoding"].answers["sinusoidal_positional_encoding"]
feed_forward = CHAPTER["feed_forward"].answers["feed_forward"]
layer_norm = CHAPTER["layer_norm"].answers["layer_norm"]
ResidualConnection = CHAPTER["residual_connection"].answers["ResidualConnection"]

QUESTIONS = ("position_without_encoding", "ffn_parameters", "norm_axis", "pre_or_post_norm")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


# -- positional encoding -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_len", "d_model"), [(1, 2), (50, 6), (128, 64)])
def test_the_positional_encoding_is_that_of_transformers(max_len: int, d_model: int) -> None:
    table = create_sinusoidal_embeddings(max_len, d_model, torch.empty(max_len, d_model))
    torch.testing.assert_close(encode(max_len, d_model), table, rtol=1e-4, atol=2e-5)


def test_the_inner_product_of_two_positions_depends_on_their_distance_alone() -> None:
    table = encode(40, 16).double()
    products = table @ table.T
    for distance in (0, 1, 7):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=1e-5, atol=1e-5)


def test_the_rows_in_the_text() -> None:
    rows = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.841, 0.540, 0.010, 1.000], [0.909, -0.416, 0.020, 1.000]])
    torch.testing.assert_close(encode(3, 4), rows, rtol=0, atol=6e-4)


# -- feed-forward network ------------------------------------------------------------------------------------------


def test_the_feed_forward_network_is_a_sequential_of_linear_layers() -> None:
    network = nn.Sequential(nn.Linear(5, 11), nn.ReLU(), nn.Linear(11, 5)).double()
    x = draw(2, 3, 5).requires_grad_()
    weights = [network[0].weight.T, network[0].bias, network[2].weight.T, network[2].bias]
    ours, theirs = feed_forward(x, *weights), network(x)
    torch.testing.assert_close(ours, theirs)
    sources = [x, *network.parameters()]
    seed = draw(*ours.shape)
    for mine, other in zip(
        torch.autograd.grad(ours, sources, seed), torch.autograd.grad(theirs, sources, seed), strict=True
    ):
        torch.testing.assert_close(mine, other)


# -- layer norm ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_layer_norm_is_that_of_torch(eps: float) -> None:
    norm = nn.LayerNorm(4, eps=eps).double()
    with torch.no_grad():
        norm.weight.copy_(draw(4))
        norm.bias.copy_(draw(4))
    x = draw(3, 5, 4)
    x[0, 0] *= 1e-3
    x[2, 4] = 1.5
    x.requires_grad_()
    ours, theirs = layer_norm(x, norm.weight, norm.bias, eps), norm(x)
    torch.testing.assert_close(ours, theirs)
    sources, seed = [x, *norm.parameters()], draw(3, 5, 4)
    for mine, other in zip(
        torch.autograd.grad(ours, sources, seed), torch.autograd.grad(theirs, sources, seed), strict=True
    ):
        torch.testing.assert_close(mine, other)


def test_layer_norm_without_an_eps_takes_pytorchs_own() -> None:
    x, gamma, beta = 1e-3 * draw(2, 3, 6), draw(6), draw(6)
    torch.testing.assert_close(layer_norm(x, gamma, beta), F.layer_norm(x, (6,), gamma, beta))


@pytest.mark.parametrize("seed", [1, 20_260_401])
def test_a_norm_in_single_precision_is_right(seed: int) -> None:
    def single(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
        return layer_norm(x.float(), gamma.float(), beta.float(), eps)

    verdict = judge_here(make_key(CHAPTER["layer_norm"], seed=seed), {"layer_norm": single})
    assert verdict.status == "right"


@pytest.mark.parametrize("mistake", ["unbiased_variance", "eps_outside_the_root"])
def test_a_detail_of_the_norm_does_not_cost_all_its_marks(mistake: str) -> None:
    (wrong,) = [each for each in CHAPTER["layer_norm"].mistakes if each.name == mistake]
    verdict = judge_here(make_key(CHAPTER["layer_norm"], seed=4), dict(wrong.answers))
    assert 0 < verdict.fraction < 0.5


# -- residual connection -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_first", [False, True])
def test_two_residual_connections_are_an_encoder_layer(norm_first: bool) -> None:
    layer = nn.TransformerEncoderLayer(12, 3, 20, dropout=0.0, batch_first=True, norm_first=norm_first).double()
    frames = []
    for norm in (layer.norm1, layer.norm2):
        with torch.no_grad():
            norm.weight.copy_(draw(12))
            norm.bias.copy_(draw(12))
        frame = ResidualConnection(12, pre_norm=norm_first).double()
        frame.norm.load_state_dict(norm.state_dict())
        frames.append(frame)
    x = draw(2, 5, 12)
    ours = frames[0](x, lambda y: layer.self_attn(y, y, y, need_weights=False)[0])
    ours = frames[1](ours, lambda y: layer.linear2(F.relu(layer.linear1(y))))
    torch.testing.assert_close(ours, layer(x))


# -- questions -----------------------------------------------------------------------------------------------------


def test_the_questions_have_answers_of_their_own() -> None:
    letters = []
    for slug in QUESTIONS:
        question = CHAPTER[slug]
        assert isinstance(question, ConceptQuestion)
        named = {mistake.name for mistake in question.mistakes}
        if question.choices:
            letters.append(question.references[0])
            assert named == {f"answered {letter}" for letter in question.choices if letter != letters[-1]}
    assert len(set(letters)) == len(letters)


def test_the_share_of_the_feed_forward_network_is_what_pytorch_counts() -> None:
    layer = nn.TransformerEncoderLayer(64, 8, 192)
    sizes = {name: p.numel() for name, p in layer.named_parameters() if p.dim() == 2}
    network = sum(size for name, size in sizes.items() if name.startswith("linear"))
    assert CHAPTER["ffn_parameters"].references[0] == pytest.approx(network / sum(sizes.values()), rel=1e-3)
