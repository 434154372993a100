"""Attacks as data: what a submission of the toy course does, what it deserves, and what stops it.

Each attack finds its real targets in the variable AUTOGRADER_TARGETS. A cell that has done its worst prints RAN, so
that an attack which did not take place is noticed; `got(...)` prints what must not be had.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import toycourse

RIGHT = {"double": 2.0, "quadruple": 3.0, "toy_choice": 1.0}
NO_DOUBLE = {**RIGHT, "double": 0.0}
NO_QUADRUPLE = {**RIGHT, "quadruple": 0.0}
NO_CHOICE = {**RIGHT, "toy_choice": 0.0}
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
_DOUBLE = "\ndef double(x):\n    return x + x\n"
_WRONG = "\ndef double(x):\n    return torch.zeros_like(x)\n"
_QUADRUPLE = "\ndef quadruple(x):\n    return 4 * x\n"
_CHOICE = "\ntoy_choice = 'b'\n"


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
    absent: str = ""  # what must neither be in the log nor in what is given back
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
OUTSIDE = "The comparison, and all that it needs, is in the grader's process"
NO_TENSOR = "Only what safetensors and JSON can carry leaves the kernel; other types are known by their name"

# -- judging -----------------------------------------------------------------------------------------------------------

attack.kind = "Judging"
attack(
    "compares_for_us",
    "Replace `torch.allclose`, `assert_close`, autograder's judge, verdict and score",
    OUTSIDE,
    NO_DOUBLE,
    double="""
import autograder.judge, autograder.verdict, autograder.examiner, nbgrader.utils
autograder.judge.judge = autograder.judge.compare = autograder.judge.differences = lambda *a, **k: []
autograder.examiner.mark = lambda *a, **k: 1000.0
autograder.verdict.Verdict.score = autograder.verdict.Verdict.fraction = property(lambda self: 1000.0)
nbgrader.utils.determine_grade = lambda *a, **k: (1000.0, 1000.0)
torch.testing.assert_close = lambda *a, **k: None
torch.allclose = torch.equal = lambda *a, **k: True
torch.isclose = lambda a, b, **k: torch.ones_like(a, dtype=torch.bool)
"""
    + _WRONG
    + "ran()",
)
attack(
    "equal_to_all",
    "Give `torch.Tensor` an `==`, `__bool__` and `allclose` that always say yes",
    OUTSIDE,
    NO_DOUBLE,
    double="torch.Tensor.__eq__ = torch.Tensor.__bool__ = torch.Tensor.allclose = lambda *a, **k: True"
    + _WRONG
    + "ran()",
)
attack(
    "lying_builtins",
    "Replace `all`, `any`, `abs`, `round` and `max` in `builtins`",
    OUTSIDE,
    NO_DOUBLE,
    double="""
import builtins
builtins.all = builtins.any = lambda *a: True
builtins.abs = builtins.round = lambda *a: 0
"""
    + _WRONG
    + "ran()",
)
attack(
    "import_system",
    "Put modules of its own into `sys.modules` and `sys.meta_path`",
    OUTSIDE,
    NO_DOUBLE,
    double="""
import types, importlib.abc, importlib.machinery
class Anything(types.ModuleType):
    def __getattr__(self, name): return lambda *a, **k: 1000.0
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, *a):
        if name.startswith(("autograder.judge", "autograder.verdict", "nbgrader", "autograder.examiner")):
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec): return Anything(spec.name)
    def exec_module(self, module): pass
sys.meta_path.insert(0, Finder())
for name in ("autograder.judge", "autograder.verdict", "autograder.examiner", "nbgrader"):
    sys.modules[name] = Anything(name)
"""
    + _WRONG
    + "ran()",
)
attack(
    "modules_beside",
    "Hand in `torch.py`, `autograder.py`, `safetensors.py` and `nbgrader.py` beside the notebook",
    "The kernel has its modules already, and the grader has no submission's folder on its path",
    NO_DOUBLE,
    double=_WRONG + "ran()",
    beside=dict.fromkeys(
        ("torch.py", "autograder.py", "safetensors.py", "nbgrader.py", "toybuiltins.py"),
        "import os; print('forged'); exam = check = start = twice = lambda *a: 1000.0\n",
    ),
)
attack(
    "own_exam",
    "Replace `exam` and `check` in the package and in the notebook",
    "A graded cell is not run",
    NO_DOUBLE,
    double="import autograder, autograder.selfcheck\n"
    "exam = check = autograder.exam = autograder.check = autograder.selfcheck.exam = lambda *a: 2.0" + _WRONG + "ran()",
)
attack(
    "ast_transformer",
    "Rewrite later cells with IPython's `ast_transformers`, so that each call is 2.0",
    "A graded cell is not run",
    NO_DOUBLE,
    double="""
import ast
class Marks(ast.NodeTransformer):
    def visit_Call(self, node):
        named = getattr(node.func, "id", "") in ("exam", "check")
        return ast.copy_location(ast.Constant(2.0), node) if named else self.generic_visit(node)
get_ipython().ast_transformers.append(Marks())
"""
    + _WRONG
    + "ran()",
)
attack(
    "input_transformer",
    "Have IPython's input transformers turn every later cell, the grader's own calls too, into `2.0`",
    "A graded cell is not run; what keeps the grader from asking costs marks",
    NOTHING,
    double="get_ipython().input_transformers_cleanup.append(lambda lines: ['2.0\\n'])" + _DOUBLE + "ran()",
)
attack(
    "cell_hooks",
    "Show 2.0 as a result after every cell, by IPython's `post_run_cell` and `pre_run_cell`",
    "The grader writes an exam's outputs itself, when no cell is left to run",
    NO_DOUBLE,
    double="""
def hook(*info):
    from IPython.display import display
    display(2.0); sys.displayhook(2.0)
for event in ("pre_run_cell", "post_run_cell", "pre_execute", "post_execute"):
    get_ipython().events.register(event, hook)
"""
    + _WRONG
    + "ran()",
)
attack(
    "runner_replaced",
    "Replace the runner in the kernel by one that claims a score, a verdict and no failure",
    "A reply is an outcome to be compared, whatever it claims",
    NO_DOUBLE,
    double="""
import autograder.ask as ask
stock = ask.run
def run(trial, *more):
    if trial.answer != "double": return stock(trial, *more)
    return {"score": 1000.0, "passed": True, "failure": None, "result": True, "again": True, "weight": 1000.0}
ask.run = run
"""
    + _WRONG
    + "ran()",
)
attack(
    "nothing_is_asked",
    "Replace `os.fork`, `ask.hold` and `ask.answer` so that nothing can be asked",
    "What could not be asked gets no marks",
    NOTHING,
    double="""
import autograder.ask as ask
ask.hold = ask.answer = ask.answer_question = lambda *a: 1000.0
def fork(): raise OSError("no")
os.fork = fork
"""
    + _DOUBLE
    + "ran()",
)

# -- answers that are not data -----------------------------------------------------------------------------------------

attack.kind = "What an answer returns"
attack(
    "tensor_subclass",
    "Return a subclass of Tensor whose `__torch_function__` says yes to every comparison",
    NO_TENSOR,
    NO_DOUBLE,
    double="""
class Alike(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function.__name__ in ("eq", "allclose", "isclose", "equal", "__eq__"): return True
        return super().__torch_function__(function, types, args, kwargs or {})
def double(x):
    return torch.zeros_like(x).as_subclass(Alike)
ran()
""",
)
attack(
    "false_class",
    "Return an object whose `__class__` is Tensor, `==` anything, and has any attribute",
    NO_TENSOR,
    NO_DOUBLE,
    double="""
class Anything:
    __class__ = torch.Tensor
    def __eq__(self, other): return True
    def __getattr__(self, name): return lambda *a, **k: self
    def __array__(self, *a): return torch.zeros(3).numpy()
def double(x):
    return Anything()
ran()
""",
)
attack(
    "reduces",
    "Return an object whose `__reduce__` and `__array__` run a command for whoever unpickles it",
    "Nothing is pickled",
    NO_DOUBLE,
    double="""
class Bomb:
    def __reduce__(self): return os.system, (f"touch {T['mark']}",)
    def __array__(self, *a, **k): raise SystemExit
def double(x):
    return [Bomb(), {"key": Bomb()}]
ran()
""",
)
attack(
    "looks_at_the_stack",
    "Return a lazy object that, when it is looked at, searches the call stack for what is expected",
    "Where it is looked at, nothing is expected: the kernel has inputs only",
    NO_DOUBLE,
    double="""
class Lazy(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        frame = sys._getframe()
        while frame:
            for name in ("expected", "reference", "key", "outcome", "a"):
                found = frame.f_locals.get(name)
                if isinstance(found, torch.Tensor) and not isinstance(found, Lazy): return found
            frame = frame.f_back
        return super().__torch_function__(function, types, args, kwargs or {})
def double(x):
    return torch.zeros_like(x).as_subclass(Lazy)
ran()
""",
)
attack(
    "searches_memory",
    "Search `gc.get_objects()` and all frames for the expected values, by what is known of them",
    "Where it is asked, nothing is expected: the kernel has inputs only",
    NO_DOUBLE,
    double="""
import gc
def double(x):
    def alike(value):
        return isinstance(value, torch.Tensor) and value.shape == x.shape and bool((value.sign() == x.sign()).all()) and \\
            bool((value.abs() > 1.5 * x.abs()).all())
    frame = sys._getframe()
    pool = list(gc.get_objects())
    while frame:
        pool += list(frame.f_locals.values())
        frame = frame.f_back
    for value in pool:
        values = [value, *value.values()] if type(value) is dict else [value, *value] if type(value) in (list, tuple) else [value]
        for each in values:
            if alike(each): return each
    return torch.zeros_like(x)
ran()
""",
)
attack(
    "imports_the_reference",
    "Import the reference from the course's `solutions/`, by path and by name",
    "namespaces, Landlock: the course is not there",
    NO_DOUBLE,
    double="""
import importlib.util
def double(x):
    for path in (T["course"] + "/solutions/toy/double.py", "/proc/1/root" + T["course"] + "/solutions/toy/double.py"):
        try:
            spec = importlib.util.spec_from_file_location("reference", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module.double(x)
        except OSError:
            pass
    return torch.zeros_like(x)
ran()
""",
)
attack(
    "remembers_the_visible",
    "Answer the visible case by the expected values that the checks file holds",
    "Hidden cases carry the marks",
    NO_DOUBLE,
    double="""
table = {tuple(x): y for x, y in T["visible"]}
def double(x):
    known = table.get(tuple(x.flatten().tolist()))
    return torch.tensor(known, dtype=x.dtype) if known else torch.zeros_like(x)
ran()
""",
)

# -- replies -----------------------------------------------------------------------------------------------------------

attack.kind = "Replies"
_REPLY = """
import struct, pickle
import autograder.ask as ask
run, packed = ask.run, ask._packed
HERE = {"result": "raw"}
ask.run = lambda trial, *more: HERE if trial.answer == "double" else run(trial, *more)
ask._packed = lambda outcome: raw() if outcome is HERE else packed(outcome)
def with_header(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body
def tree(text): return with_header({"tree": {"dtype": "U8", "shape": [len(text)], "data_offsets": [0, len(text)]}}, text)
def double(x): return x + x
ran()
"""
BOUNDED = "Size, depth and number of parts of a reply are bounded before it is read; what is not data is no answer"
for _name, _says, _raw in (
    ("reply_huge", "Send a reply above the limit", "bytes(15 * 2**20) * 5"),
    ("reply_cut", "Send a reply that is cut short", "packed({'result': torch.zeros(3)})[:-5]"),
    ("reply_header", "Send safetensors whose header claims 2**63 bytes", "struct.pack('<Q', 2**63) + b'{}'"),
    ("reply_deep", "Send JSON that is nested 100,000 deep, as header and as structure",
     "tree(b'[' * 10**5 + b']' * 10**5)"),
    ("reply_overlaps", "Send tensors that overlap and lie outside of the file",
     "with_header({'tree': {'dtype': 'U8', 'shape': [4], 'data_offsets': [0, 4]}, 't0': {'dtype': 'F64', 'shape':"
     " [1], 'data_offsets': [2, 10**12]}}, b'null')"),
    ("reply_sizes", "Send a tensor whose shape overflows", "with_header({'tree': {'dtype': 'U8', 'shape': [2**62, 8],"
     " 'data_offsets': [0, 4]}}, b'null')"),
    ("reply_many", "Send a hundred thousand empty tensors",
     "with_header({f't{i}': {'dtype': 'F32', 'shape': [0], 'data_offsets': [0, 0]} for i in range(10**5)})"),
    ("reply_pickle", "Send a pickle that runs a command",
     "pickle.dumps(type('B', (), {'__reduce__': lambda self: (os.system, ('touch ' + T['mark'],))})())"),
    ("reply_recipe", "Send a recipe for a command in place of data",
     "tree(json.dumps({'d': [['result', {'r': {'l': ['os:system', {'l': ['touch ' + T['mark']]}, {'d': []}, 0]}}]]})"
     ".encode())"),
    ("reply_lies", "Send half surrogates, NaN, infinities, huge integers and an unknown kind of failure",
     "tree(json.dumps({'d': [['failure', {'d': [['kind', '\\ud800'], ['line', {'i': '9' * 1400}]]}], ['result',"
     " {'f': 'inf'}]]}).encode())"),
):  # fmt: skip
    attack(_name, _says, BOUNDED, NO_DOUBLE, double=f"{_REPLY}\ndef raw(): return {_raw}")
attack(
    "reply_link",
    "Put a symbolic link, a hard link, a pipe or a folder in the place of a reply",
    "user, Landlock: replies may be filled in, not replaced; the grader follows no link",
    RIGHT,
    double="""
def double(x):
    for path in glob.glob(os.path.join(os.path.dirname(os.getcwd()), "questions", "*", "*")):
        for make in (lambda: os.symlink(T["gradebook"], path + "x"), lambda: os.mkfifo(path + "y"),
                     lambda: os.remove(path), lambda: os.link(path, "linked"), lambda: os.mkdir(path + "z")):
            with contextlib.suppress(OSError):
                make()
                return None
    return x + x
ran()
""",
)

# -- forged outputs ----------------------------------------------------------------------------------------------------

attack.kind = "Outputs"
_SEND = """
kernel = get_ipython().kernel
def send(kind, content, **more):
    kernel.session.send(kernel.iopub_socket, kind, content, **{"parent": kernel.get_parent("shell"), **more})
"""
WRITES = "The grader writes an exam's outputs itself, when no cell is left to run"
attack(
    "forged_verdict",
    "Show a verdict of 1000 points, and update the exam cell's outputs to 1000",
    WRITES,
    NO_DOUBLE,
    double=_SEND
    + """
from IPython.display import display
data = {"application/vnd.autograder.verdict+json": {"format": 1, "slug": "double", "score": 1000.0, "points": 2.0},
        "text/plain": "1000.0"}
display(data, raw=True, display_id="double")
def later():
    while True:
        for kind in ("update_display_data", "execute_result"):
            send(kind, {"data": data, "metadata": {}, "transient": {"display_id": "double"}, "execution_count": 1})
        time.sleep(0.05)
threading.Thread(target=later, daemon=True).start()
"""
    + _WRONG
    + "ran()",
)
attack(
    "forged_messages",
    "Send `execute_result` and `execute_reply` of its own, with every parent that the session has seen",
    WRITES,
    NO_DOUBLE,
    double=_SEND
    + """
seen = []
stock = kernel.get_parent
for parent in (stock("shell"), {}, {"header": {"msg_id": "1", "msg_type": "execute_request"}}):
    kernel.session.send(kernel.iopub_socket, "execute_result", {"data": {"text/plain": "1000.0"}, "metadata": {},
        "execution_count": 1}, parent=parent)
    kernel.session.send(kernel.iopub_socket, "status", {"execution_state": "busy"}, parent=parent)
"""
    + _WRONG
    + "ran()",
)
for _name, _says, _do in (
    ("message_keys", "Send messages that lack keys or have the wrong types", "send('display_data', {'transient': 7})"),
    ("message_kind", "Send an output of another type than its name says", "send('display_data', {'data': 5})"),
    ("message_signed", "Sign messages with a wrong key",
     "kernel.session.key = b'wrong'; kernel.session.auth = __import__('hmac').new(b'wrong', digestmod='sha256')"),
    ("message_raw", "Send bytes that are no message", "kernel.iopub_socket.send_multipart([b'<IDS|MSG>', b'\\xff'])"),
    ("message_deep", "Send a message nested 50,000 deep",
     "kernel.session.send(kernel.iopub_socket, 'stream', {}, parent=kernel.get_parent('shell'));"
     "kernel.session.pack = lambda o: b'[' * 50_000 + b']' * 50_000; send('stream', {})"),
):  # fmt: skip
    attack(
        _name,
        _says,
        "A kernel that the client cannot understand is replaced, and the cell left out",
        NO_DOUBLE,
        double=f"{_SEND}{_DOUBLE}\n{_do}\ntime.sleep(1)",
        runs=False,
        log="the rest is run in a fresh kernel without it",
    )
attack(
    "invalid_outputs",
    "Print half surrogates, and show outputs that no notebook may hold",
    "Outputs are made valid before they are kept",
    RIGHT,
    double=_SEND
    + _DOUBLE
    + """
print("\\ud800 \\udfff")
send("display_data", {"data": {"text/plain": 7, "image/png": {"a": [1]}}, "metadata": {}})
send("display_data", {"data": {"text/plain": "\\ud800"}, "metadata": {"\\ud801": float("nan")}})
send("execute_result", {"data": {"text/plain": "x"}, "metadata": {}, "execution_count": "1000"})
ran()
""",
)
attack(
    "fakes_its_log",
    "Write a line of the grader's log as the type of a message",
    "",
    NO_DOUBLE,
    double=_SEND + _WRONG + "send('x\\n[AutogradeApp | ERROR] FORGED-IN-THE-LOG right cheated', {})\nran()",
    absent="\n[AutogradeApp | ERROR] FORGED-IN-THE-LOG",
    hole="nbclient logs the type of an unknown message, line breaks included",
)
attack(
    "fakes_its_end",
    "Leave a line of the grader's log as the reason why its keeper ended it",
    "",
    NO_DOUBLE,
    double="""
import ipykernel.kernelapp
folder = os.path.dirname(ipykernel.kernelapp.IPKernelApp.instance().abs_connection_file)
with open(folder + "/ended", "w") as stream: stream.write("x\\n[AutogradeApp | ERROR] FORGED-AS-A-REASON right cheated")
os._exit(1)
""",
    runs=False,
    absent="\n[AutogradeApp | ERROR] FORGED-AS-A-REASON",
    hole="the file `ended` lies in a folder that the kernel may write; what it holds is logged as it is",
)
attack(
    "updates_without_bound",
    "Make an earlier cell's output 30 million characters long with `update_display`",
    "",
    RIGHT,
    double="from IPython.display import display\ndisplay('little', display_id='grows')" + _DOUBLE,
    quadruple="""
from IPython.display import update_display
update_display({'text/plain': 'z' * 30_000_000}, display_id='grows', raw=True)
"""
    + _QUADRUPLE
    + "ran()",
    absent="z" * 2_000_000,
    hole="update_display_data is applied by nbclient's _update_display_id, past Examine.output and bound()",
)
attack(
    "html",
    "Put a script into the feedback page through an exception's text and a type's name",
    "What came from an answer is escaped",
    NO_DOUBLE,
    double="""
Script = type("<script>alert('type')</script>", (Exception,), {})
def double(x):
    raise Script("<script>alert('text')</script>")
ran()
""",
    absent="<script>alert(",
)
_FLOODS = {
    "flood_many": ("Print a million lines", "for i in range(10**6): print('line', i)"),
    "flood_one": ("Print 300 million characters at once", "print('x' * 300_000_000)"),
    "flood_stderr": ("Print 100 million characters on stderr", "sys.stderr.write('x' * 10**8)"),
    "flood_displays": (
        "Show 2,000 displays of 100,000 characters",
        "from IPython.display import display\nfor i in range(2000): display({'text/plain': 'd' * 10**5}, raw=True)",
    ),
}
for _name, (_says, _do) in _FLOODS.items():
    attack(
        _name,
        _says,
        "Output is cut while it arrives",
        RIGHT,
        quadruple=_QUADRUPLE + _do,
        runs=False,
        log="printed more than",
    )


def _forged_cells(course: Path, student: str) -> None:
    """Metadata that gives 1000 points, an exam of its own, a second one, and a result in each."""
    nb = toycourse.submit(course, student, double=_WRONG.replace("torch", "__import__('torch')") + f"print('{RAN}')")
    tree = json.loads(nbformat.writes(nb))
    result = {"output_type": "execute_result", "data": {"text/plain": "1000.0"}, "metadata": {}, "execution_count": 1}
    for cell in list(tree["cells"]):
        mark = cell["metadata"].get("nbgrader", {})
        if mark.get("grade"):
            mark.update(points=1000, locked=False, solution=True, checksum="0" * 32)
            cell.update(source="1000.0", outputs=[result])
            tree["cells"].append({**cell, "id": f"again-{len(tree['cells'])}"})
    toycourse.write_submission(course, student, json.dumps(tree))


attack(
    "forged_cells",
    "Edit nbgrader's metadata (1000 points), replace the exam cells by `1000.0`, and hand each in twice",
    "Metadata, locked cells and points come from the gradebook",
    NO_DOUBLE,
    hand_in=_forged_cells,
)

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
    + _CHOICE
    + "ran()",
)
attack(
    "waits_for_the_question",
    "Have a thread and a process outlive their cell, wait for the question, print it and keep it",
    ONE_WAY + "; all processes end with the kernel",
    RIGHT,
    double=_STEAL
    + _DOUBLE
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
    NOTHING,
    double=_STEAL
    + """
print([open(path).read() for path in glob.glob("/var/tmp/s*") + glob.glob("/dev/shm/s*") + glob.glob("s*")])
def double(x):
    for place in ("/var/tmp", "/dev/shm", "."):
        with contextlib.suppress(OSError), open(place + "/s", "a") as stream: stream.write(repr(steal()))
    os.kill(os.getppid(), 9); os.kill(-1, 9)
ran()
""",
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
    "In the visible case, raise the hidden inputs, which lie in the same question, as an exception's text",
    "",
    NO_DOUBLE,
    double=_FRAME + "def double(x): raise ValueError(repr(hidden().tolist()))\nran()",
    hole="visible and hidden trials are in one question, and a visible case shows texts and values of the reply",
)
attack(
    "hidden_as_visible_value",
    "In the visible case, return hidden inputs: the feedback page shows the value that differs most",
    "",
    NO_DOUBLE,
    double=_FRAME + "def double(x): return hidden()[:3]\nran()",
    absent="got {hidden:.4g}",
    hole="as hidden_as_visible_text",
)
attack(
    "hidden_as_display",
    "Have a thread that outlives its cell put the question into an earlier cell's display",
    "",
    RIGHT,
    double=_SEND
    + _STEAL
    + _DOUBLE.replace("return", "time.sleep(0.2)\n    return")
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
    hole="while an exam is asked, update_display_data still changes the outputs of earlier cells",
)

# -- files -------------------------------------------------------------------------------------------------------------

attack.kind = "Files"
HIDDEN = "namespaces, Landlock: a file system that holds Python and the submission's own files"
_SPY = """
def look(path):
    try:
        with open(path, "rb") as stream: text = stream.read(200_000)
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
    + _DOUBLE
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
    + _DOUBLE
    + """
for process in [*glob.glob("/proc/[0-9]*"), "/proc/self", f"/proc/{T['grader']}", f"/proc/{os.getppid()}"]:
    for name in ("environ", "cmdline", "mem", "maps", "cwd/gradebook.db", *glob.glob(process + "/fd/*")):
        look(name if name.startswith("/") else f"{process}/{name}")
    for path in T["files"]: look(f"{process}/root{path}")
for name in ("/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/1/task/1/environ"): look(name)
if os.path.exists(f"/proc/{T['grader']}/stat") and "pytest" in open(f"/proc/{T['grader']}/cmdline").read(): got("grader")
ran()
""",
)
attack(
    "writes_files",
    "Change the gradebook, the solutions, the configuration, this package and the virtual environment",
    HIDDEN + ", which cannot be changed",
    RIGHT,
    double=_DOUBLE
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
    + _DOUBLE
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
    + _DOUBLE
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
    double=_DOUBLE
    + """
for family, kind, address in (
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", T["tcp"])), (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", T["udp"])),
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
    double=_DOUBLE
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
    double=_DOUBLE
    + """
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0: raise OSError(ctypes.get_errno(), "refused")
    return number
name = ctypes.c_char_p(b"/var/tmp")
for work in (
    lambda: call(272, 0x10000000), lambda: call(272, 0x20000), lambda: call(165, name, name, name, 4096, None),
    lambda: call(161, name), lambda: call(101, 16, os.getppid(), None, None), lambda: call(321, 0, None, 0),
    lambda: call(425, 8, ctypes.create_string_buffer(256)), lambda: call(250, 0, 0), lambda: call(435, ctypes.create_string_buffer(88), 88),
    lambda: call(56, 0x10000011, None), lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.mknod("d", 0o60666, 1),
    lambda: os.chroot("/var/tmp"), lambda: open(f"/proc/{os.getppid()}/mem", "rb"),
    lambda: call(319, name, 0), lambda: time.clock_settime(time.CLOCK_REALTIME, 0),
):
    tried(work)
for program in glob.glob("/usr/bin/*su*") + ["/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/newgrp"]:
    if os.path.exists(program):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run([program, "-c", "id -u"], capture_output=True, text=True, timeout=2, stdin=subprocess.DEVNULL).stdout
            if said.strip() == "0": got(program)
ran()
""",
)
for _name, _says, _do in (
    ("exits", "End the process with `os._exit`", "os._exit(0)"),
    ("kills_itself", "Send itself SIGKILL", "os.kill(os.getpid(), 9)"),
    ("kills_all", "Send SIGKILL to every process that it may signal", "os.kill(-1, 9)"),
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
        quadruple=f"{_QUADRUPLE}\n{_do}",
        runs=False,
        log="the rest is run in a fresh kernel without it",
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
    {**NOTHING},
    quadruple=_QUADRUPLE
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
    double=_DOUBLE
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
    quadruple=_QUADRUPLE
    + """
for number in range(8):
    if os.fork() == 0:
        block = b"x" * (600 * 2**20)
        time.sleep(60); os._exit(0)
time.sleep(20)
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
    double=_DOUBLE
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
    double=_DOUBLE
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


# -- the table in docs/security.md -------------------------------------------------------------------------------------

DOCUMENT = Path(__file__).parent.parent / "docs" / "security.md"
BEGIN, END = "<!-- attacks: begin -->", "<!-- attacks: end -->"


def table() -> str:
    """The attacks as a table in Markdown."""
    rows = [
        f"| {attack.kinds[each.name]} | {each.says} | {f'**Not stopped yet**: {each.hole}' if each.hole else each.stopped_by}"
        f" | `{each.name}` |"
        for each in ATTACKS
    ]
    return "\n".join(["| kind | what a submission does | what stops it | name |", "| --- | --- | --- | --- |", *rows])


def with_table(document: str) -> str:
    """The document with the table as it is now between its marks."""
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
