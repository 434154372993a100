"""Does an answer keep its tensors on its inputs' device? Found out without a GPU, on PyTorch's "meta" device.

Tensors there have shapes and no values, so that nothing is computed. PyTorch lets them meet tensors of the processor in
silence, which those of a GPU may not: `_Watch` sees it. Where meta tensors lack an operation, nothing is said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from autograder.inputs import Recipe, build_inputs
from autograder.make import Trial
from autograder.runners import run_out, tensors_in

_MADE_UP = "meta"
_ATEN = torch.ops.aten
_COPIES = frozenset((_ATEN._to_copy.default, _ATEN.copy_.default))
# A tensor of a GPU may be indexed by one of the processor.
_INDEXES = frozenset((_ATEN.index.Tensor, _ATEN.index_put.default, _ATEN.index_put_.default))


def stays_on_device(trial: Trial, namespace: Mapping[str, Any]) -> bool:
    """Whether the answer runs, and returns, on the device of its inputs; True where that cannot be found out."""
    answer, fields = namespace[trial.answer or ""], trial.fields
    try:
        with _Watch():
            called = _module(answer, fields) if trial.runner == "module" else answer
            inputs = build_inputs(_moved(fields["inputs"]), _MADE_UP)
            if trial.runner != "module" and not any(True for _ in tensors_in(inputs)):
                return True  # nothing says where the result belongs
            values, count = list(inputs.values()), fields["positional"]
            result = run_out(called(*values[:count], **dict(list(inputs.items())[count:])))
            return all(value.device.type == _MADE_UP for value in tensors_in(result))
    except _Met:
        return False
    except Exception:  # something that cannot be done without values (.item(), an `if`): no fault of the answer
        return True


class _Met(RuntimeError):
    """Tensors of two devices have met."""


class _Watch(TorchDispatchMode):  # type: ignore[misc]
    """Raises `_Met` in an operation that PyTorch would not do on a GPU, for one of its tensors lies elsewhere."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        here = any(tensor.device.type == _MADE_UP for tensor in tensors)
        elsewhere = any(tensor.device.type != _MADE_UP and tensor.dim() for tensor in tensors)
        if here and function in _COPIES and str(kwargs.get("device", _MADE_UP)) != _MADE_UP:
            return torch.empty_like(args[0], device=kwargs["device"], dtype=kwargs.get("dtype"))  # of no values
        allowed = function in _COPIES or (function in _INDEXES and args[0].device.type == _MADE_UP)
        if here and elsewhere and not allowed:
            raise _Met(f"{function} of tensors on two devices")
        return function(*args, **kwargs)


def first_of_each_kind(trials: Sequence[Trial]) -> list[int]:
    """The indices of trials worth asking here: where the device is lost does not depend on the values of the inputs."""
    seen: dict[Any, int] = {}
    for index, trial in enumerate(trials):
        inputs = tuple((name, type(value).__name__) for name, value in trial.fields.get("inputs", {}).items())
        seen.setdefault((trial.runner, trial.answer, trial.fields.get("method"), inputs), index)
    return list(seen.values())


def _module(answer: Any, fields: Mapping[str, Any]) -> Any:
    module: nn.Module = answer(**build_inputs(_moved(fields["init"]), _MADE_UP))
    dtype = next((value.dtype for value in fields["state"].values() if value.is_floating_point()), torch.float32)
    usual = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)  # else tied parameters come apart
    try:
        module = module.to(device=_MADE_UP, dtype=dtype)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(usual)
    return getattr(module, fields["method"]) if fields["method"] else module


def _moved(value: Any) -> Any:
    """Tensors on the made-up device in place of the tensors, those in recipes too."""
    if isinstance(value, Tensor):
        return torch.empty(value.shape, dtype=value.dtype, device=_MADE_UP)
    if isinstance(value, list | tuple):
        return type(value)(_moved(item) for item in value)
    if isinstance(value, Recipe):
        return replace(value, args=_moved(value.args), kwargs=_moved(value.kwargs))
    return {key: _moved(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def warm_up() -> None:
    """Load what operations on the made-up device need (seconds), so that processes forked after it have it already."""
    import torch._dynamo  # noqa: F401 (PyTorch does so by itself at the first of many operations, and of optimizers)
