"""What was found about one answer: cases, marks, the known mistake by name. Plain data; `render` shows it."""

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from autograder.messages import FINDINGS, HIDDEN_FINDINGS, REMARKS, VERDICT
from autograder.text import Text, same

FORMAT = 1
_NOTHING = {"not_attempted", "missing"}  # kinds of finding that say: there is no answer to judge


@dataclass(frozen=True)
class Named:
    """A known mistake as a verdict tells it: its name, what it says, and a hint."""

    name: str
    says: Text
    hint: Text


@dataclass(frozen=True)
class Finding:
    """One thing that was found: the key of a message and its fields."""

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_failure(cls, details: Mapping[str, Any]) -> "Finding":
        kind = str(details["kind"])
        if kind == "raised" and "line" in details:
            kind = "raised_at"
        return cls(kind, {key: value for key, value in details.items() if key != "kind"})

    def text(self, hidden: bool = False) -> Text:
        """The sentence. A hidden case's says nothing that could carry a hidden input or an expected value."""
        fields = dict(self.fields)
        if hidden and "type" in fields and not _is_builtin_exception(fields["type"]):
            fields["type"] = Text("an exception", "例外")
        template = REMARKS.get(self.kind) or FINDINGS[self.kind]
        if hidden:
            template = HIDDEN_FINDINGS.get(self.kind, template)
            fields["where"] = same("")
        elif self.kind == "values" and "worst" not in fields:
            template = HIDDEN_FINDINGS["values"]
        return template.format(**fields)


def _is_builtin_exception(name: Any) -> bool:
    found = getattr(builtins, str(name), None)
    return isinstance(found, type) and issubclass(found, BaseException)


@dataclass(frozen=True)
class CaseVerdict:
    """One case: right when nothing was found. `picture` is (expected, actual) for a small two-dimensional result."""

    name: Text
    visible: bool
    weight: float
    findings: tuple[Finding, ...] = ()
    picture: tuple[Tensor, Tensor] | None = None

    @property
    def passed(self) -> bool:
        return not self.findings

    @property
    def says(self) -> Text | None:
        return self.findings[0].text(hidden=not self.visible) if self.findings else None


@dataclass(frozen=True)
class Verdict:
    """The whole answer to one exercise."""

    slug: str
    title: Text
    points: float
    cases: tuple[CaseVerdict, ...]
    mistake: Named | None = None
    remarks: tuple[Finding, ...] = ()

    @property
    def passed(self) -> int:
        return sum(case.passed for case in self.cases)

    @property
    def graded(self) -> bool:
        """Whether any case carries marks: an exam has such cases, a self-check has none."""
        return any(case.weight for case in self.cases)

    @property
    def fraction(self) -> float:
        """The share of the marks that was earned, from 0 to 1."""
        total = sum(case.weight for case in self.cases)
        if not total:
            return self.passed / len(self.cases) if self.cases else 1.0
        return sum(case.weight for case in self.cases if case.passed) / total

    @property
    def score(self) -> float:
        """Marks as a plain Python float between 0 and `points`, rounded to a hundredth."""
        return self.points if self.fraction == 1.0 else min(self.points, round(float(self.points * self.fraction), 2))

    @property
    def rank(self) -> tuple[float, int, bool]:
        return self.fraction, self.passed, self.mistake is not None

    @property
    def status(self) -> str:
        """The key in `messages.VERDICT` that sums it up."""
        if self.passed == len(self.cases):
            return "right" if self.cases else "recorded"
        kinds = {case.findings[0].kind if case.findings else "" for case in self.cases}
        if kinds <= _NOTHING:
            return "missing" if kinds == {"missing"} else "not_attempted"
        return "partly" if self.fraction > 0 else "wrong"

    @property
    def nothing_to_judge(self) -> bool:
        """Whether there is no answer: one sentence says it, and a list of cases would only repeat it."""
        return self.status in _NOTHING

    def as_data(self) -> dict[str, Any]:
        """What is stored beside a score, for reports: no hidden number, no expected value."""
        return {
            "format": FORMAT,
            "slug": self.slug,
            "status": self.status,
            "score": self.score,
            "points": self.points,
            "mistake": self.mistake.name if self.mistake else None,
            "mistake_says": self.mistake.says.as_data() if self.mistake else None,
            "cases": [
                {
                    "name": case.name.as_data(),
                    "visible": case.visible,
                    "weight": case.weight,
                    "passed": case.passed,
                    "finding": case.findings[0].kind if case.findings else None,
                    "says": case.says.as_data() if case.says else None,
                }
                for case in self.cases
            ],
            "remarks": [remark.kind for remark in self.remarks],
        }

    def summary(self) -> Text:
        """One short line, which `nbgrader validate` cuts at 87 characters: what is wrong comes first."""
        parts = [same(self.slug), VERDICT[self.status]]
        if self.mistake is not None:
            parts.append(self.mistake.says)
        elif self.status in ("wrong", "partly", "missing"):
            parts.append(next(case.says for case in self.cases if case.says is not None))
        elif self.status == "right":
            parts.append(VERDICT["cases"].format(passed=self.passed, total=len(self.cases)))
        return Text(" · ".join(part.en for part in parts), " · ".join(part.ja for part in parts))


def better(first: Verdict, second: Verdict) -> Verdict:
    """The verdict with more marks; of equals, with more right cases; then one that names a mistake; then the first."""
    return second if second.rank > first.rank else first


def carried(alone: Verdict, helped: Verdict, earlier: Iterable[str]) -> Verdict:
    """The better of two verdicts: with the student's own earlier answers, and with stand-ins for them.

    Where the stand-ins made the difference, a remark says so: an error costs its marks once, where it was made. They
    do, too, where a wrong earlier answer had hidden which mistake it is.
    """
    if better(alone, helped) is alone:
        return alone
    return replace(helped, remarks=(*helped.remarks, Finding("carried", {"names": ", ".join(earlier)})))
