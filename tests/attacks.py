"""Attacks as data: what a submission of the toy course does, what it deserves, and what stops it.

Each attack finds its real targets in the variable AUTOGRADER_TARGETS. A cell that has done its worst prints RAN, so
that an attack which did not take place is noticed; `got(...)` prints what must not be had.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import toycourse

RIGHT = {"double": 2.0, "quadruple": 3.0, "toy_choice": 1.0}
NO_DOUBLE = {**RIGHT, "double": 0.0}
NO_QUADRUPLE = {**RIGHT, "quadruple": 0.0}
NOTHING = dict.fromkeys(RIGHT, 0.0)
RAN, GOT = "RAN-TO-ITS-END", "GOT-WHAT-IT-WANTED"

Scores = Mapping[str, float]
Place = Callable[[Path, str], None]  # hands a submission in: course, student

_START = f"""
import contextlib, ctypes, glob, json, os, signal, socket, subprocess, sys, threading, time
import torch
T = json.loads(os.environ["AUTOGRADER_TARGETS"])
def got(*what): print("{GOT}", *what)
def ran(): print("{RAN}")
def tried(work, *what):
    try:
        value = work()
    except (Exception, SystemExit) as error:
        return print("refused:", type(error).__name__)
    got(value, *what)
"""
DOUBLE = "\ndef double(x):\n    return x + x\n"
WRONG = "\ndef double(x):\n    return torch.zeros_like(x)\n"
QUADRUPLE = "\ndef quadruple(x):\n    return 4 * x\n"
CHOICE = "\ntoy_choice = 'b'\n"

SEND = """
kernel = get_ipython().kernel
def send(kind, content, **more):
    kernel.session.send(kernel.iopub_socket, kind, content, **{"parent": kernel.get_parent("shell"), **more})
"""


@dataclass(frozen=True)
class Attack:
    """One submission."""

    name: str
    says: str  # what it does, for the table
    stopped_by: str
    deserves: Scores | None  # None: the submission is set aside, and nothing is recorded
    hand_in: Place
    runs: bool = True  # whether a cell of it prints RAN
    log: str = ""  # what the log has to say
    absent: str = ""  # what must be neither in the log nor on the feedback page
    hole: str = ""  # why it is not stopped yet


ATTACKS: list[Attack] = []


@dataclass
class _Adder:
    """Adds attacks of one kind."""

    kind: str = ""
    kinds: dict[str, str] = field(default_factory=dict)

    def __call__(
        self,
        name: str,
        says: str,
        stopped_by: str,
        deserves: Scores | None,
        *,
        double: str = "",
        quadruple: str = "",
        choice: str = "",
        hand_in: Place | None = None,
        beside: Mapping[str, str] | None = None,
        **more: str | bool,
    ) -> None:
        answers = {"double": double, "quadruple": quadruple, "toy_choice": choice}
        changes = {key: f"{_START}{source}" for key, source in answers.items() if source}

        def place(course: Path, student: str) -> None:
            toycourse.submit(course, student, **changes)
            for file, text in (beside or {}).items():
                (course / "submitted" / student / "toy" / file).write_text(text)

        self.kinds[name] = self.kind
        ATTACKS.append(Attack(name, says, stopped_by, deserves, hand_in or place, **more))  # type: ignore[arg-type]


attack = _Adder()


# -- the table in docs/security.md -------------------------------------------------------------------------------------

DOCUMENT = Path(__file__).parent.parent / "docs" / "security.md"
BEGIN, END = "<!-- attacks: begin -->", "<!-- attacks: end -->"


def table() -> str:
    """The attacks as a table in Markdown."""
    rows = []
    for each in ATTACKS:
        stopped = f"**Not stopped yet**: {each.hole}" if each.hole else each.stopped_by
        rows.append(f"| {attack.kinds[each.name]} | {each.says} | {stopped} | `{each.name}` |")
    return "\n".join(["| kind | what a submission does | what stops it | name |", "| --- | --- | --- | --- |", *rows])


def with_table(document: str) -> str:
    """The document with the table as it is now between its marks."""
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"
