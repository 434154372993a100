"""Attacks on the judging: on comparison, answers, replies and outputs."""

import json
from pathlib import Path

import nbformat
import toycourse
from attacks import DOUBLE, NO_DOUBLE, NOTHING, QUADRUPLE, RAN, RIGHT, SEND, WRONG, attack

NO_TENSOR = "Only what safetensors and JSON can carry leaves the kernel; other types are known by their name"
OUTSIDE = "The comparison, and all that it needs, is in the grader's process"
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
    + WRONG
    + "ran()",
)
attack(
    "equal_to_all",
    "Give `torch.Tensor` an `==`, `__bool__` and `allclose` that always say yes",
    OUTSIDE,
    NO_DOUBLE,
    double="torch.Tensor.__eq__ = torch.Tensor.__bool__ = torch.Tensor.allclose = lambda *a, **k: True"
    + WRONG
    + "ran()",
)
attack(
    "lying_builtins",
    "Replace `all`, `any`, `abs`, `round` and `max` in `builtins`",
    OUTSIDE,
    {**NOTHING, "toy_choice": 1.0},
    double="""
import builtins
builtins.all = builtins.any = lambda *a: True
builtins.abs = builtins.round = lambda *a: 0
"""
    + WRONG
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
    + WRONG
    + "ran()",
)
attack(
    "modules_beside",
    "Hand in `torch.py`, `autograder.py`, `safetensors.py` and `nbgrader.py` beside the notebook",
    "The kernel has its modules already, and the grader has no submission's folder on its path",
    NO_DOUBLE,
    double=WRONG + "ran()",
    beside=dict.fromkeys(
        ("torch.py", "autograder.py", "safetensors.py", "nbgrader.py"),
        "import os; print('forged'); exam = check = start = lambda *a: 1000.0\n",
    ),
)
attack(
    "own_exam",
    "Replace `exam` and `check` in the package and in the notebook",
    "A graded cell is not run",
    NO_DOUBLE,
    double="import autograder, autograder.selfcheck\n"
    "exam = check = autograder.exam = autograder.check = autograder.selfcheck.exam = lambda *a: 2.0" + WRONG + "ran()",
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
    + WRONG
    + "ran()",
)
attack(
    "input_transformer",
    "Have IPython's input transformers turn every later cell, the grader's own calls too, into `2.0`",
    "A graded cell is not run; what keeps the grader from asking costs marks",
    NOTHING,
    double="get_ipython().input_transformers_cleanup.append(lambda lines: ['2.0\\n'])" + DOUBLE + "ran()",
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
    + WRONG
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
    + WRONG
    + "ran()",
)
attack(
    "nothing_is_asked",
    "Replace `os.fork`, `ask.hold` and `ask.answer` so that nothing can be asked",
    "What could not be asked gets no marks",
    NOTHING,
    double="""
import autograder.ask as ask
ask.hold = ask.answer = ask.answer_here = ask.answer_question = lambda *a: 1000.0
def fork(): raise OSError("no")
os.fork = fork
"""
    + DOUBLE
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
        if not isinstance(value, torch.Tensor) or value.shape != x.shape: return False
        return bool((value.sign() == x.sign()).all()) and bool((value.abs() > 1.5 * x.abs()).all())
    frame = sys._getframe()
    pool = list(gc.get_objects())
    while frame:
        pool += list(frame.f_locals.values())
        frame = frame.f_back
    for value in pool:
        inner = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
        for each in (value, *inner):
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
def tree(text):
    return with_header({"tree": {"dtype": "U8", "shape": [len(text)], "data_offsets": [0, len(text)]}}, text)
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
    ("reply_many", "Send ten thousand empty tensors",
     "with_header({f't{i}': {'dtype': 'F32', 'shape': [0], 'data_offsets': [0, 0]} for i in range(10**4)})"),
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
WRITES = "The grader writes an exam's outputs itself, when no cell is left to run"
attack(
    "forged_verdict",
    "Show a verdict of 1000 points, and update the exam cell's outputs to 1000",
    WRITES,
    NO_DOUBLE,
    double=SEND
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
    + WRONG
    + "ran()",
)
attack(
    "forged_messages",
    "Send `execute_result` and `execute_reply` of its own, with every parent that the session has seen",
    WRITES,
    NO_DOUBLE,
    double=SEND
    + """
seen = []
stock = kernel.get_parent
for parent in (stock("shell"), {}, {"header": {"msg_id": "1", "msg_type": "execute_request"}}):
    kernel.session.send(kernel.iopub_socket, "execute_result", {"data": {"text/plain": "1000.0"}, "metadata": {},
        "execution_count": 1}, parent=parent)
    kernel.session.send(kernel.iopub_socket, "status", {"execution_state": "busy"}, parent=parent)
"""
    + WRONG
    + "ran()",
)
for _name, _says, _do in (
    ("message_keys", "Send messages that lack keys or have the wrong types", "send('display_data', {'transient': 7})"),
    ("message_kind", "Send an output of another type than its name says", "send('display_data', {'data': 5})"),
):
    attack(
        _name,
        _says,
        "What is no message of ipykernel's is dropped",
        RIGHT,
        double=f"{SEND}{DOUBLE}\n{_do}\nran()",
        log="sent something that is no output",
    )
for _name, _says, _do in (
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
        double=f"{SEND}{DOUBLE}\n{_do}\ntime.sleep(1)",
        runs=False,
        log="the rest is run in a fresh kernel without it",
    )
attack(
    "invalid_outputs",
    "Print half surrogates, and show outputs that no notebook may hold",
    "Outputs are made valid before they are kept",
    RIGHT,
    double=SEND
    + DOUBLE
    + """
print("\\ud800 \\udfff")
send("display_data", {"data": {"text/plain": 7, "image/png": {"a": [1]}}, "metadata": {}})
send("display_data", {"data": {"text/plain": "\\ud800"}, "metadata": {"\\ud801": float("nan")}})
send("execute_result", {"data": {"text/plain": "x"}, "metadata": {}, "execution_count": "1000"})
ran()
""",
    runs=False,  # ipykernel cannot send what it prints
)
attack(
    "fakes_its_log",
    "Write a line of the grader's log as the type of a message",
    "Only the types of message that ipykernel sends are taken",
    NO_DOUBLE,
    double=SEND + WRONG + "send('x\\r[AutogradeApp | ERROR] FORGED-IN-THE-LOG right cheated', {})\nran()",
    absent="\n[AutogradeApp | ERROR] FORGED-IN-THE-LOG",
)
attack(
    "fakes_its_end",
    "Leave a line of the grader's log as the reason why its keeper ended it",
    "The kernel's folder is read-only once it has started, and only the keeper's own words are taken",
    NO_DOUBLE,
    double="""
import ipykernel.kernelapp
folder = os.path.dirname(ipykernel.kernelapp.IPKernelApp.instance().abs_connection_file)
with open(folder + "/ended", "w") as stream: stream.write("x\\r[AutogradeApp | ERROR] FORGED-AS-A-REASON right cheated")
os._exit(1)
""",
    runs=False,
    absent="\n[AutogradeApp | ERROR] FORGED-AS-A-REASON",
)
attack(
    "updates_without_bound",
    "Make an earlier cell's output 30 million characters long with `update_display`",
    "Updates count as output, which is bounded while it arrives",
    RIGHT,
    double="from IPython.display import display\ndisplay('little', display_id='grows')" + DOUBLE,
    quadruple="""
from IPython.display import update_display
update_display({'text/plain': 'z' * 30_000_000}, display_id='grows', raw=True)
"""
    + QUADRUPLE,
    runs=False,
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
        quadruple=QUADRUPLE + _do,
        runs=False,
        log="printed more than",
    )


def _forged_cells(course: Path, student: str) -> None:
    """Metadata that gives 1000 points, an exam of its own, a second one, and a result in each."""
    nb = toycourse.submit(course, student, double=WRONG.replace("torch", "__import__('torch')") + f"print('{RAN}')")
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
