"""Expected and actual outcome in, Verdict out: comparison, partial credit, diagnosis. It runs no answer.

What a right answer may do otherwise costs nothing: a list for a tuple, a NumPy array for a tensor, another precision,
0 and 1 for a boolean mask, an input changed in place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from autograder.messages import VERDICT
from autograder.runners import Outcome, tensors_in
from autograder.serialize import Opaque
from autograder.text import Text, same
from autograder.verdict import CaseVerdict, Finding, Named, Verdict

# (rtol, atol) by precision of the less precise side. A GPU adds up in another order and gets a little more.
TOLERANCES = {
    torch.float64: (1e-6, 1e-8),
    torch.float32: (1e-4, 1e-5),
}
GPU_FACTOR = 10.0
WHOLE = same("")  # where a finding is, when it is about the result as a whole
PICTURE_SIDE = 16  # a two-dimensional result up to this size is shown as a picture


@dataclass(frozen=True)
class Tolerance:
    """How far values may be apart. None stands for the table above."""

    rtol: float | None = None
    atol: float | None = None
    device: str = "cpu"
    single: bool = False  # whether the answer calculated in single precision, whatever the dtype of what is compared

    def of(self, *dtypes: torch.dtype) -> tuple[float, float]:
        rounded = [dtype for dtype in dtypes if _is_real(dtype) or dtype.is_complex]
        precise = not self.single and all(dtype in (torch.float64, torch.complex128) for dtype in rounded)
        # whole numbers are equal or not: a count of parameters is wrong by one as by a thousand
        rtol, atol = TOLERANCES[torch.float64 if precise else torch.float32] if rounded else (0.0, 0.0)
        factor = 1.0 if self.device == "cpu" else GPU_FACTOR
        return (
            (rtol * factor) if self.rtol is None else self.rtol,
            (atol * factor) if self.atol is None else self.atol,
        )


@dataclass(frozen=True)
class Expected:
    """All that is needed to judge one case: what the reference gives, and what each known mistake gives."""

    name: Text
    visible: bool
    weight: float
    outcome: Outcome
    mistakes: Sequence[Outcome]
    tolerance: Tolerance = Tolerance()
    judge: Callable[[Any, Any], Text | None] | None = None  # (expected result, actual result) -> what is wrong


@dataclass(frozen=True)
class Sheet:
    """An exercise as the judge sees it: its name, its marks and its known mistakes, without any code."""

    slug: str
    title: Text
    points: float
    mistakes: Sequence[Named]
    cases: Sequence[Expected] = field(default_factory=tuple)


def judge(sheet: Sheet, actual: Sequence[Outcome]) -> Verdict:
    """Compare the outcomes of an answer, one a case, with what is expected of it."""
    findings = [_examine(case, outcome) for case, outcome in zip(sheet.cases, actual, strict=True)]
    named = _diagnose(sheet, actual, findings)
    cases = [
        CaseVerdict(
            case.name,
            case.visible,
            case.weight,
            tuple(found),
            picture=_picture(case, outcome) if found and case.visible else None,
        )
        for case, outcome, found in zip(sheet.cases, actual, findings, strict=True)
    ]
    return Verdict(sheet.slug, sheet.title, sheet.points, tuple(cases), named, _remarks(actual))


# -- one case ------------------------------------------------------------------------------------------------------


def _examine(case: Expected, actual: Outcome) -> list[Finding]:
    if "failure" in actual:
        return [Finding.of_failure(actual["failure"])]
    if case.judge is not None:
        result = actual.get("result")
        try:
            text = case.judge(case.outcome["result"], result)
        except Exception:  # it was handed something of another form than it was written for
            return [_wrong_type(case.outcome["result"], result, WHOLE)]
        return [Finding("judged", {"text": text})] if text is not None else []
    return differences(case.outcome, actual, case.tolerance)


def differences(expected: Outcome, actual: Outcome, tolerance: Tolerance) -> list[Finding]:
    """What differs between two outcomes; empty when nothing does. The first finding is the one to show."""
    if "failure" in expected or "failure" in actual:
        alike = expected.get("failure") is not None and _same_failure(expected["failure"], actual.get("failure"))
        return [] if alike else [Finding("values", {})]
    found = compare(expected["result"], actual.get("result"), tolerance)
    if found:
        return found
    # A gradient has its input's dtype: what was calculated in single precision on the way shows in the result alone.
    real = [tensor.dtype for tensor in tensors_in(actual.get("result")) if _is_real(tensor.dtype)]
    tolerance = replace(tolerance, single=any(dtype != torch.float64 for dtype in real))
    for name, gradient in expected.get("gradients", {}).items():
        got = _mapping(actual.get("gradients")).get(name)
        if gradient is None and got is None:
            continue
        if got is None:
            return [Finding("detached", {"name": name})]
        zero = torch.zeros_like(got) if gradient is None and isinstance(got, Tensor) else gradient
        found = compare(zero, got, tolerance, VERDICT["gradient"].format(name=name))
        if found:
            return found
    for name, state in expected.get("after", {}).items():
        got = _mapping(actual.get("after")).get(name)
        found = compare(state, got, tolerance, VERDICT["after"].format(name=name))
        if found:
            return found
    if "again" in expected and compare(expected["again"], actual.get("again"), tolerance):
        return [Finding("again", {})]
    return []


def _same_failure(expected: Mapping[str, Any], actual: Any) -> bool:
    keys = ("kind", "type", "message")
    return isinstance(actual, Mapping) and all(expected.get(key) == actual.get(key) for key in keys)


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def compare(expected: Any, actual: Any, tolerance: Tolerance, where: Text = WHOLE) -> list[Finding]:
    """Compare two nested results. `where` says which part of the outcome they are, for the finding's text."""
    if actual is None and expected is not None:
        return [Finding("none", {"where": where})]
    if isinstance(expected, Tensor) or (isinstance(expected, int | float | complex) and _is_number(actual)):
        return _compare_tensors(_as_tensor(expected), actual, tolerance, where)
    if isinstance(expected, list | tuple):
        return _compare_sequences(list(expected), actual, tolerance, where)
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            return [_wrong_type(expected, actual, where)]
        if set(expected) != set(actual):
            return [Finding("keys", {"where": where, "expected": _listed(expected), "actual": _listed(actual)})]
        parts = ((expected[key], actual[key], VERDICT["key"].format(key=key)) for key in expected)
        return _first(compare(e, a, tolerance, _joined(where, label)) for e, a, label in parts)
    if type(expected) is not type(actual):
        return [_wrong_type(expected, actual, where)]
    if expected != actual:
        return [Finding("plain", {"where": where, "expected": repr(expected)[:200], "actual": repr(actual)[:200]})]
    return []


def _compare_sequences(expected: list[Any], actual: Any, tolerance: Tolerance, where: Text) -> list[Finding]:
    if isinstance(actual, Tensor) and actual.ndim > 0:
        if len(expected) != len(actual):  # before an object is made of each entry
            kind = "single" if _has_tensor(expected) else "length"
            return [Finding(kind, {"where": where, "expected": len(expected), "actual": len(actual)})]
        if _has_tensor(expected):
            stacked = _compare_sequences(expected, list(actual.unbind()), tolerance, where)
            return [Finding("single", {"where": where, "expected": len(expected)})] if stacked else []
        actual = actual.tolist()
    if not isinstance(actual, list | tuple):
        return [_wrong_type(expected, actual, where)]
    if len(expected) != len(actual):
        return [Finding("length", {"where": where, "expected": len(expected), "actual": len(actual)})]
    labels = (VERDICT["part"].format(index=index) for index in range(len(expected)))
    parts = zip(expected, actual, labels, strict=True)
    return _first(compare(e, a, tolerance, _joined(where, label)) for e, a, label in parts)


def _compare_tensors(expected: Tensor, actual: Any, tolerance: Tolerance, where: Text) -> list[Finding]:
    if not (isinstance(actual, Tensor) or _is_number(actual)):
        return [_wrong_type(expected, actual, where)]
    got = _as_tensor(actual)
    if expected.shape != got.shape:
        return [Finding("shape", {"where": where, "expected": tuple(expected.shape), "actual": tuple(got.shape)})]
    if not _comparable(expected.dtype, got):
        names = {"expected": _dtype(expected.dtype), "actual": _dtype(got.dtype)}
        return [Finding("dtype", {"where": where, **names})]
    rtol, atol = tolerance.of(expected.dtype, got.dtype)
    wide = torch.complex128 if expected.is_complex() or got.is_complex() else torch.float64
    if (rtol, atol) == (0.0, 0.0) and not any(t.is_complex() or _is_real(t.dtype) for t in (expected, got)):
        wide = torch.int64  # float64 cannot tell large whole numbers apart
    a, b = expected.to(wide), got.to(wide)
    # what torch.testing.assert_close asks in the end; that one loads torch.distributed first, which takes a second
    wrong = ~torch.isclose(b, a, rtol=rtol, atol=atol, equal_nan=True)
    return [_where_they_differ(a, b, wrong, where)] if wrong.any() else []


def _where_they_differ(expected: Tensor, actual: Tensor, wrong: Tensor, where: Text) -> Finding:
    # an infinite or undefined distance is the largest of all
    wide = torch.complex128 if expected.is_complex() else torch.float64
    distance = (actual.to(wide) - expected.to(wide)).abs().nan_to_num(nan=float("inf"), posinf=float("inf"))
    distance = torch.where(wrong, distance, -1.0)
    at = int(distance.argmax())
    if expected.ndim == 0:
        shown = {"expected": f"{_scalar(expected):.6g}", "actual": f"{_scalar(actual):.6g}"}
        return Finding("plain", {"where": where, **shown})
    index = [int(i) for i in torch.unravel_index(torch.tensor(at), expected.shape)]
    return Finding(
        "values",
        {
            "where": where,
            "differ": int(wrong.sum()),
            "total": expected.numel(),
            "worst": float(distance.flatten()[at]),
            "index": index,
            "expected": _scalar(expected.flatten()[at]),
            "actual": _scalar(actual.flatten()[at]),
        },
    )


def _comparable(expected: torch.dtype, actual: Tensor) -> bool:
    """Whether the kinds fit: real for real (but not half precision for more), whole for whole, 0 and 1 for a mask."""
    if expected == torch.bool:
        return actual.dtype == torch.bool or bool(((actual == 0) | (actual == 1)).all())
    if _is_real(expected):
        half = actual.dtype in (torch.float16, torch.bfloat16) and expected not in (torch.float16, torch.bfloat16)
        return not half and not actual.is_complex()
    if expected.is_complex:
        return actual.dtype != torch.bool
    return not _is_real(actual.dtype) and not actual.is_complex() and actual.dtype != torch.bool


def _is_real(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | complex | Tensor)


def _as_tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        value = float(min(value, 2**1000)) if value > 0 else float(max(value, -(2**1000)))
    precise = torch.float64 if isinstance(value, float) else torch.complex128 if isinstance(value, complex) else None
    return torch.tensor(value, dtype=precise)


def _scalar(value: Tensor) -> float:
    return float(value.real if value.is_complex() else value)


def _has_tensor(values: Sequence[Any]) -> bool:
    return any(isinstance(value, Tensor) for value in values)


def _wrong_type(expected: Any, actual: Any, where: Text) -> Finding:
    return Finding("type", {"where": where, "expected": _kind(expected), "actual": _kind(actual)})


def _kind(value: Any) -> str:
    if isinstance(value, Opaque):
        return value.type_name
    if isinstance(value, Mapping) and isinstance(value.get("what"), str):
        return str(value["what"])[:200]  # see runners.as_data
    return "Tensor" if isinstance(value, Tensor) else type(value).__name__


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _listed(mapping: Mapping[Any, Any]) -> str:
    return ", ".join(str(key)[:40] for key in list(mapping)[:20])


def _joined(first: Text, second: Text) -> Text:
    return Text(first.en + second.en, first.ja + second.ja)


def _first(findings: Any) -> list[Finding]:
    return next((found for found in findings if found), [])


# -- all cases together --------------------------------------------------------------------------------------------


def _diagnose(sheet: Sheet, actual: Sequence[Outcome], findings: Sequence[list[Finding]]) -> Named | None:
    """The known mistake that explains most of the wrong cases, at least half: there it gives just what the answer gave.

    Among equals the one that contradicts the fewest right cases is taken, then the one that stands first in the file.
    """
    if not any(findings):
        return None
    wrong = sum(bool(found) for found in findings)
    best, best_rank = None, (0, 0)
    for number, named in enumerate(sheet.mistakes):
        explained = agrees = 0
        for case, outcome, found in zip(sheet.cases, actual, findings, strict=True):
            if not _gives_the_same(case, case.mistakes[number], outcome, found):
                continue
            agrees += 1
            # a failure that every answer would meet (a name that is missing) is nobody's known mistake
            explained += bool(found)
        if 2 * explained >= wrong and (explained, agrees) > best_rank:
            best, best_rank = named, (explained, agrees)
    return best


def _gives_the_same(case: Expected, known: Outcome, actual: Outcome, found: list[Finding]) -> bool:
    """Whether a mistake explains an outcome. Where a case has its own judge, results differ from draw to draw: there
    the mistake is the same when the judge says the same of it."""
    if case.judge is None or "failure" in known or "failure" in actual:
        return not differences(known, actual, case.tolerance)
    return _examine(case, known) == found


def _remarks(actual: Sequence[Outcome]) -> tuple[Finding, ...]:
    """What was observed beside the answer. It could be forged there, so it carries no marks."""
    remarks = []
    changed = sorted({str(name)[:40] for outcome in actual for name in outcome.get("changed") or ()})
    elsewhere = sorted({str(name)[:40] for outcome in actual for name in outcome.get("elsewhere") or ()})
    if changed:
        remarks.append(Finding("changed", {"names": ", ".join(changed)}))
    if elsewhere:
        remarks.append(Finding("elsewhere", {"devices": ", ".join(elsewhere)}))
    if any(outcome.get("device") for outcome in actual):
        remarks.append(Finding("device", {}))
    return tuple(remarks)


def _picture(case: Expected, actual: Outcome) -> tuple[Tensor, Tensor] | None:
    """The first two-dimensional part of the result that has the expected shape, with the expected one."""
    if "failure" in actual or "result" not in case.outcome:
        return None
    expected: Any = case.outcome["result"]
    got: Any = actual.get("result")
    pairs = zip(expected, got, strict=False) if _both_lists(expected, got) else [(expected, got)]
    for e, a in pairs:
        if isinstance(e, Tensor) and isinstance(a, Tensor) and e.shape == a.shape and e.ndim >= 2 and e.numel():
            e, a = e.reshape(-1, *e.shape[-2:])[0], a.reshape(-1, *a.shape[-2:])[0]
            fits = 0 < max(e.shape) <= PICTURE_SIDE and not e.is_complex() and not a.is_complex()
            if fits and not torch.equal(e.double(), a.double()):
                return e.detach().double(), a.detach().double()
    return None


def _both_lists(expected: Any, actual: Any) -> bool:
    return isinstance(expected, list | tuple) and isinstance(actual, list | tuple)
