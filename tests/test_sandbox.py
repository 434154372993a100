"""What must be there before a submission is run, and what is said of it."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from nbgrader.converters.base import NbGraderException
from rich.console import Console
from traitlets import TraitError
from traitlets.config import Config

from autograder import doctor
from autograder.errors import CourseError
from autograder.kernels import sandbox
from autograder.kernels.policy import LAYERS, SIGNALS
from autograder.kernels.sandbox import PROTECTIONS, SAYS, Sandbox
from autograder.kernels.warm import shown

EVERYTHING = (*LAYERS, SIGNALS)


def machine(monkeypatch: pytest.MonkeyPatch, *layers: str) -> None:
    """A machine that gives these layers."""
    reasons = {name: "" if name in layers else f"no {name} here" for name in EVERYTHING}
    monkeypatch.setattr(sandbox, "probe_machine", lambda: reasons)
    monkeypatch.setattr(doctor, "probe_machine", lambda: reasons)


@pytest.mark.parametrize(
    ("layers", "missing"),
    [
        (EVERYTHING, set()),
        (("namespaces", "user", "limits"), set()),
        (("namespaces", "limits"), {"files"}),  # the kernel could put links where questions are written
        (("landlock", "seccomp", "signals", "limits"), set()),
        (("landlock", "seccomp", "user", "limits"), set()),
        (("landlock", "seccomp", "limits"), {"processes"}),
        (("limits",), {"files", "network", "processes"}),
        (("namespaces", "user"), {"limits"}),
        ((), set(PROTECTIONS)),
    ],
)
def test_one_layer_is_enough_for_a_protection(
    monkeypatch: pytest.MonkeyPatch, layers: tuple[str, ...], missing: set[str]
) -> None:
    machine(monkeypatch, *layers)
    assert set(Sandbox().missing()) == missing


def test_without_a_required_protection_nothing_is_graded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine(monkeypatch, "limits", "seccomp", "namespaces", "user")
    Sandbox().demand()
    machine(monkeypatch, "limits", "seccomp")
    with pytest.raises(NbGraderException) as caught:
        Sandbox().demand()
    says = str(caught.value)
    assert (
        "no protection of files (namespaces: no namespaces here; user: no user here; landlock: no landlock here)"
        in says
    )
    assert "c.Sandbox.required = ['network', 'limits']" in says


def test_the_configuration_can_say_otherwise_and_the_log_says_what_was_in_force(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("traitlets")
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.INFO)
    machine(monkeypatch, "limits")
    Sandbox(config=Config({"Sandbox": {"required": ["limits"]}}), log=logger).demand()
    assert "Sandbox: limits (8192 MiB of memory" in caplog.text
    assert "NO protection of files; NO protection of network; NO protection of processes" in caplog.text
    machine(monkeypatch)
    monkeypatch.setattr(sandbox, "available", lambda: False)
    Sandbox(config=Config({"Sandbox": {"required": []}}), log=logger).demand()
    assert "Sandbox: none; submissions run with all your rights" in caplog.text


def test_a_protection_that_does_not_exist_is_named() -> None:
    with pytest.raises((NbGraderException, TraitError), match="disks: choose from files, network, processes, limits"):
        Sandbox(config=Config({"Sandbox": {"required": ["files", "disks"]}}))


def test_another_system_than_linux_has_none_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.probe_machine.cache_clear()
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    try:
        assert set(Sandbox().missing()) == set(PROTECTIONS)
        assert "there is no sandbox on this system (darwin), only on Linux" in str(Sandbox().missing())
        assert Sandbox().policy(Path(), cuda=False) is None
    finally:
        sandbox.probe_machine.cache_clear()


def test_a_policy_is_data_in_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch, "namespaces", "limits")
    config = Config({"Sandbox": {"memory": 100, "disk": 3, "readable": ["data"]}})
    policy: Any = Sandbox(config=config).policy(tmp_path, cuda=True)
    assert policy["layers"] == ["namespaces", "limits"]
    assert (policy["memory"], policy["disk"], policy["cuda"]) == (100 * 2**20, 3 * 2**20, True)
    assert policy["readable"] == [str(Path("data").resolve())]
    assert json.loads(json.dumps(policy)) == policy


def test_a_kernel_does_not_see_the_graders_secrets() -> None:
    environment = {
        "AWS_SECRET": "x",
        "PATH": "/bin",
        "LC_ALL": "C",
        "MY_DATA": "y",
        "AUTOGRADER_DATA": "z",
        "HOME": "h",
    }
    assert shown(environment) == {"PATH": "/bin", "LC_ALL": "C", "AUTOGRADER_DATA": "z"}
    assert shown(environment, ["MY_DATA"])["MY_DATA"] == "y"


# -- autograder doctor -----------------------------------------------------------------------------------------------


def table(monkeypatch: pytest.MonkeyPatch, root: Path, *layers: str) -> tuple[str, doctor.Health]:
    machine(monkeypatch, *layers)
    health = doctor.examine_machine(root)
    console = Console(width=200, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    doctor.show(health, console)
    return console.export_text(), health


def test_doctor_shows_layers_protections_and_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text, health = table(monkeypatch, tmp_path, *EVERYTHING)
    assert not health.missing
    assert "Everything that the configuration requires is there." in text
    assert all(name in text for name in (*EVERYTHING, *SAYS))
    text, health = table(monkeypatch, tmp_path, "limits", "seccomp")
    assert health.missing == ["files", "processes"]
    assert "NO, and required" in text
    assert "no namespaces here: run as root, allow user namespaces" in text
    assert "c.Sandbox.required = ['network', 'limits']" in text


def test_doctor_reads_the_courses_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.Sandbox.required = ['limits']\n")
    assert not table(monkeypatch, tmp_path, "limits")[1].missing
    (tmp_path / "nbgrader_config.py").write_text("c = get_config(\n")
    with pytest.raises(CourseError, match=r"nbgrader_config\.py cannot be read: SyntaxError"):
        doctor.examine_machine(tmp_path)
