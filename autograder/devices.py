"""Does an answer keep its tensors on its inputs' device? Found out without a GPU, on fake tensors of a made-up device.

Stands on private API of PyTorch (written for 2.13); where that has changed, or where fake tensors lack an operation,
the question is not asked and nothing is said.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from autograder.inputs import Recipe, build_inputs
from autograder.make import Trial
from autograder.runners import run_out, tensors_in

_MADE_UP = "gpu"
# What PyTorch says when two devices meet, in fake tensors and in its own checks.
_TELLS = ("unhandled device", "fake device propagation", "expected all tensors to be on the same device")


def stays_on_device(trial: Trial, namespace: Mapping[str, Any]) -> bool:
    """Whether the answer runs, and returns, on the device of its inputs; True where that cannot be found out.

    To be called in a process of its own: it registers a device for good.
    """
    if not _register():
        return True
    answer, fields = namespace[trial.answer or ""], trial.fields
    try:
        with FakeTensorMode(), _module_to():
            called = _module(answer, fields) if trial.runner == "module" else answer
            inputs = build_inputs(_moved(fields["inputs"]), _MADE_UP)
            if trial.runner != "module" and not any(True for _ in tensors_in(inputs)):
                return True  # nothing says where the result belongs
            values, count = list(inputs.values()), fields["positional"]
            result = run_out(called(*values[:count], **dict(list(inputs.items())[count:])))
            return all(value.device.type == _MADE_UP for value in tensors_in(result))
    except Exception as error:
        # Anything else is something that fake tensors cannot do (.item(), an `if` on values): no fault of the answer.
        text = f"{type(error).__name__} {error}".casefold()
        return not ("faketensordevicemismatch" in text or any(tell in text for tell in _TELLS))


def first_of_each_kind(trials: Sequence[Trial]) -> list[int]:
    """The indices of trials worth asking here: where the device is lost does not depend on the values of the inputs."""
    seen: dict[Any, int] = {}
    for index, trial in enumerate(trials):
        inputs = tuple((name, type(value).__name__) for name, value in trial.fields.get("inputs", {}).items())
        seen.setdefault((trial.runner, trial.answer, trial.fields.get("method"), inputs), index)
    return list(seen.values())


def _module(answer: Any, fields: Mapping[str, Any]) -> Callable[..., Any]:
    module: nn.Module = answer(**build_inputs(_moved(fields["init"]), _MADE_UP))
    dtype = next((value.dtype for value in fields["state"].values() if value.is_floating_point()), torch.float32)
    module = module.to(device=_MADE_UP, dtype=dtype)
    return getattr(module, fields["method"]) if fields["method"] else module


def _moved(value: Any) -> Any:
    """Fake tensors on the made-up device in place of the tensors, those in recipes too."""
    if isinstance(value, Tensor):
        return torch.empty(value.shape, dtype=value.dtype, device=_MADE_UP)
    if isinstance(value, list | tuple):
        return type(value)(_moved(item) for item in value)
    if isinstance(value, Recipe):
        return replace(value, args=_moved(value.args), kwargs=_moved(value.kwargs))
    return {key: _moved(item) for key, item in value.items()} if isinstance(value, Mapping) else value


_warm = False


def warm_up() -> None:
    """Load what fake tensors need (about a second), so that processes forked after it have it already."""
    global _warm
    if not _warm:
        with FakeTensorMode():
            torch.empty(1)
        _warm = True


_registered: bool | None = None


def _register() -> bool:
    global _registered
    if _registered is None:
        try:
            from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

            _setup_privateuseone_for_python_backend(_MADE_UP)
            _registered = True
        except Exception:
            _registered = False
    return _registered


@contextlib.contextmanager
def _module_to() -> Iterator[None]:
    """Put `_to` in place of `Module.to` for a while."""
    stock = nn.Module.to
    nn.Module.to = _to  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        nn.Module.to = stock  # type: ignore[method-assign]


def _to(self: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
    """`Module.to` that rebuilds parameters: the stock one cannot swap fake tensors across devices."""
    device, dtype, _, _ = torch._C._nn._parse_to(*args, **kwargs)
    rebuilt: dict[int, nn.Parameter] = {}  # by the parameter that each replaces, so that tied ones stay tied

    def move(value: Tensor) -> Tensor:
        return value.to(device, dtype if value.is_floating_point() else None)

    with torch.no_grad():
        for module in self.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    if id(parameter) not in rebuilt:
                        rebuilt[id(parameter)] = nn.Parameter(move(parameter), parameter.requires_grad)
                    module._parameters[name] = rebuilt[id(parameter)]
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = move(buffer)
    return self
