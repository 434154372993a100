"""The codec gives back what it was given, and meets any other bytes with DataError."""

import contextlib
import json
import math
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from autograder import serialize
from autograder.errors import DataError
from autograder.inputs import Recipe, Ref
from autograder.serialize import MAX_DEPTH, MAX_NODES, MAX_STRUCTURE, MAX_TEXT, Opaque, decode, encode

REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64)
COMPLEX = (torch.complex64, torch.complex128)


def tensor(dtype: torch.dtype, shape: list[int], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(shape, generator=generator, dtype=torch.float64) * 100
    return (values + 1j * values.flip(0) if dtype.is_complex and shape else values).to(dtype)


tensors = st.builds(
    tensor,
    st.sampled_from((torch.bool, *WHOLE, *REAL, *COMPLEX)),
    st.lists(st.integers(0, 3), max_size=3),
    st.integers(0, 99),
)
numbers = st.integers(-(2**80), 2**80) | st.floats() | st.complex_numbers() | st.booleans()
leaves = st.none() | numbers | st.text() | tensors | st.builds(Opaque, st.text(max_size=20))
keys = st.text(max_size=8) | st.integers(-(2**60), 2**60)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=4).filter(lambda d: len(set(map(str, d))) == len(d))
    ),
    max_leaves=12,
)


def alike(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bool(torch.equal(a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, complex):
        return alike(a.real, b.real) and alike(a.imag, b.imag)
    return bool(a == b)


def is_data(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) in (str, int) and is_data(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_data, value))
    return value is None or isinstance(value, bool | int | float | complex | str | Tensor | Opaque)


# -- there and back ------------------------------------------------------------------------------------------------


@given(trees)
def test_nested_data_comes_back_as_it_was(tree: Any) -> None:
    assert alike(decode(encode(tree)), tree)


@given(trees)
def test_the_same_value_gives_the_same_bytes(tree: Any) -> None:
    assert encode(tree) == encode(decode(encode(tree)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(1.5), torch.tensor(1.5, dtype=torch.float64)),
        (np.int32(3), torch.tensor(3, dtype=torch.int32)),
        (np.bool_(True), torch.tensor(True)),
        (np.arange(6.0).reshape(2, 3)[:, ::-1], torch.tensor([[2.0, 1, 0], [5, 4, 3]], dtype=torch.float64)),
        (np.array([1j]), torch.tensor([1j], dtype=torch.complex128)),
        (torch.arange(3.0).expand(2, 3), torch.tensor([[0.0, 1, 2], [0, 1, 2]])),
        (torch.arange(6).reshape(2, 3).T, torch.tensor([[0, 3], [1, 4], [2, 5]])),
        (torch.eye(2).to_sparse(), torch.eye(2)),
        (torch.eye(2).to_mkldnn(), torch.eye(2)),
        (torch.tensor([1 + 2j]).conj(), torch.tensor([1 - 2j])),
        (torch.tensor([1 + 2j]).conj().imag, torch.tensor([-2.0])),
        (nn.Parameter(torch.ones(2)), torch.ones(2)),
        (torch.ones(2, requires_grad=True) * 2, torch.full((2,), 2.0)),
        (torch.tensor(2.5), torch.tensor(2.5)),
    ],
)
def test_arrays_of_every_kind_become_plain_tensors(value: Any, expected: Tensor) -> None:
    found = decode(encode(value))
    assert type(found) is Tensor
    assert not found.requires_grad
    assert alike(found, expected)


def test_named_tuples_and_mappings_become_plain() -> None:
    pair = namedtuple("pair", "a b")
    found = decode(encode([pair(1, 2), OrderedDict(x=torch.Size((2, 3)))]))
    assert found == [(1, 2), {"x": Opaque("Size")}]


def test_what_is_no_data_is_named_by_its_type() -> None:
    class Odd:
        pass

    class Lying(str):
        pass

    odd = [Odd(), {1, 2}, {(1, 2): 3}, len, Lying("x"), np.array(["a"]), torch.empty(2, device="meta"), iter(())]
    names = [found.type_name for found in decode(encode(odd))]
    assert names == ["Odd", "set", "dict", "builtin_function_or_method", "Lying", "ndarray", "Tensor", "tuple_iterator"]


@pytest.mark.parametrize("dtype", [torch.float8_e5m2, torch.float8_e4m3fn, torch.float8_e8m0fnu])
def test_a_dtype_that_does_not_travel_is_named(dtype: torch.dtype) -> None:
    found = decode(encode(torch.zeros(2, dtype=dtype)))
    assert found == Opaque(f"Tensor of {dtype}".replace("torch.", ""))


@pytest.mark.filterwarnings("ignore")
def test_a_quantised_or_nested_tensor_is_no_data() -> None:
    quantised = torch.quantize_per_tensor(torch.zeros(2), 1.0, 0, torch.qint8)
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    assert [type(found) for found in decode(encode([quantised, nested]))] == [Opaque, Opaque]


def test_texts_are_cut_and_made_whole() -> None:
    assert decode(encode("x" * (MAX_TEXT + 5))) == "x" * MAX_TEXT
    found = decode(encode(["a\ud800b", {"\udfff": Opaque("\ud801")}]))
    assert found == ["a?b", {"?": Opaque("?")}]
    json.dumps(found[0]).encode("utf-8")


def test_recipes_travel_only_where_they_are_welcome() -> None:
    recipe = Recipe("torch.nn:Linear", (2, Ref("x"), torch.ones(2)), {"bias": False}, seed=3)
    found = decode(encode({"recipe": recipe}), recipes=True)["recipe"]
    assert (found.target, found.args[:2], found.kwargs, found.seed) == (
        recipe.target,
        (2, Ref("x")),
        {"bias": False},
        3,
    )
    assert alike(found.args[2], torch.ones(2))
    for value in (recipe, [Ref("x")]):
        with pytest.raises(DataError, match="recipe"):
            decode(encode(value))


# -- too much ------------------------------------------------------------------------------------------------------


def test_too_deep_or_too_many_is_refused_on_the_way_out() -> None:
    deep: list[Any] = []
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    much = ["x" * MAX_TEXT] * (MAX_STRUCTURE // MAX_TEXT + 1)
    wide = torch.zeros(1).expand(10**12)
    for value in (deep, cyclic, [0] * MAX_NODES, much, wide):
        with pytest.raises(DataError):
            encode(value)


def message(node: Any, **parts: Tensor) -> bytes:
    """Bytes whose structure is `node`, whatever that is."""
    text = node if isinstance(node, bytes) else json.dumps(node).encode()
    return safetensors.torch.save({**parts, "tree": torch.frombuffer(bytearray(text), dtype=torch.uint8)})


def long_header(count: int) -> bytes:
    entries = {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(count)}
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04pickle",
        b"\xff" * 64,
        (8).to_bytes(8, "little") + b"        ",
        safetensors.torch.save({"other": torch.zeros(2)}),
        safetensors.torch.save({"tree": torch.zeros(0)}),
        message(b"{"),
        message(b"\xff\xfe"),
        message(b"NaN"),
        message(b"1" * 5000),
        message(b"[" * 100_000),
        message(b'{"l":[' * 60 + b"1" + b"]}" * 60),
        message(b"[" + b"[]," * (MAX_STRUCTURE // 3) + b"[]]"),
        message({"l": [0] * MAX_NODES}),
        message({"x": "t0"}, t0=torch.zeros(2, dtype=torch.float8_e5m2)),
        long_header(MAX_STRUCTURE // 60),
    ],
    ids=range(16),
)
def test_bombs_and_scraps_are_refused(data: bytes) -> None:
    with pytest.raises(DataError):
        decode(data)


def test_a_message_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(DataError, match="at most 10"):
        decode(encode([1, 2, 3]), limit=10)


@pytest.mark.parametrize("kind", [*"ifcludxzorn", "y", ""])
@pytest.mark.parametrize(
    "body", [None, 1, 1.5, "", "t0", "zz", [], [1], [[]], [1, 2, 3], {}, {"l": []}, [["a"]], "0x1p9999"]
)
def test_a_malformed_part_is_refused_or_read_as_data(kind: str, body: Any) -> None:
    data = message({kind: body}, t0=torch.zeros(3))
    with contextlib.suppress(DataError):
        assert is_data(decode(data))
    with contextlib.suppress(DataError):
        decode(data, recipes=True)


# -- any bytes -----------------------------------------------------------------------------------------------------


def only_data_or_data_error(data: bytes) -> None:
    try:
        found = decode(data)
    except DataError:
        return
    assert is_data(found)


@given(st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    only_data_or_data_error(data)


@given(trees, st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
def test_mutated_bytes(tree: Any, changes: list[tuple[int, int]]) -> None:
    data = bytearray(encode(tree))
    for place, value in changes:
        data[place % len(data)] = value
    only_data_or_data_error(bytes(data))


@given(trees, st.integers(0, 10**6), st.binary(max_size=4))
def test_truncated_and_prolonged_bytes(tree: Any, cut: int, more: bytes) -> None:
    data = encode(tree)
    only_data_or_data_error(data[: cut % len(data)] + more)
    only_data_or_data_error(data + more)


nodes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["t0", "0x1p3"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*"ifcludxzorn"]), inner, min_size=1, max_size=2)
    ),
    max_leaves=15,
)


@given(nodes)
def test_any_structure_in_whole_bytes(node: Any) -> None:
    only_data_or_data_error(message(node, t0=torch.zeros(2, 2)))


@pytest.mark.parametrize("dtype", ["F4", "F8_E8M0", "F6_E2M3", "X", "C64", "BOOL", "U64"])
@pytest.mark.parametrize("shape", [[2], [0], [0, 2**62], [2**40, 2**40], []])
def test_any_header(dtype: str, shape: list[int]) -> None:
    text = b'{"l":[{"x":"t0"}]}'
    header = {
        "t0": {"dtype": dtype, "shape": shape, "data_offsets": [0, 16]},
        "tree": {"dtype": "U8", "shape": [len(text)], "data_offsets": [16, 16 + len(text)]},
    }
    packed = json.dumps(header).encode()
    only_data_or_data_error(len(packed).to_bytes(8, "little") + packed + b"\x02" * 16 + text)


def test_nothing_is_unpickled_or_imported() -> None:
    source = Path(serialize.__file__).read_text(encoding="utf-8")
    for word in ("pickle", "eval(", "exec(", "__import__", "importlib"):
        assert word not in source.replace("Never pickle", "")
