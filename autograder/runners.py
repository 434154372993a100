"""How an answer is run on a trial. The only code that touches an answer; what comes out is plain data, an outcome.

An outcome is a dict: either {"failure": {...}} or
    result     what the answer returned, as nested data (see `as_data`)
    again      what a second call on fresh inputs returned
    gradients  of a fixed projection of the result, by input and parameter name (None where nothing flows)
    after      the state of inputs that the trial names, after the call
    changed    names of inputs that the answer changed in place   } observed beside the answer, where it could be
    elsewhere  devices of results that are not the inputs' device  } forged: remarks only, never marks
"""

import contextlib
import itertools
import linecache
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

from autograder.inputs import build_inputs, reseed, resolve, seeded
from autograder.make import Trial

Outcome = dict[str, Any]
Runner = Callable[[Trial, Mapping[str, Any], str], Outcome]
MAX_MESSAGE = 400  # characters of an exception's message that are kept
IMPATIENT = 1.0  # seconds for each case that is left, once one has run out of time
MAX_ITEMS = 10_000  # what is taken at most of an iterator, which may never end


def run(trial: Trial, namespace: Mapping[str, Any], device: str = "cpu") -> Outcome:
    """Run the answer that `trial` names, found in `namespace`, and return its outcome. Raises only KeyboardInterrupt.

    Random number generators are seeded for the run and put back after it; warnings are silenced.
    """
    if trial.answer not in namespace:
        return failure("missing", answer=trial.answer)
    with seeded(0), warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        try:
            return RUNNERS[trial.runner](trial, namespace, device)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: an answer that calls exit() is a wrong answer, not the end
            return _raised(error, trial.answer or "", namespace)


def failure(kind: str, **details: Any) -> Outcome:
    """An outcome that holds no values: `kind` is the name of a message in `autograder.messages`."""
    return {"failure": {"kind": kind, **details}}


def _run_call(trial: Trial, namespace: Mapping[str, Any], device: str) -> Outcome:
    answer = namespace[trial.answer or ""]
    if not callable(answer):
        return failure("not_callable", answer=trial.answer, type=type(answer).__name__)
    return _outcome(trial, device, lambda: (answer, {}))


def _run_module(trial: Trial, namespace: Mapping[str, Any], device: str) -> Outcome:
    answer, fields = namespace[trial.answer or ""], trial.fields
    if not (isinstance(answer, type) and issubclass(answer, nn.Module)):
        return failure("not_a_module", answer=trial.answer)
    state = fields["state"]
    dtype = next((value.dtype for value in state.values() if value.is_floating_point()), torch.float32)

    def build() -> tuple[Callable[..., Any], dict[str, Tensor]]:
        module = answer(**build_inputs(fields["init"], device)).to(device=device, dtype=dtype)
        learned = dict(module.named_parameters(remove_duplicate=False))
        # Buffers of the answer's own, such as a mask that it keeps, stay as they are.
        own = {name: value for name, value in module.state_dict().items() if name not in learned}
        module.load_state_dict({**own, **{name: value.to(device) for name, value in state.items()}})
        module.train(fields["train"])
        return (getattr(module, fields["method"]) if fields["method"] else module), dict(module.named_parameters())

    try:
        build()
    except RuntimeError as error:
        if "state_dict" in str(error):
            return failure("parameters", answer=trial.answer, message=str(error)[:MAX_MESSAGE])
        raise
    return _outcome(trial, device, build)


def _run_value(trial: Trial, namespace: Mapping[str, Any], device: str) -> Outcome:
    """The value of a variable: a choice (case and spaces around it do not matter) or a number."""
    value, choices = namespace[trial.answer or ""], trial.fields["choices"]
    if value is None or value is ... or (isinstance(value, str) and not value.strip()):
        return failure("not_attempted", answer=trial.answer)
    if choices is not None:
        letter = value.strip(" \t\n().").casefold() if isinstance(value, str) else ""
        if letter not in tuple(choices.casefold()):
            return failure("not_a_choice", answer=trial.answer, choices=", ".join(choices))
        return {"result": letter}
    try:
        return {"result": float(value.replace(",", "") if isinstance(value, str) else value)}
    except (TypeError, ValueError):
        return failure("not_a_number", answer=trial.answer)


RUNNERS: dict[str, Runner] = {"call": _run_call, "module": _run_module, "value": _run_value}


# -- one call ------------------------------------------------------------------------------------------------------


def _outcome(trial: Trial, device: str, build: Callable[[], tuple[Callable[..., Any], dict[str, Tensor]]]) -> Outcome:
    """Call what `build` gives twice, on fresh inputs each time, and note what is compared and what is remarked on."""
    fields = trial.fields
    outcome: Outcome = {}
    for key in ("result", "again") if fields.get("again", True) else ("result",):
        reseed(0)
        called, parameters = build()
        inputs = build_inputs(fields["inputs"], device)
        leaves = _leaves(inputs) if fields.get("gradients") else {}
        given = _handed_over(inputs, leaves)
        before = {name: value.clone() for name, value in given.items() if isinstance(value, Tensor)}
        values = list(given.values())
        count = fields["positional"]
        reseed(1)
        result = run_out(called(*values[:count], **dict(list(given.items())[count:])))
        outcome[key] = as_data(result)
        if key == "again":
            break
        if fields.get("gradients"):
            outcome["gradients"] = _gradients(result, {**leaves, **parameters})
        outcome["after"] = {name: as_data(given[name]) for name in fields.get("after", ())}
        outcome["changed"] = [name for name, value in before.items() if not _unchanged(value, given[name])]
        places = {str(value.device.type) for value in tensors_in(result)}
        outcome["elsewhere"] = sorted(places - {torch.device(device).type})
    return outcome


def _leaves(inputs: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        name: value.requires_grad_()
        for name, value in inputs.items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }


def _handed_over(inputs: Mapping[str, Any], leaves: Mapping[str, Tensor]) -> dict[str, Any]:
    """Clones of the leaves, so that an answer may change its inputs in place, which a leaf would refuse."""
    return {name: leaves[name].clone() if name in leaves else value for name, value in inputs.items()}


def _gradients(result: Any, sources: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """Gradients of a fixed projection of all floating-point results: every entry counts, each differently."""
    total: Tensor | None = None
    for index, value in enumerate(tensors_in(result)):
        if value.is_floating_point() and value.requires_grad:
            weight = torch.cos(1.7 * torch.arange(value.numel(), dtype=torch.float64) + index).reshape(value.shape)
            part = (value * weight.to(value)).sum()
            total = part if total is None else total + part.to(total)
    live = {name: source for name, source in sources.items() if source.requires_grad}  # a frozen parameter is not
    if total is None or not live:
        return dict.fromkeys(sources)
    found = torch.autograd.grad(total, list(live.values()), allow_unused=True)
    return {**dict.fromkeys(sources), **dict(zip(live, found, strict=True))}


def _unchanged(before: Tensor, after: Any) -> bool:
    return (
        isinstance(after, Tensor)
        and before.shape == after.shape
        and bool(torch.equal(before.nan_to_num(), after.nan_to_num()))
    )


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors of a nested result, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


class _Yielded(list[Any]):
    """What an iterator gave."""


def run_out(value: Any) -> Any:
    """What an iterator (a generator function's result) gives; any other value as it is."""
    return _Yielded(itertools.islice(value, MAX_ITEMS)) if isinstance(value, Iterator) else value


def as_data(value: Any) -> Any:
    """What is compared of a result that is not data itself: a picture's contents, a model's or optimizer's state.

    A model is compared by its state and by which parameters are trainable, not by its mode: that shows in values. An
    iterator is compared by what it yields, and is not alike to a list.
    """
    axes = sys.modules.get("matplotlib.axes")
    if axes is not None and isinstance(value, axes.Axes):
        from autograder.drawn import drawn  # matplotlib is loaded only where something was drawn

        return drawn(value)
    if isinstance(value, nn.Module):
        trainable = [name for name, parameter in value.named_parameters() if parameter.requires_grad]
        return {"what": "Module", "state": dict(value.state_dict()), "trainable": trainable}
    if isinstance(value, torch.optim.Optimizer):
        return {"what": "Optimizer", **as_data(value.state_dict())}
    if isinstance(value, _Yielded):
        return {"what": "generator", "yields": as_data(list(value))}
    if isinstance(value, Mapping):
        return {key: as_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_data(item) for item in value]
    return str(value) if isinstance(value, str) else value  # np.str_ is a string, too


# -- earlier answers -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def standing_in(namespace: MutableMapping[str, Any], stand_ins: Mapping[str, str]) -> Iterator[None]:
    """Bind the names of earlier answers to public builtins for a while."""
    before = {name: namespace[name] for name in stand_ins if name in namespace}
    namespace.update({name: resolve(target) for name, target in stand_ins.items()})
    try:
        yield
    finally:
        for name in stand_ins:
            namespace.pop(name, None)
        namespace.update(before)


# -- exceptions ----------------------------------------------------------------------------------------------------


def _raised(error: BaseException, answer: str, namespace: Mapping[str, Any]) -> Outcome:
    """Say what was raised, and at which line of the student's own code."""
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals is namespace or frame.f_code.co_qualname.split(".")[0] == answer
    ]
    blank = isinstance(error, NotImplementedError) and not str(error)
    if blank and frames and frames[-1][0].f_code.co_qualname.split(".")[0] == answer:
        return failure("not_attempted", answer=answer)
    details: dict[str, Any] = {"type": type(error).__name__[:80], "message": _message(error)}
    if frames:
        frame, line = frames[-1]
        details["line"] = line
        details["source"] = linecache.getline(frame.f_code.co_filename, line).strip()[:MAX_MESSAGE]
    return failure("raised", answer=answer, **details)


def _message(error: BaseException) -> str:
    try:
        return str(error)[:MAX_MESSAGE]
    except Exception:  # an exception class of the student's own, whose __str__ fails
        return ""


# -- outcomes from another process ---------------------------------------------------------------------------------

_UNFIT = ("missing", "not_attempted", "not_callable", "not_a_module", "parameters", "not_a_choice", "not_a_number")
_FAILURES = frozenset((*_UNFIT, "raised", "time", "crash", "unreadable", "unasked"))
_DEVICES = ("cpu", "cuda", "mps", "xpu", "meta")


def as_outcome(data: Any, trial: Trial) -> Outcome:
    """An outcome from what a student's process sent, of the right form whatever was sent, so that a judge can read it.

    Texts that would be shown again are taken from `trial`, not from the reply: a reply cannot carry a hidden input out.
    """
    inputs = trial.fields.get("inputs", {})
    if not isinstance(data, dict):
        return failure("unreadable")
    failed = data.get("failure")
    if failed is not None:
        kind = failed.get("kind") if isinstance(failed, dict) else None
        if not isinstance(kind, str) or kind not in _FAILURES:
            return failure("unreadable")
        texts = {key: str(failed.get(key, ""))[:MAX_MESSAGE] for key in ("type", "message", "source")}
        line = failed.get("line")
        at = {"line": line} if type(line) is int and 0 < line < 10_000 else {}
        choices, seconds = trial.fields.get("choices") or "", float(trial.fields.get("seconds", 0.0))
        if failed.get("seconds") == IMPATIENT:
            seconds = min(seconds, IMPATIENT)
        return failure(kind, answer=trial.answer, choices=", ".join(choices), seconds=seconds, **texts, **at)
    if "result" not in data:
        return failure("unreadable")
    kept = {key: data[key] for key in ("result", "again", "gradients", "after") if key in data}
    seen = {"changed": [n for n in inputs if n in _as_list(data.get("changed"))]}
    seen["elsewhere"] = [place for place in _DEVICES if place in _as_list(data.get("elsewhere"))]
    return {**kept, **seen}


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
