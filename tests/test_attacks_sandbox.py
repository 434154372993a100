"""What stops an attack where some layers are missing, and attacks that no submission of the toy course can express."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import toycourse
from attacks import SEND
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook
from traitlets import Dict

from autograder.kernels.policy import LANDLOCK, LIMITS, NAMESPACES, QUESTIONS, SECCOMP, SIGNALS, USER, WORK
from autograder.kernels.sandbox import Sandbox, probe_machine
from autograder.kernels.warm import WarmKernelManager

MIB = 2**20
ALL = (NAMESPACES, USER, LIMITS, LANDLOCK, SECCOMP)
WITHOUT_NAMESPACES = (LIMITS, LANDLOCK, SECCOMP)

_CONFINED = not Sandbox(required=["limits"]).missing()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not _CONFINED, reason="kernels cannot be confined here")]


def needs(*layers: str) -> None:
    """Skip, by name, where the machine lacks a layer."""
    reasons = probe_machine()
    for layer in layers:
        if reasons[layer]:
            pytest.skip(f"{layer}: {reasons[layer]}")


class Kernel:
    """Runs cells in a confined kernel."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        for part in (WORK, QUESTIONS):
            (scratch / part).mkdir(parents=True)
        self.ended: str | None = None  # how the client saw the kernel end

    def run(self, *sources: str, layers: Sequence[str] = ALL, timeout: int = 60, **bounds: Any) -> str:
        """What the cells print, and what they raise."""
        needs(*layers)
        policy = {**(Sandbox().policy(self.scratch, cuda=False) or {}), "layers": list(layers), **bounds}
        manager = type("Manager", (WarmKernelManager,), {"policy": Dict(policy)})
        nb = new_notebook(cells=[new_code_cell(source) for source in sources])
        client = NotebookClient(
            nb,
            kernel_manager_class=manager,
            timeout=timeout,
            allow_errors=True,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": str(self.scratch / WORK)}},
        )
        try:
            client.execute()
        except DeadKernelError as error:
            self.ended = str(error)
        outputs = [output for cell in nb.cells for output in cell.outputs]
        return "".join(output.get("text", "") or f"{output.get('ename')}\n" for output in outputs)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with tempfile.TemporaryDirectory(prefix="attack-", dir="/tmp") as folder:
        yield Kernel(Path(folder))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder of the machine that everybody may enter and write, with a file."""
    with tempfile.TemporaryDirectory(prefix="open-", dir="/tmp") as name:
        os.chmod(name, 0o777)
        (Path(name) / "file").write_text("secret-5521")
        yield Path(name)


TRIED = """
import os, signal, socket, subprocess, sys, time, ctypes
def tried(name, work):
    try: work()
    except OSError as error: print(name, "refused")
    else: print(name, "DONE")
"""


# -- one layer alone ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [NAMESPACES, LANDLOCK])
def test_files_of_the_machine_are_out_of_reach(kernel: Kernel, open_folder: Path, layer: str) -> None:
    said = kernel.run(
        TRIED,
        f"place = {str(open_folder)!r}",
        "tried('reads', lambda: open(place + '/file').read())",
        "tried('lists', lambda: os.listdir(place))",
        "tried('writes', lambda: open(place + '/new', 'w'))",
        "tried('links', lambda: os.link(place + '/file', 'linked'))",
        "tried('follows', lambda: (os.symlink(place + '/file', 'link'), open('link').read()))",
        "tried('package', lambda: open(os.path.dirname(sys.modules['autograder'].__file__) + '/new.py', 'w'))",
        layers=[layer],
    )
    assert "DONE" not in said
    assert said.count("refused") == 6
    assert sorted(path.name for path in open_folder.iterdir()) == ["file"]


@pytest.mark.parametrize("layers", [(NAMESPACES,), (SECCOMP,), (LANDLOCK, SECCOMP)])
def test_no_address_is_reached(kernel: Kernel, open_folder: Path, layers: tuple[str, ...]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as stream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", 0))
        for line in (stream, datagrams):
            line.setblocking(False)
        said = kernel.run(
            TRIED,
            f"a, b = {stream.getsockname()}, {datagrams.getsockname()}",
            "tried('tcp', lambda: socket.create_connection(a, 2))",
            "tried('udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', b))",
            layers=layers,
        )
        assert said.split() == ["tcp", "refused", "udp", "refused"]
        for listening in (lambda: stream.accept(), lambda: datagrams.recv(10)):
            with pytest.raises(BlockingIOError):
                listening()


def _unix(kernel: Kernel, folder: Path, kind: int, call: str, layers: Sequence[str]) -> str:
    """What a kernel says that calls a Unix socket of the machine with a name; fails where something arrives."""
    path = folder / "socket"
    with socket.socket(socket.AF_UNIX, kind) as line:
        line.bind(str(path))
        path.chmod(0o777)
        line.setblocking(False)
        if kind == socket.SOCK_STREAM:
            line.listen()
        said = kernel.run(TRIED, f"tried('call', lambda: {call.format(path=str(path))})", layers=layers)
        with pytest.raises(BlockingIOError):
            line.recv(10) if kind == socket.SOCK_DGRAM else line.accept()
    return said


@pytest.mark.parametrize("layers", [(NAMESPACES,), WITHOUT_NAMESPACES])
def test_no_named_unix_socket_is_reached(kernel: Kernel, open_folder: Path, layers: tuple[str, ...]) -> None:
    call = "socket.socket(socket.AF_UNIX).connect({path!r})"
    assert _unix(kernel, open_folder, socket.SOCK_STREAM, call, layers) == "call refused\n"


def test_no_unix_datagram_leaves_without_namespaces(kernel: Kernel, open_folder: Path) -> None:
    call = "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'secret', {path!r})"
    assert _unix(kernel, open_folder, socket.SOCK_DGRAM, call, WITHOUT_NAMESPACES) == "call refused\n"


@pytest.mark.parametrize("layers", [(NAMESPACES,), (LANDLOCK,)])
def test_no_process_outside_is_signalled(kernel: Kernel, layers: tuple[str, ...]) -> None:
    needs(SIGNALS)
    with subprocess.Popen(["sleep", "60"]) as other:
        said = kernel.run(TRIED, f"tried('signal', lambda: os.kill({other.pid}, 9))", layers=layers)
        alive = other.poll() is None
        other.kill()
    assert said == "signal refused\n"
    assert alive


def test_seccomp_alone_forbids_what_only_attacks_need(kernel: Kernel) -> None:
    said = kernel.run(
        TRIED,
        """
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if libc.syscall(*arguments) < 0: raise OSError(ctypes.get_errno(), "")
for name, arguments in dict(ptrace=(101, 16, os.getppid(), 0, 0), unshare=(272, 0x10000000), clone=(56, 0x10000011, 0),
    setns=(308, 0, 0), mount=(165, 0, 0, 0, 0, 0), bpf=(321, 0, 0, 0), memfd=(319, b"x", 0), io_uring=(425, 1, 0),
    read=(310, os.getpid(), 0, 0, 0, 0, 0), keys=(250, 0, 0), fanotify=(298, 0, 0, 0, 0)).items():
    tried(name, lambda: call(*arguments))
tried("inet", lambda: socket.socket(socket.AF_INET6)); tried("netlink", lambda: socket.socket(socket.AF_NETLINK))
tried("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)); tried("vsock", lambda: socket.socket(40))
""",
        layers=[SECCOMP],
    )
    assert "DONE" not in said
    assert said.count("refused") == 15


def test_limits_alone_bound_processes_files_and_memory(kernel: Kernel) -> None:
    said = kernel.run(
        TRIED,
        "tried('memory', lambda: __import__('mmap').mmap(-1, 5 * 2**30))",
        "tried('file', lambda: open('large', 'wb').write(bytes(3 * 2**20)))",
        "import resource; print([resource.getrlimit(n)[1] for n in (resource.RLIMIT_CPU, resource.RLIMIT_CORE)])",
        "tried('raise', lambda: resource.setrlimit(resource.RLIMIT_NPROC, (10**6, 10**6)))"
        if os.geteuid()
        else "print('raise refused')",  # without another layer root keeps its right to
        layers=[LIMITS],
        memory=4096 * MIB,
        file=2 * MIB,
        cpu_seconds=100,
    )
    assert said == "memory refused\nfile refused\n[105, 0]\nraise refused\n"


# -- what outlives a kernel --------------------------------------------------------------------------------------------

RABBIT = """
import os, time
if os.fork() == 0:
    os.setsid()
    end = time.time() + 40
    while time.time() < end:
        open(PLACE, "w").close()
        if os.fork(): os._exit(0)
    os._exit(0)
"""


@pytest.mark.parametrize("layers", [ALL, WITHOUT_NAMESPACES])
def test_processes_that_change_their_number_all_the_time_end_with_the_kernel(
    kernel: Kernel, layers: tuple[str, ...]
) -> None:
    """Each lives for a moment only, so that it cannot be ended by its number."""
    inside = [RABBIT.replace("PLACE", "'beat'"), "import time; time.sleep(1); a = os.stat('beat').st_mtime_ns"]
    said = kernel.run(*inside, "time.sleep(1); print(os.stat('beat').st_mtime_ns > a)", layers=layers)
    assert said == "True\n"
    beat = kernel.scratch / WORK / "beat"
    if layers is ALL:
        assert not beat.exists()  # it was in memory only
        return
    time.sleep(1)
    last = beat.stat().st_mtime_ns
    time.sleep(2)
    assert beat.stat().st_mtime_ns == last


def test_a_kernel_ends_with_the_grader(tmp_path: Path) -> None:
    """The grader is killed while a cell runs; nothing of the kernel's is left."""
    source = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n" + (
        "import test_attacks_sandbox as t\nfrom pathlib import Path\n"
        f"t.Kernel(Path({str(tmp_path / 'scratch')!r})).run('import time\\nwhile True: time.sleep(1)')"
    )
    environment = {**os.environ, "AUTOGRADER_RUN": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", source], env=environment, stderr=subprocess.DEVNULL) as grader:
        deadline = time.monotonic() + 120
        while len(_of_run(tmp_path)) < 4 and time.monotonic() < deadline:  # grader, nursery, keeper and kernel at least
            time.sleep(0.1)
        assert len(_of_run(tmp_path)) >= 4
        grader.send_signal(signal.SIGKILL)
    while _of_run(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _of_run(tmp_path) == []


def _of_run(name: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ended = (process / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
            if not ended and f"AUTOGRADER_RUN={name}".encode() in (process / "environ").read_bytes():
                found.append(process.name)
        except OSError:
            continue
    return found


# -- memory and disk ---------------------------------------------------------------------------------------------------

_MANY = """
import mmap, os, time, ctypes, signal
for number in range(6):
    if os.fork() == 0:
        try:
            {take}
            time.sleep(60)
        finally: os._exit(0)
time.sleep(25)
print("STILL THERE")
"""
_BLOCK = 600 * MIB


@pytest.mark.parametrize(
    "take",
    [
        pytest.param(f"block = b'x' * {_BLOCK}", id="its own"),
        pytest.param(
            f"block = mmap.mmap(-1, {_BLOCK})\n            for _ in range({_BLOCK // MIB}): block.write(b'x' * {MIB})",
            id="shared",
        ),
        pytest.param(f"ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); block = b'x' * {_BLOCK}", id="undumpable"),
    ],
)
def test_memory_of_many_processes_is_counted_together(kernel: Kernel, take: str) -> None:
    said = kernel.run(_MANY.format(take=take), memory=2400 * MIB)
    assert "STILL THERE" not in said
    assert kernel.ended is not None


def test_the_machines_disk_cannot_be_filled(kernel: Kernel) -> None:
    said = kernel.run(
        """
import os, ipykernel.kernelapp
folder = os.path.dirname(ipykernel.kernelapp.IPKernelApp.instance().abs_connection_file)
total = 0
try:
    for number in range(20):
        with open(f"{folder}/fill{number}", "wb") as stream:
            for _ in range(16): total += stream.write(bytes(2**20))
except OSError: pass
print(total // 2**20)
""",
        disk=64 * MIB,
        file=32 * MIB,
    )
    assert int(said) <= 200


# -- the client's side -------------------------------------------------------------------------------------------------


def test_the_client_follows_no_link_in_place_of_a_socket(kernel: Kernel, open_folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(open_folder / "other"))
        line.listen()
        line.setblocking(False)
        kernel.run(
            f"""
import os, threading, time, ipykernel.kernelapp
folder = os.path.dirname(ipykernel.kernelapp.IPKernelApp.instance().abs_connection_file)
for name in os.listdir(folder):
    if name.startswith("socket"):
        os.remove(f"{{folder}}/{{name}}"); os.symlink({str(open_folder / "other")!r}, f"{{folder}}/{{name}}")
def drop():
    time.sleep(0.5); os.closerange(3, 1000); time.sleep(3); os._exit(0)
threading.Thread(target=drop).start()
time.sleep(5)
"""
        )
        with pytest.raises(BlockingIOError):
            line.accept()


def test_a_reply_that_is_a_long_row_of_numbers_does_not_take_the_graders_memory() -> None:
    """A list is expected, 60 million truth values come."""
    source = f"""
import resource, torch
from autograder.judge import Tolerance, compare
from autograder.serialize import decode, encode
reply = encode(torch.zeros(60_000_000, dtype=torch.bool))
resource.setrlimit(resource.RLIMIT_AS, ({3 * 2**30}, {3 * 2**30}))
for expected in ([torch.zeros(2)], [1, 2]):
    print(bool(compare(expected, decode(reply), Tolerance())))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["True", "True"], done.stderr[-300:]


# -- before the first cell ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = toycourse.lay_out(tmp_path_factory.mktemp("early") / "course")
    toycourse.nbgrader(folder, "generate_assignment", "toy")
    return folder


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("pdb", "raise ImportError('gone')", id="ends the kernel"),
        pytest.param(
            "debugpy",
            "import ipykernel.ipkernel\nipykernel.ipkernel.IPythonKernel.language_info = {'name': 5}",
            id="says what its language is",
        ),
    ],
)
def test_a_module_beside_the_notebook_costs_no_score(course: Path, module: str, source: str) -> None:
    shutil.rmtree(course / "submitted", ignore_errors=True)
    toycourse.submit(course, module)
    (course / "submitted" / module / "toy" / f"{module}.py").write_text(source)
    log = toycourse.nbgrader(course, "autograde", "toy", "--student", module)
    assert "Traceback" not in log
    assert toycourse.scores(course)[module] == {"double": 2.0, "quadruple": 3.0, "toy_choice": 1.0}


def test_no_module_beside_the_notebook_runs_before_the_last_layer_is_on(kernel: Kernel) -> None:
    """A process started then would keep every system call, and without namespaces the network."""
    for module in ("pdb", "debugpy", "sqlite3", "cmd", "bdb", "mimetypes", "pydoc", "xmlrpc", "code"):
        (kernel.scratch / WORK / f"{module}.py").write_text(
            "import re\nmode = re.search('Seccomp:\\\\s*(.)', open('/proc/self/status').read())[1]\n"
            "open('early', 'a').write(f'{__name__} {mode} ')\nraise ImportError('gone')\n"
        )
    try:
        said = kernel.run("import os; print(os.path.exists('early') and open('early').read())", layers=ALL)
    except RuntimeError:  # it did not even start
        pytest.fail("a module beside the notebook was imported while the kernel started")
    assert said == "False\n"


@pytest.mark.parametrize(
    ("student", "source"),
    [
        pytest.param("huge", "send('stream', {'name': 'stdout', 'text': 'x' * 600_000_000})", id="one huge message"),
        pytest.param(
            "widgets",
            "state = {'_model_name': 'OutputModel', 'outputs': 'x' * 30_000_000}\n"
            "for i in range(40): send('comm_open', {'comm_id': str(i), 'target_name': 'jupyter.widget',"
            " 'data': {'state': state}})",
            id="many widgets",
        ),
    ],
)
def test_messages_do_not_take_the_graders_memory(course: Path, student: str, source: str) -> None:
    shutil.rmtree(course / "submitted", ignore_errors=True)
    toycourse.submit(course, student, double=f"{SEND}{source}\ndef double(x):\n    return x + x")
    environment, peak = {**os.environ, "PYTHONPATH": str(course / "lib")}, 0
    command = [sys.executable, "-m", "nbgrader", "autograde", "toy", "--student", student]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=course, env=environment, stdout=nowhere, stderr=nowhere) as grader:
        while grader.poll() is None:
            with contextlib.suppress(OSError, IndexError):
                said = Path(f"/proc/{grader.pid}/status").read_text()
                peak = max(peak, int(said.split("VmHWM:")[1].split()[0]))
            time.sleep(0.05)
    assert grader.returncode == 0
    assert toycourse.scores(course)[student]["quadruple"] == 3.0
    assert 0 < peak < 1_000_000  # kB; 450,000 are usual


# -- an ordinary user --------------------------------------------------------------------------------------------------


def test_an_ordinary_user_has_a_sandbox_too(tmp_path: Path, open_folder: Path) -> None:
    """Another user runs this very module's kernels, by the system's Python and this environment's packages."""
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    python = shutil.which("python3", path="/usr/bin:/bin")
    here = Path(__file__).parent
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{packages}:{here.parent}:{here}", "HOME": str(open_folder)}
    if os.geteuid() != 0 or python is None or shutil.which("setpriv") is None:
        pytest.skip("an ordinary user: only root can become one (setpriv)")
    become = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", python]
    if subprocess.run([*become, "-c", "import torch, ipykernel"], env=environment, capture_output=True).returncode:
        pytest.skip("an ordinary user: the system's Python cannot use this environment's packages")
    source = f"""
import os
from pathlib import Path
import test_attacks_sandbox as t
layers = t.Sandbox().layers()
print(layers, t.Sandbox().missing())
layers.remove("signals")
kernel = t.Kernel(Path({str(open_folder)!r}, "scratch"))
print(kernel.run(t.TRIED, '''
tried("reads", lambda: open({str(open_folder / "file")!r}).read())
tried("root", lambda: os.setuid(0))
tried("keeper", lambda: os.kill(1, 9))
tried("memory", lambda: open("/proc/1/mem", "rb"))
tried("questions", lambda: open("../questions/new", "w"))
tried("ended", lambda: os.kill({os.getpid()}, 0))
''', layers=layers))
kernel = t.Kernel(Path({str(open_folder)!r}, "more"))
print(kernel.run(t._MANY.format(take="ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); block = b'x' * {_BLOCK}"), layers=layers,
    memory={2400 * MIB}), kernel.ended)
"""
    done = subprocess.run([*become, "-c", source], env=environment, capture_output=True, text=True, timeout=300)
    first, *said = done.stdout.splitlines()
    assert first.endswith("{}"), done.stdout + done.stderr
    assert "DONE" not in done.stdout
    assert sum("refused" in line for line in said) == 6, done.stdout + done.stderr
    assert "STILL THERE" not in done.stdout
