"""Cases are drawn from one seed, at a scale at which errors show."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from autograder.inputs import Ref
from autograder.make import Make, Trial


@given(st.integers(0, 2**32))
def test_the_same_seed_draws_the_same(seed: int) -> None:
    def draw(make: Make) -> list[Tensor]:
        return [make.normal(2, 3), make.uniform(4), make.integers(0, 9, 5), make.keep_mask(3, 4)]

    first, second = draw(Make(seed)), draw(Make(seed))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    make = Make(3)
    make.normal(3), make.uniform(3), make.integers(0, 3, 3), make.keep_mask(2, 3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_dtypes_and_ranges() -> None:
    make = Make(0)
    assert make.normal(2).dtype == torch.float64
    assert make.normal(2, dtype=torch.float32).dtype == torch.float32
    values = make.uniform(1000, low=0.5, high=2.0)
    assert 0.5 <= float(values.min()) <= float(values.max()) < 2.0
    assert set(make.integers(2, 5, 200).tolist()) == {2, 3, 4}
    assert abs(float(make.normal(4000, scale=0.2).std()) - 0.2) < 0.02


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(2, 6))
def test_every_row_of_a_mask_keeps_one_and_forbids_one(seed: int, rows: int, keys: int) -> None:
    mask = Make(seed).keep_mask(rows, keys)
    assert mask.dtype == torch.bool
    assert bool(mask.any(dim=-1).all())
    assert not bool(mask.all(dim=-1).any())


class Positions(nn.Module):
    """A module whose state begins with a float32 buffer, and that has two tied parameters and a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.ones(2, 3))
        self.register_buffer("count", torch.tensor(4))
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight


def test_a_state_is_float64_redrawn_and_ties_stay_tied() -> None:
    state = Make(1).state(Positions())
    assert list(state) == ["table", "count", "embed.weight", "head.weight"]
    assert {name: value.dtype for name, value in state.items()} == {
        "table": torch.float64,
        "count": torch.int64,
        "embed.weight": torch.float64,
        "head.weight": torch.float64,
    }
    assert torch.equal(state["embed.weight"], state["head.weight"])
    assert torch.equal(state["table"], torch.ones(2, 3, dtype=torch.float64))
    assert 0.05 < float(state["embed.weight"].std()) < 0.5


def test_inputs_go_by_position_in_the_order_of_the_reference() -> None:
    def reference(query: Tensor, key: Tensor, mask: Tensor | None = None, scale: float = 1.0) -> Tensor:
        return query

    make = Make(0)
    trial = make.call(scale=2.0, key=1, query=0).bound("reference", reference, gradients=True)
    assert list(trial.fields["inputs"]) == ["query", "key", "scale"]
    assert trial.fields["positional"] == 2  # the mask is left out: what follows it goes by name
    assert trial.fields["gradients"] is True
    assert make.call(query=0, key=1, mask=2, scale=3).bound("r", reference).fields["positional"] == 4


class Scale(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x

    def merged(self, other: Tensor, twice: bool) -> Tensor:
        return self.weight + other


def test_a_module_is_bound_to_its_forward_or_to_the_named_method() -> None:
    make = Make(0)
    trial = make.module(Scale, {"size": 3}, x=make.normal(3)).bound("Scale", Scale)
    assert (trial.runner, trial.answer, trial.fields["positional"]) == ("module", "Scale", 1)
    method = make.module(Scale, {"size": 3}, method="merged", twice=True, other=make.normal(3)).bound("Scale", Scale)
    assert list(method.fields["inputs"]) == ["other", "twice"]


def test_a_trial_is_data_and_back() -> None:
    make = Make(0)
    trial = make.call("f", after=("model",), model=make.recipe("a.b:c", make.ref("x"), 1, seed=2, size=3), x=1)
    assert Trial.from_data(trial.as_data()) == trial
    recipe = trial.fields["inputs"]["model"]
    assert (recipe.target, recipe.args, recipe.kwargs, recipe.seed) == ("a.b:c", (Ref("x"), 1), {"size": 3}, 2)
