"""Tensors and plain data as bytes, and back: safetensors for the numbers, JSON for the structure. Never pickle.

The bytes of a student's process are decoded with `decode`, which runs nothing, bounds size, depth and number of
nodes, and refuses recipes (only the grader's own side sends those).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from autograder.errors import DataError
from autograder.inputs import Recipe, Ref

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 24
MAX_NODES = 100_000
MAX_TEXT = 20_000  # characters of one string; a longer one is cut
MAX_STRUCTURE = 8 * 2**20  # bytes of the structure, and of the list of tensors: parsing them takes far more memory
_SIGNED, _UNSIGNED = (torch.int8, torch.int16, torch.int32, torch.int64), (torch.uint16, torch.uint32, torch.uint64)
_REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_DTYPES = frozenset((torch.bool, torch.uint8, *_SIGNED, *_UNSIGNED, *_REAL))
_TREE = "tree"
_EXACT_INTEGER = 2**53  # JSON numbers above it are not exact everywhere


@dataclass(frozen=True)
class Opaque:
    """A value that is not data, by the name of its type."""

    type_name: str


def encode(tree: Any) -> bytes:
    """Pack nested dicts, lists, tuples, numbers, strings, tensors, arrays and recipes.

    Anything else becomes `Opaque` with the name of its type. Raises DataError when the tree is too deep or too large.
    """
    packer = _Packer()
    node = packer.pack(tree, 0)
    text = json.dumps(node, ensure_ascii=True, allow_nan=False).encode()
    if len(text) > MAX_STRUCTURE:
        raise DataError(f"the value's texts and numbers take more than {MAX_STRUCTURE:,} bytes")
    tensors = {**packer.tensors, _TREE: torch.frombuffer(bytearray(text), dtype=torch.uint8)}
    return safetensors.torch.save(tensors)


def decode(data: bytes, *, recipes: bool = False, limit: int = MAX_BYTES) -> Any:
    """Unpack what `encode` made. Raises DataError for anything else, in one sentence.

    Args:
        data: the bytes.
        recipes: whether recipes may occur; never True for a student's reply.
        limit: bytes that are accepted at most.
    """
    if len(data) > limit:
        raise DataError(f"the reply is {len(data):,} bytes long; at most {limit:,} are accepted")
    if int.from_bytes(data[:8], "little") > MAX_STRUCTURE:  # safetensors begins with the length of its list of tensors
        raise DataError("the bytes are not a whole message (too long a header)")
    try:
        tensors = safetensors.torch.load(data)
        text = tensors.pop(_TREE).numpy().tobytes()
        node = json.loads(text.decode("ascii")) if len(text) <= MAX_STRUCTURE else None
    except Exception as error:  # whatever the two libraries say to bytes that they do not know
        raise DataError(f"the bytes are not a whole message ({type(error).__name__})") from None
    if len(text) > MAX_STRUCTURE or not all(tensor.dtype in _DTYPES for tensor in tensors.values()):
        raise DataError("the message is not of this format")
    return _Unpacker(tensors, recipes).unpack(node, 0)


class _Packer:
    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.nodes = 0

    def pack(self, value: Any, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise DataError(f"the value is nested more than {MAX_DEPTH} levels deep")
        if self.nodes > MAX_NODES:
            raise DataError(f"the value has more than {MAX_NODES:,} parts")
        if value is None or type(value) is bool:
            return value
        # The types are compared exactly: a subclass may lie about what it is, and counts as no data.
        if type(value) is str:
            return value[:MAX_TEXT]
        if type(value) is int:
            return value if abs(value) < _EXACT_INTEGER else {"i": str(value) if value.bit_length() < 4096 else "0"}
        if type(value) is float:
            return {"f": value.hex()}
        if type(value) is complex:
            return {"c": [value.real.hex(), value.imag.hex()]}
        if type(value) in (list, tuple) or _is_named_tuple(value):
            kind = "l" if type(value) is list else "u"
            return {kind: [self.pack(item, depth + 1) for item in value]}
        if isinstance(value, Mapping) and all(type(key) in (str, int) for key in value):
            pairs = [[self.pack(key, depth + 1), self.pack(item, depth + 1)] for key, item in value.items()]
            return {"d": pairs}
        if isinstance(value, Recipe):
            parts = [value.target, list(value.args), dict(value.kwargs), value.seed]
            return {"r": self.pack(parts, depth + 1)}
        if isinstance(value, Ref):
            return {"n": value.name}
        if isinstance(value, Opaque):
            return {"o": value.type_name[:200]}
        return self._pack_array(value)

    def _pack_array(self, value: Any) -> Any:
        try:
            if isinstance(value, np.generic | np.ndarray):
                value = torch.from_numpy(np.array(value))
            if isinstance(value, Tensor) and not value.is_nested:
                return self._pack_tensor(value.detach().to("cpu"))
        except (TypeError, RuntimeError, ValueError, NotImplementedError):
            pass  # an array of objects, a quantised tensor, a tensor without storage: no data
        return {"o": type(value).__name__[:200]}

    def _pack_tensor(self, value: Tensor) -> Any:
        if value.numel() * value.element_size() > MAX_BYTES:  # before it is laid out: it may be one number, expanded
            raise DataError(f"the value has a tensor of more than {MAX_BYTES:,} bytes")
        plain = value if value.layout is torch.strided else value.to_dense()
        plain = plain.as_subclass(Tensor).resolve_conj()  # type: ignore[misc]
        if plain.is_complex():
            return {"z": self._pack_tensor(torch.view_as_real(plain))["x"]}  # safetensors has no complex128
        if plain.dtype not in _DTYPES:
            return {"o": f"Tensor of {str(plain.dtype).removeprefix('torch.')}"}
        name = f"t{len(self.tensors)}"
        self.tensors[name] = plain.contiguous().clone()
        return {"x": name}


class _Unpacker:
    def __init__(self, tensors: dict[str, Tensor], recipes: bool) -> None:
        self.tensors, self.recipes, self.nodes = tensors, recipes, 0

    def unpack(self, node: Any, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise DataError("the message is nested too deep or has too many parts")
        if node is None or isinstance(node, bool | int):
            return node
        if isinstance(node, str):
            return _whole(node[:MAX_TEXT])
        if not isinstance(node, dict) or len(node) != 1:
            raise DataError("the message has a part that is not of this format")
        ((kind, body),) = node.items()
        try:
            return self._unpack_kind(kind, body, depth)
        except DataError:
            raise
        except Exception:
            raise DataError(f"the message has a malformed part of kind {str(kind)[:20]!r}") from None

    def _unpack_kind(self, kind: str, body: Any, depth: int) -> Any:
        if kind == "i":
            return int(body[:1500])
        if kind == "f":
            return float.fromhex(body)
        if kind == "c":
            return complex(float.fromhex(body[0]), float.fromhex(body[1]))
        if kind in ("l", "u", "d") and not isinstance(body, list):
            raise TypeError(kind)
        if kind in ("l", "u"):
            items = [self.unpack(item, depth + 1) for item in body]
            return items if kind == "l" else tuple(items)
        if kind == "d":
            return {self._key(key, depth): self.unpack(item, depth + 1) for key, item in body}
        if kind == "x":
            return self.tensors[body]
        if kind == "z":
            return torch.view_as_complex(self.tensors[body])
        if kind == "o":
            return Opaque(_whole(str(body)[:200]))
        if kind in ("r", "n") and not self.recipes:
            raise DataError("the message holds a recipe where only data is accepted")
        if kind == "n":
            return Ref(str(body))
        if kind == "r":
            target, args, kwargs, seed = self.unpack(body, depth + 1)
            return Recipe(target, tuple(args), kwargs, seed)
        raise DataError(f"the message has a part of unknown kind {kind[:20]!r}")

    def _key(self, node: Any, depth: int) -> str | int:
        key = self.unpack(node, depth + 1)
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise DataError("the message has a key that is neither text nor a whole number")
        return key


def _whole(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can carry and no file in UTF-8 can."""
    return text.encode("utf-8", "replace").decode()


def _is_named_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(type(value), "_fields")
