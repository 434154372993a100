"""Attacks on secrets and on the machine: hidden inputs, files, network, processes, resources."""

from pathlib import Path

import toycourse
from attacks import CHOICE, DOUBLE, NO_DOUBLE, NO_QUADRUPLE, QUADRUPLE, RIGHT, SEND, Place, attack

# -- hidden inputs -----------------------------------------------------------------------------------------------------

attack.kind = "Hidden inputs"
ONE_WAY = "Hidden inputs are written when no cell is left that could print; what an exam prints is dropped"
_STEAL = """
from autograder.serialize import decode
def steal():
    found = []
    for path in glob.glob(os.path.join(os.path.dirname(os.getcwd()), "questions", "*", "question")):
        with contextlib.suppress(Exception):
            trials = decode(open(path, "rb").read(), recipes=True)
            found += [t["fields"]["inputs"]["x"].flatten().tolist() for t in trials if "inputs" in t["fields"]]
    return found
"""
attack(
    "keeps_inputs",
    "Keep what an answer is asked in a variable and in files, for later cells to print",
    ONE_WAY,
    RIGHT,
    double="""
seen = []
def double(x):
    seen.append(x.tolist())
    for place in (".", "/var/tmp", "/dev/shm", "/tmp"):
        with contextlib.suppress(OSError), open(place + "/seen", "a") as stream: stream.write(repr(x.tolist()))
    print(x)
    return x + x
""",
    choice="""
for place in (".", "/var/tmp", "/dev/shm", "/tmp"):
    with contextlib.suppress(OSError): print(open(place + "/seen").read())
print(seen)
"""
    + CHOICE
    + "ran()",
)
attack(
    "waits_for_the_question",
    "Have a thread and a process outlive their cell, wait for the question, print it and keep it",
    ONE_WAY + "; all processes end with the kernel",
    RIGHT,
    double=_STEAL
    + DOUBLE
    + """
def wait():
    while True:
        found = steal()
        if found:
            for place in (".", "/var/tmp", "/dev/shm"):
                with contextlib.suppress(OSError), open(place + "/stolen", "a") as stream: stream.write(repr(found))
            print(found); sys.__stdout__.write(repr(found)); sys.displayhook(found)
        time.sleep(0.01)
threading.Thread(target=wait, daemon=True).start()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: wait()
    os._exit(0)
ran()
""",
)
attack(
    "ends_and_remembers",
    "Have a process keep the question in files, then kill the kernel, so that its cells run again and print them",
    "A fresh kernel has fresh folders; what replayed cells print is dropped",
    NO_DOUBLE,
    double=_STEAL
    + """
print([open(path).read() for path in glob.glob("/var/tmp/s*") + glob.glob("/dev/shm/s*") + glob.glob("s*")])
def double(x):
    for place in ("/var/tmp", "/dev/shm", "."):
        with contextlib.suppress(OSError), open(place + "/s", "a") as stream: stream.write(repr(steal()))
    os.kill(-1, 9); os.kill(os.getpid(), 9)
ran()
""",
    quadruple=QUADRUPLE,
)
attack(
    "spies",
    "Raise a hidden input as the text of an exception, in the hidden case",
    "A hidden case says the type of a built-in exception and nothing else",
    {**RIGHT, "double": 1.0},
    double="""
def double(x):
    if x.ndim == 2: raise ValueError(repr(x.tolist()))
    return x + x
ran()
""",
)
_FRAME = """
def hidden():
    frame = sys._getframe()
    while frame:
        if "place" in frame.f_locals and "trials" in frame.f_locals:
            return frame.f_locals["trials"]()[1].fields["inputs"]["x"].flatten()
        frame = frame.f_back
"""
attack(
    "hidden_as_visible_text",
    "In the visible case, raise whatever inputs can be found as an exception's text",
    "Visible cases are asked, and read, before any hidden one is written",
    NO_DOUBLE,
    double=_FRAME + "def double(x): raise ValueError(repr(hidden().tolist()))\nran()",
)
attack(
    "hidden_as_visible_value",
    "In the visible case, return whatever inputs can be found: the feedback page shows the value that differs most",
    "Visible cases are asked, and read, before any hidden one is written",
    NO_DOUBLE,
    double=_FRAME + "def double(x): return hidden()[:3]\nran()",
)
attack(
    "hidden_as_display",
    "Have a thread that outlives its cell put the question into an earlier cell's display",
    "What cells have shown is put back as it was before the first hidden question",
    RIGHT,
    double=SEND
    + _STEAL
    + DOUBLE.replace("return", "time.sleep(0.2)\n    return")
    + """
from IPython.display import display
display("nothing yet", display_id="late")
def wait():
    while True:
        found = steal()
        if found:
            send("update_display_data", {"data": {"text/plain": repr(found)}, "metadata": {}, "transient":
                {"display_id": "late"}})
        time.sleep(0.01)
threading.Thread(target=wait, daemon=True).start()
ran()
""",
)

# -- files -------------------------------------------------------------------------------------------------------------

attack.kind = "Files"
HIDDEN = "namespaces, Landlock: a file system that holds Python and the submission's own files"
_SPY = """
def look(path):
    try:
        with open(path, "rb", opener=lambda *a: os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as stream:
            text = stream.read(200_000) or b""
    except (OSError, ValueError) as error:
        return print("refused:", type(error).__name__)
    if any((a + b).encode() in text for a, b in T["halves"]) or text[:15] == b"SQLite format 3": got(path, text[:2000])
"""
attack(
    "reads_files",
    "Read the gradebook, the solutions, the hidden tests, a neighbour's submission and a secret beside the course",
    HIDDEN,
    RIGHT,
    double=_SPY
    + DOUBLE
    + """
for path in T["files"]: look(path); look("../" * 20 + path)
for folder in (T["course"], T["course"] + "/..", "/tmp", "/root", "/home", "/etc"):
    try:
        names = os.listdir(folder)
    except OSError as error:
        print("refused:", type(error).__name__)
        continue
    if {"solutions", "gradebook.db", "submitted"} & set(names): got(folder, names)
    for name in names: look(folder + "/" + name)
ran()
""",
)
attack(
    "reads_proc",
    "Read them through `/proc`: other processes' roots, environments, memory, open files",
    "namespaces: other processes are not there; user: process 1 is another's",
    RIGHT,
    double=_SPY
    + DOUBLE
    + """
for process in [*glob.glob("/proc/[0-9]*"), "/proc/self", f"/proc/{T['grader']}", f"/proc/{os.getppid()}"]:
    for name in ("environ", "cmdline", "mem", "maps", "cwd/gradebook.db", *glob.glob(process + "/fd/*")):
        look(name if name.startswith("/") else f"{process}/{name}")
    for path in T["files"]: look(f"{process}/root{path}")
for name in ("/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/1/task/1/environ"): look(name)
with contextlib.suppress(OSError):
    if "pytest" in open(f"/proc/{T['grader']}/cmdline").read(): got("grader")
ran()
""",
)
attack(
    "writes_files",
    "Change the gradebook, the solutions, the configuration, this package and the virtual environment",
    HIDDEN + ", which cannot be changed",
    RIGHT,
    double=DOUBLE
    + """
import sqlite3, autograder, site
def marks():
    base = sqlite3.connect(f"file:{T['gradebook']}?mode=rw", uri=True)
    base.execute("update grade set auto_score = 1000, manual_score = 1000"); base.commit()
tried(marks)
for path in [*T["files"], autograder.__file__, torch.__file__, sys.executable, *site.getsitepackages(), "/etc/passwd"]:
    for place in (path, path + "/new.pth", os.path.dirname(path) + "/new.py"):
        tried(lambda: open(place, "a").write(""), place)
    tried(lambda: os.chmod(path, 0o777), path)
ran()
""",
)
attack(
    "links_in_work",
    "Make symbolic and hard links to the course's files in the working folder, under names that the grader may read",
    "The grader reads nothing from the working folder",
    RIGHT,
    double=_SPY
    + DOUBLE
    + """
for number, path in enumerate(T["files"]):
    for make in (os.symlink, os.link):
        for name in ("toy.checks", "toy.ipynb", f"link{number}"):
            with contextlib.suppress(OSError): os.remove(name)
            with contextlib.suppress(OSError): make(path, name)
            look(name)
ran()
""",
)


def _linked(how: str) -> Place:
    def place(course: Path, student: str) -> None:
        toycourse.submit(course, student)
        link = course / "submitted" / student / "toy" / "data.txt"
        target = course / "solutions" / "toy" / "double.py"
        link.symlink_to(target) if how == "symbolic" else link.hardlink_to(target)

    return place


for _how in ("symbolic", "hard"):
    attack(
        f"{_how}_link_handed_in",
        f"Hand in a {_how} link to the reference beside the notebook",
        "The submission is set aside, with a sentence",
        None,
        hand_in=_linked(_how),
        runs=False,
        log=f"is a {_how} link",
    )
attack(
    "environment",
    "Look for passwords in the grader's environment variables",
    "Kernels get a list of harmless variables only",
    RIGHT,
    double=_SPY
    + DOUBLE
    + "if 'SECRET_TOKEN' in os.environ: got(os.environ['SECRET_TOKEN'])\n"
    + "done = subprocess.run(['env'], capture_output=True, text=True).stdout\nif 'SECRET_TOKEN' in done: got(done)\n"
    + "for path in glob.glob('/proc/*/environ'): look(path)\nran()",
)

# -- network, processes ------------------------------------------------------------------------------------------------

attack.kind = "Network and processes"
attack(
    "network",
    "Connect to TCP and UDP on loopback, to an abstract and to a named Unix socket of the grader's machine",
    "namespaces, Landlock, seccomp",
    RIGHT,
    double=DOUBLE
    + """
for family, kind, address in (
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", T["tcp"])),
    (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", T["udp"])),
    (socket.AF_UNIX, socket.SOCK_STREAM, "\\0" + T["abstract"]), (socket.AF_UNIX, socket.SOCK_STREAM, T["socket"]),
    (socket.AF_UNIX, socket.SOCK_DGRAM, T["datagrams"]), (socket.AF_NETLINK, socket.SOCK_RAW, (0, 0)),
):
    def call():
        with socket.socket(family, kind) as line:
            line.settimeout(2)
            line.connect(address); line.send(b"secret")
    tried(call, family, kind)
tried(lambda: socket.getaddrinfo("pypi.org", 443))
ran()
""",
)
attack(
    "signals",
    "Signal the grader, its parent, the warm process and every other process number",
    "namespaces: other processes are not there",
    RIGHT,
    double=DOUBLE
    + """
tried(lambda: os.kill(1, 9)); tried(lambda: os.kill(T["grader"], 9)); tried(lambda: os.kill(T["parent"], 15))
for number in range(2, 100_000):
    if number != os.getpid() and number not in [int(n) for n in os.listdir("/proc/self/task")]:
        with contextlib.suppress(OSError): os.kill(number, 0); got(number)
ran()
""",
)
attack(
    "privileges",
    "Gain rights: unshare, mount, chroot, ptrace, setuid programs, keys, BPF, io_uring, new devices",
    "user, no new privileges, seccomp",
    RIGHT,
    double=DOUBLE
    + """
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0: raise OSError(ctypes.get_errno(), "refused")
    return number
name = ctypes.c_char_p(b"/var/tmp")
for work in (
    lambda: call(272, 0x10000000), lambda: call(272, 0x20000), lambda: call(165, name, name, name, 4096, None),
    lambda: call(161, name), lambda: call(101, 16, os.getppid(), None, None), lambda: call(321, 0, None, 0),
    lambda: call(425, 8, ctypes.create_string_buffer(256)), lambda: call(250, 0, 0),
    lambda: call(435, ctypes.create_string_buffer(88), 88),
    lambda: call(56, 0x10000011, None), lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.mknod("d", 0o60666, 1),
    lambda: os.chroot("/var/tmp"), lambda: open(f"/proc/{os.getppid()}/mem", "rb"),
    lambda: call(319, name, 0), lambda: time.clock_settime(time.CLOCK_REALTIME, 0),
):
    tried(work)
for program in glob.glob("/usr/bin/*su*") + ["/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/newgrp"]:
    if os.path.exists(program):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command, options = [program, "-c", "id -u"], {"timeout": 2, "stdin": subprocess.DEVNULL}
            if subprocess.run(command, capture_output=True, **options).stdout.strip() == b"0": got(program)
ran()
""",
)
for _name, _says, _do in (
    ("exits", "End the process with `os._exit`", "os._exit(0)"),
    ("kills_itself", "Send itself SIGKILL", "os.kill(os.getpid(), 9)"),
    ("stops_itself", "Stop itself with SIGSTOP", "os.kill(os.getpid(), signal.SIGSTOP)"),
    ("deaf", "Loop without end, and ignore interrupts, in a group of processes of its own",
     "signal.signal(signal.SIGINT, signal.SIG_IGN); os.setpgid(0, 0)\nwhile True: pass"),
    ("crashes", "Crash the interpreter", "ctypes.string_at(0)"),
):  # fmt: skip
    attack(
        _name,
        _says,
        "A fresh kernel, in which the other cells run again",
        NO_QUADRUPLE,
        quadruple=f"{QUADRUPLE}\n{_do}",
        runs=False,
        log="the rest is run in a fresh kernel without it",
    )
attack(
    "kills_all",
    "Send SIGKILL to every process that it may signal",
    "namespaces: its own are all that are there; what they kept for an exam is made anew in a fresh kernel",
    RIGHT,
    quadruple=QUADRUPLE + "os.kill(-1, 9)\nran()",
)
attack(
    "own_clock",
    "Replace `time.monotonic` and `select.select` in the kernel, and answer without end",
    "The grader has a time limit of its own for each question",
    NO_QUADRUPLE,
    quadruple="""
import select
time.monotonic = lambda: 0.0
def quadruple(x):
    while True: pass
ran()
""",
    log="took too long",
)

# -- resources ---------------------------------------------------------------------------------------------------------

attack.kind = "Resources"
attack(
    "fork_bomb",
    "Start processes without end",
    "limits: a number of processes, of a user that no other kernel has",
    NO_QUADRUPLE,  # the child that holds double is there already, and no fork is needed for what is a value
    quadruple=QUADRUPLE
    + """
count = 0
try:
    while True:
        if os.fork() == 0:
            signal.pause(); os._exit(0)
        count += 1
except OSError: pass
if count > T["processes"]: got(count)
ran()
""",
)
attack(
    "memory_bomb",
    "Take memory without end in one process",
    "limits: address space",
    RIGHT,
    double=DOUBLE
    + """
blocks = []
try:
    while len(blocks) < 100: blocks.append(bytes(2**27))
except MemoryError: pass
count, blocks = len(blocks), None
if count * 2**27 > T["memory"]: got(count)
ran()
""",
)
attack(
    "memory_bombs",
    "Take memory without end in many processes, each within its limit",
    "The keeper counts what all processes use, and ends them",
    NO_QUADRUPLE,
    quadruple=QUADRUPLE
    + """
for number in range(T["memory"] // (400 * 2**20) + 2):
    if os.fork() == 0:
        block = b"x" * (400 * 2**20)
        time.sleep(60); os._exit(0)
time.sleep(60)
got("memory")
""",
    runs=False,
    log="memory",
)
attack(
    "fills_memory_files",
    "Fill `/dev/shm`, `/var/tmp` and the working folder, and make memory files that no folder shows",
    "namespaces: small file systems in memory; seccomp: no memfd",
    RIGHT,
    double=DOUBLE
    + """
total = 0
for folder in ("/dev/shm", "/var/tmp", "."):
    names = []
    try:
        while True:
            names.append(f"{folder}/{len(names)}.bin")
            with open(names[-1], "wb") as stream:
                for _ in range(8): total += stream.write(bytes(2**20))
            if total > T["files_bytes"]: break
    except OSError: pass
    for name in names:
        with contextlib.suppress(OSError): os.remove(name)
if total > T["files_bytes"]: got(total)
tried(lambda: os.memfd_create("hidden"))
ran()
""",
)
attack(
    "fills_with_files",
    "Make a hundred thousand files, one too large, and files that are deleted and open",
    "limits: file size; namespaces: a number of files",
    RIGHT,
    double=DOUBLE
    + """
count, handles = 0, []
try:
    for count in range(100_000): open(f"f{count}", "w").close()
except OSError: pass
if count > 50_000: got(count)
subprocess.run("rm -f f*", shell=True)
for number in range(count):
    with contextlib.suppress(OSError): os.remove(f"f{number}")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
tried(lambda: open("large", "wb").write(bytes(T["file"] + 2**20)))
size = 0
try:
    for number in range(900):
        handles.append(open("deleted", "wb")); os.remove("deleted")
        size += handles[-1].write(bytes(2**20)); handles[-1].flush()
except OSError: pass
if size > T["files_bytes"]: got(size)
for handle in handles:
    with contextlib.suppress(OSError): handle.close()
ran()
""",
)
