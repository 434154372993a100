"""What confines a kernel, as data: made by the grader (`sandbox`), obeyed where kernels are forked (`layers`)."""

from typing import TypedDict

NAMESPACES, USER, LIMITS, LANDLOCK, SECCOMP = LAYERS = ("namespaces", "user", "limits", "landlock", "seccomp")
SIGNALS = "signals"  # part of Landlock where the system's is new enough

WORK, QUESTIONS, ROOT = "work", "questions", "root"  # the folders of a kernel
ENDED = "ended"  # the file in a kernel's folder that says why its keeper ended it
OUT_OF_MEMORY, NOT_CONFINED = 213, 214  # how a keeper ends when it has to say why
REASONS = {OUT_OF_MEMORY: "out of memory", NOT_CONFINED: "it could not be confined"}


class Policy(TypedDict):
    """What confines one kernel."""

    layers: list[str]  # those to use, of LAYERS
    scratch: str  # the folder with `work`, where cells run, and `questions`; the rest of it is not seen
    folder: str  # where the kernel's connection file and sockets are; may hold an empty folder `root`
    environment: list[str]  # variables that a kernel gets besides the usual
    readable: list[str]  # paths besides those that Python needs
    memory: int  # bytes that all processes may use together
    cuda: bool  # CUDA reserves address space, so that memory is then only counted, not limited beforehand
    processes: int  # and threads
    cpu_seconds: int  # of one process
    file: int  # bytes of one file
    disk: int  # bytes of all files
