"""Warm kernels: as any kernel, only sooner; nothing passes from one to the next."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from autograder.kernels.warm import PROVISIONER, Nursery, WarmKernelManager, available, nursery

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not available(), reason="warm kernels are for Linux")]


def execute(*sources: str, folder: Path, **options: Any) -> NotebookNode:
    nb = new_notebook(cells=[new_code_cell(source) for source in sources])
    options = {"timeout": 60, "allow_errors": True, "shutdown_kernel": "immediate", **options}
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(nb, kernel_manager_class=WarmKernelManager, resources=resources, **options)
    return client.execute()


def printed(nb: NotebookNode) -> list[str]:
    return ["".join(output.get("text", "") for output in cell.outputs).strip() for cell in nb.cells]


def test_a_warm_kernel_is_a_kernel(tmp_path: Path) -> None:
    nb = execute(
        "import os, sys; print(os.getcwd(), __name__, 'torch' in sys.modules)",
        "import torch; torch.set_num_threads(2); a = torch.ones(400, 400, requires_grad=True); (a@a).sum().backward()",
        "print(a.grad.shape)",
        "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
        "1 / 0",
        "print(input.__name__, torch.cuda.is_initialized())",
        folder=tmp_path,
    )
    said = printed(nb)
    assert said[0] == f"{tmp_path} __main__ True"
    assert said[2] == "torch.Size([400, 400])"
    assert "image/png" in nb.cells[3].outputs[0].data
    assert nb.cells[4].outputs[0].ename == "ZeroDivisionError"
    assert said[5].endswith("False")


def test_nothing_passes_from_one_kernel_to_the_next(tmp_path: Path) -> None:
    execute("import torch; torch.kept = 1; kept = 1; import os; os.environ['KEPT'] = '1'", folder=tmp_path)
    nb = execute(
        "import os, torch; print(hasattr(torch, 'kept'), 'kept' in dir(), 'KEPT' in os.environ)", folder=tmp_path
    )
    assert printed(nb) == ["False False False"]


def test_its_own_folder_comes_first_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("here = 7\n")
    assert printed(execute("import beside; print(beside.here)", folder=tmp_path)) == ["7"]


def test_what_lies_where_the_grader_runs_is_not_on_the_path(tmp_path: Path) -> None:
    (said,) = printed(execute("import sys; print(sys.path)", folder=tmp_path))
    assert repr(os.getcwd()) not in said
    assert repr("/") not in said


def test_an_endless_cell_is_interrupted_and_the_rest_runs(tmp_path: Path) -> None:
    options = {
        "timeout": 2,
        "interrupt_on_timeout": True,
        "error_on_timeout": {"ename": "T", "evalue": "", "traceback": []},
    }
    nb = execute("while True: pass", "print('on')", folder=tmp_path, **options)
    assert printed(nb)[1] == "on"
    with pytest.raises(CellTimeoutError):
        execute("while True: pass", folder=tmp_path, timeout=1)


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_kernel_that_ends_is_noticed_and_the_next_starts(tmp_path: Path, end: str) -> None:
    with pytest.raises(DeadKernelError):
        execute(f"import os; {end}", folder=tmp_path)
    assert printed(execute("print(1)", folder=tmp_path)) == ["1"]


def test_a_nursery_that_ended_is_replaced(tmp_path: Path) -> None:
    first = nursery()
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    assert printed(execute("print(1)", folder=tmp_path)) == ["1"]
    assert nursery() is not first


def test_a_nursery_takes_its_kernels_with_it(tmp_path: Path) -> None:
    mine = Nursery(["json", "a_module_that_is_not_there"])
    request = {"arguments": ["-f", str(tmp_path / "connection.json")], "cwd": str(tmp_path), "env": dict(os.environ)}
    pid = mine.fork(request)
    assert Path(f"/proc/{pid}").exists()
    mine.close()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises((RuntimeError, OSError)):
        mine.fork(request)


def test_it_works_from_jupyter_execute_by_its_name(tmp_path: Path) -> None:
    spec = tmp_path / "share" / "kernels" / "warm"
    spec.mkdir(parents=True)
    description = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python (warm)",
        "language": "python",
        "metadata": {"kernel_provisioner": {"provisioner_name": PROVISIONER}},
    }
    (spec / "kernel.json").write_text(json.dumps(description))
    path = tmp_path / "book.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("import sys; print('torch' in sys.modules)")]), path)
    environment = {**os.environ, "JUPYTER_PATH": str(tmp_path / "share")}
    command = [sys.executable, "-m", "jupyter", "execute", "--inplace", "--kernel_name=warm", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert printed(nbformat.read(path, as_version=4)) == ["True"]
