"""`autograder doctor`: how this machine protects itself from submissions, by which layers, and what helps the rest."""

import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder.errors import CourseError
from autograder.kernels.sandbox import SAYS, Sandbox, given_by, probe_machine, reason_for_none
from autograder.solutions import CONFIG

_LAYERS = {
    "namespaces": "a file system, a network and processes of its own (as a container has)",
    "user": "another user, without rights",
    "limits": "rlimits, and a keeper that counts memory",
    "landlock": "Landlock: files by rules",
    "signals": "Landlock 6: no signal to other processes",
    "seccomp": "seccomp: forbidden system calls",
}
_ADVICE = {
    "namespaces": "run as root, allow user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_"
    "unprivileged_userns), or start the container with --security-opt seccomp=unconfined or as --privileged",
    "user": "only root can use other users; not needed where namespaces are",
    "limits": "",
    "landlock": "needs Linux 5.13 or newer with landlock among its security modules",
    "signals": "needs Linux 6.12 or newer",
    "seccomp": "install libseccomp (Debian: libseccomp2) and the package pyseccomp",
}


@dataclass(frozen=True)
class Health:
    """What was found: by layer the reason why it is not there (empty where it is), and the required protections."""

    reasons: dict[str, str]
    required: list[str]

    @property
    def missing(self) -> list[str]:
        """Required protections that no layer gives here."""
        return [name for name in self.required if not self.by(name)]

    def by(self, protection: str) -> list[str]:
        """The layers that give a protection here."""
        return given_by(protection, self.reasons)


def examine_machine(root: Path) -> Health:
    """Try every layer in a process that is forked as kernels are, for the course in `root` if there is one.

    Raises:
        CourseError: the course's configuration cannot be read.
    """
    config = Config()
    if (root / CONFIG).exists():
        try:
            config = PyFileConfigLoader(CONFIG, str(root.resolve())).load_config()
        except Exception as error:  # it is a program
            raise CourseError(f"{root / CONFIG} cannot be read: {type(error).__name__}: {error}") from None
    return Health(dict(probe_machine()), list(Sandbox(config=config).required))


def show(health: Health, console: Console) -> None:
    nothing = reason_for_none()
    if nothing:
        console.print(f"No sandbox: {nothing}. Submissions run with all your rights.", style="bold red")
    layers = Table(title="Layers of the sandbox", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("layer", "", "what it is", "why not, and what helps"):
        layers.add_column(name, overflow="fold")
    for layer, what in _LAYERS.items():
        reason = health.reasons[layer]
        helps = f"{reason}: {_ADVICE[layer]}" if reason and _ADVICE[layer] and not nothing else reason
        layers.add_row(layer, "[red]no[/]" if reason else "[green]yes[/]", what, helps)
    console.print(layers)
    console.print()
    table = Table(title="Protections", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("protection", "", "what it means", "by"):
        table.add_column(name, overflow="fold")
    for name, says in SAYS.items():
        by, required = health.by(name), name in health.required
        mark = "[green]yes[/]" if by else "[bold red]NO, and required[/]" if required else "[yellow]no[/]"
        table.add_row(name, mark, says, ", ".join(by))
    console.print(table)
    console.print()
    if health.missing:
        left = [name for name in health.required if name not in health.missing]
        console.print(
            f"nbgrader autograde and autograder grade refuse to run here. To grade all the same: c.Sandbox.required = "
            f"{left} in nbgrader_config.py.",
            style="bold red",
            highlight=False,
            markup=False,
        )
    else:
        console.print("Everything that the configuration requires is there.", style="green", highlight=False)
    console.print(f"Python {sys.version.split()[0]} on {sys.platform}", style="dim", highlight=False)
