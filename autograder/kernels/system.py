"""Linux calls that Python has no function for: namespaces, mounts, capabilities, prctl and Landlock.

PyPI's `landlock` knows files only; the sandbox needs Landlock's rules for the network and for signals as well. The
numbers below are the kernel's interface, the same on all processors unless a table says otherwise.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from functools import cache

NEW_MOUNTS, NEW_IPC, NEW_USER, NEW_PIDS, NEW_NET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000

NOSUID, NODEV, NOEXEC = 2, 4, 8
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_DETACH = 2  # umount2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR, _AT_RECURSIVE, _AT_FDCWD, _READ_ONLY = 442, 0x8000, -100, 1

_DIE_WITH_PARENT, _DUMPABLE, _SUBREAPER, _NO_NEW_PRIVILEGES = 1, 4, 36, 38
_CAPABILITY_VERSION = 0x20080522

_LARGE_PAGE, _COLLAPSE = 2 * 2**20, 25

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, list a folder
WRITE = 1 << 1 | 1 << 14  # write to a file that is there, cut it short
_FILE_ONLY = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
_DEVICES = 1 << 6 | 1 << 11  # make a device
CHANGE = (1 << 15) - 1 & ~_DEVICES  # anything a folder of one's own needs


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _syscall(number: int, *arguments: object) -> int:
    return _checked(_libc().syscall(number, *arguments), f"system call {number}")


# -- namespaces and mounts -------------------------------------------------------------------------------------------


def unshare(flags: int) -> None:
    """Leave the namespaces in `flags`; a process namespace begins with the next fork. Raises OSError."""
    _checked(_libc().unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str = "") -> None:
    encoded = kind.encode() if kind else None
    done = _libc().mount(source.encode(), target.encode(), encoded, ctypes.c_ulong(flags), data.encode() or None)
    _checked(done, f"mount {target}")


def keep_mounts_to_oneself() -> None:
    """What is mounted from now on is not seen outside of this mount namespace."""
    mount("none", "/", None, _RECURSIVE | _PRIVATE)


def bind(source: str, target: str, *, read_only: bool, devices: bool = False, below: bool = True) -> None:
    """Show `source`, with what is mounted `below` it, at `target`."""
    mount(source, target, None, _BIND | (_RECURSIVE if below else 0))
    attributes = (_READ_ONLY if read_only else 0) | NOSUID | (0 if devices else NODEV)
    request = ctypes.create_string_buffer(struct.pack("QQQQ", attributes, 0, 0, 0))
    _syscall(_MOUNT_SETATTR, _AT_FDCWD, target.encode(), _AT_RECURSIVE, request, ctypes.c_size_t(32))


def change_root(root: str) -> None:
    """Make the mounted folder `root` the whole file system; the old one is gone for good."""
    os.chdir(root)
    _syscall(_PIVOT_ROOT[platform.machine()], b".", b".")
    _checked(_libc().umount2(b".", _DETACH), "umount2")
    os.chdir("/")


# -- processes -------------------------------------------------------------------------------------------------------


def _prctl(option: int, value: int) -> None:
    _checked(_libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this signal when the parent ends, however it ends."""
    _prctl(_DIE_WITH_PARENT, signal_number)


def adopt_orphans() -> None:
    """Become the parent of all descendants that lose theirs."""
    _prctl(_SUBREAPER, 1)


def forbid_new_privileges() -> None:
    _prctl(_NO_NEW_PRIVILEGES, 1)


def hide_memory() -> None:
    """Let no process of the same user look into this one's memory."""
    _prctl(_DUMPABLE, 0)


def use_large_pages() -> None:
    """Put this process's own memory into pages of 2 MiB where the system can (Linux 6.1): to fork it, and to end what
    was forked, then takes a third of the time, for there are fewer pages to note."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        areas = [line.split() for line in maps]
    for place, allowed, *_, file in ((*area, "")[:6] for area in areas):
        if allowed == "rw-p" and file in ("", "[heap]"):
            start, end = (int(address, 16) for address in place.split("-"))
            for page in range(-(-start // _LARGE_PAGE), end // _LARGE_PAGE):
                _libc().madvise(ctypes.c_void_p(page * _LARGE_PAGE), ctypes.c_size_t(_LARGE_PAGE), _COLLAPSE)


def drop_capabilities() -> None:
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION, 0))
    _checked(_libc().capset(header, ctypes.create_string_buffer(24)), "capset")


# -- Landlock --------------------------------------------------------------------------------------------------------


def landlock_version() -> int:
    """The version of Landlock that the kernel offers. Raises OSError where it offers none."""
    return _syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)


def landlock(rules: Iterable[tuple[str, int]]) -> None:
    """Confine this thread and what it starts: files by `rules` (a path and what is allowed on it and below), no TCP,
    no signal to and no abstract socket of a process outside. Paths that are not there are passed over.

    An older kernel confines less: version 4 brought the network, 6 signals and sockets.
    """
    version = landlock_version()
    handled = (1 << 13) - 1 | (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0)
    handled |= 1 << 15 if version >= 5 else 0
    network, scope = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = ctypes.create_string_buffer(struct.pack("QQQ", handled, network, scope))
    ruleset = _syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    try:
        for path, allowed in rules:
            try:
                handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                access = handled & (allowed if os.path.isdir(path) else allowed & _FILE_ONLY)
                rule = ctypes.create_string_buffer(struct.pack("=Qi", access, handle))
                _syscall(_ADD_RULE, ruleset, 1, rule, 0)
            finally:
                os.close(handle)
        forbid_new_privileges()
        _syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
