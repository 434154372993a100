"""`c.Sandbox`: what confines the kernels that run submissions, and what must be there before any is run."""

import os
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from nbgrader.converters.base import NbGraderException
from traitlets import Integer, List, Unicode, validate
from traitlets.config import LoggingConfigurable

from autograder.kernels.policy import LAYERS, QUESTIONS, ROOT, SIGNALS, WORK
from autograder.kernels.warm import available, nursery

# The layers that give a protection: one of these sets is enough.
PROTECTIONS: dict[str, tuple[frozenset[str], ...]] = {
    "files": (frozenset({"landlock"}), frozenset({"namespaces", "user"})),
    "network": (frozenset({"namespaces"}), frozenset({"seccomp"})),
    "processes": (frozenset({"namespaces"}), frozenset({"user"}), frozenset({"signals"})),
    "limits": (frozenset({"limits"}),),
}
SAYS = {
    "files": "no sight of the course, the gradebook or other submissions; writes only in a scratch folder",
    "network": "no connection to anywhere",
    "processes": "no sight of other processes, no signal to them; nothing outlives its notebook",
    "limits": "bounds on memory, processor time, file size and number of processes",
}
_MIB = 2**20


class Sandbox(LoggingConfigurable):
    """How submissions are confined. `nbgrader_config.py` sets these as `c.Sandbox.<name>`."""

    required = List(
        Unicode(),
        list(PROTECTIONS),
        help="Protections without which nothing is graded: files, network, processes, limits. An empty list grades"
        " whatever happens: for submissions that you trust, or where something else confines the grader.",
    ).tag(config=True)

    memory = Integer(8192, help="MiB of memory that a notebook's processes may use.").tag(config=True)

    processes = Integer(256, help="Processes and threads that a notebook may have at once.").tag(config=True)

    cpu_seconds = Integer(1800, help="Seconds of processor time that one process may use.").tag(config=True)

    file = Integer(256, help="MiB that one file may hold.").tag(config=True)

    disk = Integer(512, help="MiB that all files of a notebook may hold (needs namespaces).").tag(config=True)

    readable = List(
        Unicode(), help="Folders that kernels may read besides Python's own: a data set, a package of the course."
    ).tag(config=True)

    environment = List(
        Unicode(), help="Environment variables that kernels get besides the usual: AUTOGRADER_DATA is one of those."
    ).tag(config=True)

    @validate("required")  # type: ignore[untyped-decorator]
    def _known(self, proposal: Any) -> list[str]:
        unknown = sorted(set(proposal["value"]) - set(PROTECTIONS))
        if unknown:
            raise NbGraderException(
                f"c.Sandbox.required names {', '.join(unknown)}: choose from {', '.join(PROTECTIONS)}"
            )
        return list(proposal["value"])

    def layers(self) -> list[str]:
        """The layers that this machine gives; none where kernels are not forked (another system than Linux)."""
        return [name for name, reason in probe_machine().items() if not reason]

    def missing(self) -> dict[str, str]:
        """Each protection that is required and not to be had here, with the reasons."""
        reasons = probe_machine()
        return {
            name: "; ".join(f"{layer}: {reasons[layer]}" for layer in layers_of(name) if reasons[layer])
            for name in self.required
            if not given_by(name, reasons)
        }

    def demand(self) -> None:
        """Raise NbGraderException, with a sentence, where a required protection is missing; else log what is there."""
        missing = self.missing()
        if missing:
            lacks = "; ".join(f"no protection of {name} ({why})" for name, why in missing.items())
            names = [name for name in self.required if name not in missing]
            says = (
                f"Submissions cannot be confined here: {lacks}. `autograder doctor` shows what is missing. To grade"
                f" all the same, set `c.Sandbox.required = {names}` in nbgrader_config.py"
            )
            self.log.error(says)
            raise NbGraderException(says)
        self.log.info("Sandbox: %s", self.in_force())

    def in_force(self) -> str:
        """In words, for the log."""
        layers = self.layers()
        given = [name for name in PROTECTIONS if given_by(name, probe_machine())]
        if not given:
            return f"none; submissions run with all your rights ({reason_for_none()})"
        bounds = (
            f"{self.memory} MiB of memory, {self.processes} processes, {self.cpu_seconds} s, {self.disk} MiB of files"
        )
        lacking = "".join(f"; NO protection of {name}" for name in PROTECTIONS if name not in given)
        return f"{', '.join(layers)} ({bounds}){lacking}"

    def policy(self, scratch: Path, *, cuda: bool) -> dict[str, Any] | None:
        """What confines a kernel that works in `scratch` (see `layers.Policy`), or None where nothing can."""
        layers = self.layers()
        return _policy(self, layers, str(scratch), cuda=cuda) if layers else None


def layers_of(protection: str) -> list[str]:
    """All layers that have to do with a protection, in the order in which they are put on."""
    return [layer for layer in (*LAYERS, SIGNALS) if any(layer in by for by in PROTECTIONS[protection])]


def given_by(protection: str, reasons: Mapping[str, str]) -> list[str]:
    """The layers that give a protection, where `reasons` say by layer why it is not there; empty if none do."""
    there = [by for by in PROTECTIONS[protection] if not any(reasons[layer] for layer in by)]
    return [layer for layer in layers_of(protection) if any(layer in by for by in there)]


def _policy(sandbox: Sandbox, layers: list[str], scratch: str, *, cuda: bool) -> dict[str, Any]:
    return {
        "layers": layers,
        "scratch": scratch,
        "folder": scratch,
        "environment": list(sandbox.environment),
        "readable": [str(Path(path).resolve()) for path in (*sandbox.readable, *_data())],
        "memory": sandbox.memory * _MIB,
        "cuda": cuda,
        "processes": sandbox.processes,
        "cpu_seconds": sandbox.cpu_seconds,
        "file": sandbox.file * _MIB,
        "disk": sandbox.disk * _MIB,
    }


def _data() -> list[str]:
    """The folder of data that the environment names, for the course's loaders."""
    return [os.environ["AUTOGRADER_DATA"]] if os.environ.get("AUTOGRADER_DATA") else []


def reason_for_none() -> str:
    """Why there is no sandbox at all, or an empty text."""
    if sys.platform != "linux":
        return f"there is no sandbox on this system ({sys.platform}), only on Linux"
    if not available():
        return "this package is not installed, so that jupyter_client does not know its kernels: pip install it"
    return ""


@cache
def probe_machine() -> Mapping[str, str]:
    """By layer the reason why this machine does not give it; an empty text where it does. Tried once a process."""
    nothing = reason_for_none()
    if nothing:
        return dict.fromkeys((*LAYERS, SIGNALS), nothing)
    with tempfile.TemporaryDirectory(prefix="probe-") as name:
        for part in (WORK, QUESTIONS, ROOT):
            Path(name, part).mkdir()
        policy = _policy(Sandbox(), list(LAYERS), name, cuda=torch.version.cuda is not None)
        return dict(nursery().request({"do": "probe", "policy": policy}))
