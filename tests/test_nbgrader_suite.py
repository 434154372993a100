"""nbgrader's own autograde tests, from its wheel, with this project's exporter, preprocessors and kernels."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from autograder.kernels.warm import available

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not available(), reason="warm kernels are for Linux")]

SUITE = "nbgrader.tests.apps.test_nbgrader_autograde"

# What passes on stock nbgrader and is meant to be otherwise here.
EXCEPTIONS = {
    "test_side_effects": "Expects a file that a cell wrote in autograded/. Cells run in a folder of their own that is"
    " thrown away, so that no submission changes what lies in the course.",
    "test_grade_empty_timestamp": "Expects status 1 for a timestamp that is no date. Such a submission is set aside,"
    " and listed with the reason at the end; the run of the others succeeds.",
    "test_handle_failure": "Expects that a notebook with cells that the assignment does not have ends in an error. Its"
    " known cells are graded.",
    "test_handle_failure_single_notebook": "The same.",
    "test_missing_source_kernelspec": "Expects an error for a submission that names a kernel which is not installed. It"
    " is graded in the course's kernel.",
    "test_incorrect_source_kernelspec": "The same, where the source notebook names such a kernel.",
}


def test_nbgraders_own_tests_pass(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-p", "nbgrader_defaults", "--pyargs", SUITE, f"--junitxml={report}"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {c.get("name") for c in cases if c.find("failure") is not None or c.find("error") is not None}
    skipped = {c.get("name") for c in cases if c.find("skipped") is not None}
    assert failed == set(EXCEPTIONS), done.stdout[-20_000:]
    assert len(cases) - len(failed) - len(skipped) >= 34
    assert len(skipped) <= 2
