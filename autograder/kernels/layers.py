"""The layers of a sandbox, each put on by a process that is about to run a submission's cells. Linux only.

A `Policy` says which layers to use and within what bounds. The order matters: namespaces with a file system of their
own, then limits, another user, Landlock; seccomp last, when the kernel's threads and sockets are there.
"""

import contextlib
import errno
import os
import resource
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

from autograder.kernels import system
from autograder.kernels.policy import LANDLOCK, LIMITS, NAMESPACES, QUESTIONS, ROOT, SECCOMP, USER, WORK, Policy

_SMALL = 64 * 2**20  # bytes of temporary files and of shared memory each
_TEMPORARY = "/var/tmp"  # not /tmp: the folders of questions may lie below it, where a kernel may make no file
_MAX_INODES = 20_000
_ETC = ("ld.so.cache", "ld.so.conf", "localtime", "fonts", "mime.types", "passwd", "group", "nsswitch.conf")
_READABLE = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", *(f"/etc/{n}" for n in _ETC))
_CPU = "/sys/devices/system/cpu"  # PyTorch looks there
_DEVICES = ("null", "zero", "full", "random", "urandom")
_PROC = ("self", "cpuinfo", "meminfo", "stat", "filesystems", "sys/vm/overcommit_memory")
# One user a kernel, so that the limit on processes is its own. Nobody else has such a number.
_FIRST_USER, _FIRST_USER_OF_FEW, _USERS_OF_FEW = 1_900_000_000, 30_000, 30_000


def readable(policy: Policy) -> list[str]:
    """The paths that a kernel may read: the system's programs, Python and its packages, and this package."""
    package = Path(__file__).resolve().parent.parent
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    found = [*_READABLE, sys.base_prefix, sys.prefix, *packages, str(package), *policy["readable"]]
    return list(dict.fromkeys(path for path in found if os.path.lexists(path)))


# -- namespaces ------------------------------------------------------------------------------------------------------


def leave_namespaces() -> None:
    """Leave the machine's processes, mounts, network and shared memory; the next fork is process 1. Raises OSError."""
    flags = system.NEW_MOUNTS | system.NEW_IPC | system.NEW_PIDS | system.NEW_NET
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        with contextlib.suppress(PermissionError):  # root of a container has no right to
            return system.unshare(flags)
    system.unshare(flags | system.NEW_USER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def build_root(policy: Policy) -> None:
    """Make a file system of its own that holds what a kernel needs, and nothing else. For process 1."""
    system.keep_mounts_to_oneself()
    root = os.path.join(policy["folder"], ROOT)
    system.mount("tmpfs", root, "tmpfs", system.NOSUID | system.NODEV, f"mode=755,size=16m,nr_inodes={_MAX_INODES}")
    _temporary(f"{root}/dev/shm", _SMALL)
    _temporary(root + _TEMPORARY, _SMALL)
    shown: list[str] = []
    for path in readable(policy):
        if not any(path.startswith(f"{other}/") for other in shown):
            _show(root, path, read_only=True)
            shown.append(path)
    if os.path.isdir(_CPU):
        _show(root, _CPU, read_only=True)
    for name in _DEVICES:
        _show(root, f"/dev/{name}", read_only=False, devices=True)
    for path in _nvidia() if policy["cuda"] else ():
        _show(root, path, read_only=False, devices=True)
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    os.makedirs(f"{root}/proc")
    with contextlib.suppress(PermissionError):  # in a container whose /proc is partly covered
        system.mount("proc", f"{root}/proc", "proc", system.NOSUID | system.NODEV | system.NOEXEC)
    _show(root, policy["folder"], read_only=False, below=False)  # below it lies the new root itself
    _show(root, os.path.join(policy["scratch"], QUESTIONS), read_only=False)
    work = os.path.join(policy["scratch"], WORK)
    _temporary(root + work, policy["disk"])
    shutil.copytree(work, root + work, dirs_exist_ok=True)
    system.change_root(root)


def _nvidia() -> list[str]:
    return [*(str(path) for path in Path("/dev").glob("nvidia*")), "/sys"]


def _show(root: str, path: str, *, read_only: bool, devices: bool = False, below: bool = True) -> None:
    """Show a path of the machine at its place below `root`; a link as the link that it is."""
    place = root + path
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), place)
        return
    if stat.S_ISDIR(os.stat(path).st_mode):
        os.makedirs(place, exist_ok=True)
    else:
        Path(place).touch()
    system.bind(path, place, read_only=read_only, devices=devices, below=below)


def _temporary(place: str, size: int) -> None:
    """A folder in memory, of at most `size` bytes, open to all (there is one user)."""
    os.makedirs(place, exist_ok=True)
    bounds = f"mode=1777,size={size},nr_inodes={_MAX_INODES}"
    system.mount("tmpfs", place, "tmpfs", system.NOSUID | system.NODEV, bounds)


# -- another user, limits, Landlock ----------------------------------------------------------------------------------


def spare_user(number: int) -> int:
    """A user that nobody else is, for the kernel whose process has this `number`. Raises OSError without one."""
    ranges = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    for first, _, count in ranges:
        if first <= _FIRST_USER < first + count:
            return _FIRST_USER + number
        if first + count > _FIRST_USER_OF_FEW + _USERS_OF_FEW:
            return _FIRST_USER_OF_FEW + number % _USERS_OF_FEW
    raise OSError(errno.EPERM, "this container has too few users")


def become(user: int, policy: Policy) -> None:
    """Give the kernel's folders to `user`, and go on as that user."""
    own = [policy["folder"], os.path.join(policy["scratch"], WORK)]
    for top in own:
        os.chown(top, user, user, follow_symlinks=False)
        for folder, folders, files in os.walk(top):
            for name in (*folders, *files):
                os.chown(os.path.join(folder, name), user, user, follow_symlinks=False)
    if NAMESPACES not in policy["layers"]:
        os.chmod(policy["scratch"], 0o711)  # its parent folder is this machine's
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def limit(policy: Policy) -> None:
    """Bound memory, processor time, files and processes of this process and what it starts."""
    cpu = policy["cpu_seconds"]
    bounds = {
        resource.RLIMIT_CPU: (cpu, cpu + 5),
        resource.RLIMIT_FSIZE: (policy["file"], policy["file"]),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
        resource.RLIMIT_NOFILE: (256, 256),
    }
    if not policy["cuda"]:
        bounds[resource.RLIMIT_AS] = (policy["memory"], policy["memory"])
    shared = not {NAMESPACES, USER} & set(policy["layers"])  # then the user's other processes count, too
    processes = policy["processes"] + (_threads_of(os.getuid()) if shared else 0)
    bounds[resource.RLIMIT_NPROC] = (processes, processes)
    for name, (soft, hard) in bounds.items():
        _, highest = resource.getrlimit(name)
        if highest != resource.RLIM_INFINITY:
            soft, hard = min(soft, highest), min(hard, highest)
        resource.setrlimit(name, (soft, hard))


def _threads_of(user: int) -> int:
    count = 0
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid == user:
                count += len(os.listdir(path / "task"))
    return count


def confine_files(policy: Policy) -> None:
    """Landlock: read what a kernel needs, change what is its own, fill in replies where they have been laid out."""
    work = os.path.join(policy["scratch"], WORK)
    own = [policy["folder"], work]
    questions = (os.path.join(policy["scratch"], QUESTIONS), system.READ | system.WRITE)
    devices = [(f"/dev/{name}", system.READ | system.WRITE) for name in _DEVICES]
    if NAMESPACES in policy["layers"]:
        own += [_TEMPORARY, "/dev/shm"]
        seen = ["/"]
    else:
        seen = [*readable(policy), _CPU, *(f"/proc/{name}" for name in _PROC)]
    if policy["cuda"]:
        devices += [(path, system.READ | system.WRITE | 1 << 15) for path in _nvidia()]
    system.landlock([*((p, system.READ) for p in seen), *((p, system.CHANGE) for p in own), questions, *devices])


# -- seccomp ---------------------------------------------------------------------------------------------------------

_FORBIDDEN = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "perf_event_open", "bpf"),
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount"),
    *("mount_setattr", "fspick", "fsconfig", "swapon", "swapoff", "reboot", "kexec_load", "kexec_file_load"),
    *("init_module", "finit_module", "delete_module", "add_key", "request_key", "keyctl", "userfaultfd", "personality"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "open_by_handle_at", "quotactl", "acct", "syslog"),
    # memory that no process is seen to use
    *("memfd_create", "memfd_secret", "shmget", "msgget", "semget"),
)
_NEW_NAMESPACES = 0x7E020000  # any of clone's flags for one


def forbid_calls(policy: Policy) -> None:
    """seccomp, for every thread that runs: no network, no look at other processes, nothing that only attacks need.

    Raises:
        OSError, RuntimeError: there is no libseccomp, or the system refuses.
    """
    import pyseccomp

    denied, missing = pyseccomp.ERRNO(errno.EPERM), pyseccomp.ERRNO(errno.ENOSYS)
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    rules.set_attr(pyseccomp.Attr.CTL_TSYNC, 1)
    for name in _FORBIDDEN:
        with contextlib.suppress(OSError, ValueError):  # a call that this libseccomp does not know
            rules.add_rule(denied, name)
    rules.add_rule(denied, "socket", pyseccomp.Arg(0, pyseccomp.NE, 1))  # 1: AF_UNIX
    rules.add_rule(denied, "ioctl", pyseccomp.Arg(1, pyseccomp.EQ, 0x5412))  # TIOCSTI: typing into a terminal
    rules.add_rule(denied, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, system.NEW_USER, system.NEW_USER))
    with contextlib.suppress(OSError, ValueError):
        rules.add_rule(missing, "clone3")  # its flags cannot be seen; the C library then takes clone
    if NAMESPACES not in policy["layers"]:
        # sockets of the machine that have a name in the file system
        rules.add_rule(denied, "connect")
        for kind in range(1, 16):
            if kind not in (1, 5):  # streams and packets cannot be sent anywhere without connect
                rules.add_rule(denied, "socket", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 15, kind))
                rules.add_rule(denied, "socketpair", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 15, kind))
    rules.load()


def lock(policy: Policy) -> None:
    """The last layer, for a kernel that has started."""
    if SECCOMP in policy["layers"]:
        forbid_calls(policy)


def settle(policy: Policy) -> None:
    """Temporary files, settings and caches go where this kernel may write."""
    place = _TEMPORARY if NAMESPACES in policy["layers"] else policy["folder"]
    os.environ.update(dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR", "XDG_CACHE_HOME"), place))
    os.environ.update(IPYTHONDIR=os.path.join(place, "ipython"), USER="student", LOGNAME="student", HF_HUB_OFFLINE="1")
    tempfile.tempdir = None


def put_on(policy: Policy, number: int) -> None:
    """All layers of `policy` but the first and the last, in their order."""
    used: list[Any] = policy["layers"]
    if LIMITS in used and USER not in used:
        limit(policy)
    if USER in used:
        user = spare_user(number)
        if LIMITS in used:
            limit(policy)
        become(user, policy)
    elif NAMESPACES in used:
        system.drop_capabilities()
    system.forbid_new_privileges()
    if LANDLOCK in used:
        confine_files(policy)
    settle(policy)
