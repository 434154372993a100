"""What runs in a forked child stays there: an endless loop, a crash, output, a changed global, a process of its own."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autograder import isolate
from autograder.isolate import Isolated, reply_path, run_isolated
from autograder.runners import as_data
from autograder.serialize import decode, encode

LONG = 60.0


def replies(folder: Path, *jobs: Callable[[], Any], seconds: float = LONG) -> list[Any]:
    run_isolated(lambda job: encode(as_data(jobs[job]())), [seconds] * len(jobs), folder)
    return [decode(reply_path(folder, job).read_bytes()) for job in range(len(jobs))]


def endless() -> None:
    while True:
        pass


def kind(reply: Any) -> str:
    name: str = reply["failure"]["kind"]
    return name


def gone(pid: int) -> bool:
    """Whether a process has ended; it may stay as a zombie where nobody waits for it."""
    for _ in range(600):
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat") as stream:
                if stream.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_jobs_leave_their_replies_in_order(tmp_path: Path) -> None:
    assert replies(tmp_path, lambda: 1, lambda: "two", lambda: [3.0]) == [1, "two", [3.0]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reply-0", "reply-1", "reply-2"]


def test_no_jobs(tmp_path: Path) -> None:
    run_isolated(lambda job: b"", [], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_loop_is_ended_and_the_next_job_works(tmp_path: Path) -> None:
    jobs = [lambda: 1, endless, lambda: 3, endless, lambda: 5]
    limits = [LONG, 0.2, LONG, 0.2, LONG]
    run_isolated(lambda job: encode(jobs[job]()), limits, tmp_path)
    found = [decode(reply_path(tmp_path, job).read_bytes()) for job in range(5)]
    assert [found[0], found[2], found[4]] == [1, 3, 5]
    assert kind(found[1]) == kind(found[3]) == "time"
    assert found[1]["failure"]["seconds"] == 0.2


def test_a_loop_that_ignores_polite_signals_is_ended_too(tmp_path: Path) -> None:
    def deaf() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        while True:
            try:
                endless()
            except BaseException:
                continue

    found = replies(tmp_path, deaf, lambda: 2, seconds=0.3)
    assert (kind(found[0]), found[1]) == ("time", 2)


def raises() -> None:
    raise ValueError("odd")


@pytest.mark.parametrize(
    "end",
    [lambda: os._exit(0), lambda: os._exit(3), lambda: os.kill(os.getpid(), 9), raises, lambda: sys.exit(1)],
)
def test_a_job_that_ends_its_process_costs_no_other(tmp_path: Path, end: Callable[[], Any]) -> None:
    found = replies(tmp_path, lambda: 1, end, end, lambda: 4)
    assert [found[0], found[3]] == [1, 4]
    assert kind(found[1]) == kind(found[2]) == "crash"


def test_output_leads_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def prints() -> str:
        print("printed")
        print("printed", file=sys.stderr)
        os.write(1, b"printed")
        subprocess.run(["echo", "printed"], check=True)
        return sys.stdin.read()

    assert replies(tmp_path, prints) == [""]
    assert capfd.readouterr() == ("", "")


MEMORY: list[int] = []


def test_a_changed_global_does_not_come_back(tmp_path: Path) -> None:
    def remembers() -> int:
        MEMORY.append(1)
        os.environ["SEEN"] = "1"
        return len(MEMORY)

    assert replies(tmp_path, remembers) == [1]
    assert MEMORY == []
    assert "SEEN" not in os.environ


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("waits", [True, False], ids=["endless", "done"])
def test_a_grandchild_does_not_survive(tmp_path: Path, waits: bool) -> None:
    note = tmp_path / "pid"

    def starts() -> int:
        child = subprocess.Popen(["sleep", "1000"])
        note.write_text(str(child.pid))
        if waits:
            endless()
        return 1

    found = replies(tmp_path, starts, seconds=0.5 if waits else LONG)
    assert found == [1] or kind(found[0]) == "time"
    assert gone(int(note.read_text()))


def test_an_interrupt_of_the_one_who_waits_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "pid"

    def starts() -> None:
        (tmp_path / "new").write_text(str(os.getpid()))
        (tmp_path / "new").rename(note)
        endless()

    def interrupted(*arguments: Any) -> Any:
        found = select.select(*arguments)
        if note.exists():
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(isolate, "select", SimpleNamespace(select=interrupted))
    with pytest.raises(KeyboardInterrupt):
        replies(tmp_path, starts)
    assert gone(int(note.read_text()))
    with pytest.raises(ChildProcessError):
        os.waitpid(int(note.read_text()), 0)


def test_a_reply_that_was_cut_off_is_none(tmp_path: Path) -> None:
    def cut_off() -> Any:
        reply_path(tmp_path, 0).write_bytes(encode(1)[:10])
        os._exit(0)

    assert kind(replies(tmp_path, cut_off)[0]) == "crash"


def test_a_job_that_claims_to_be_done_has_no_reply(tmp_path: Path) -> None:
    before = set(range(256)) - {handle for handle in range(256) if not Path(f"/proc/self/fd/{handle}").exists()}

    def claims() -> Any:
        for handle in set(range(3, 256)) - before:  # not those of pytest's own
            with contextlib.suppress(OSError):
                os.write(handle, b"....")
        os._exit(0)

    run_isolated(lambda job: encode(claims()), [LONG, LONG], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_closes_everything_is_ended_at_its_limit(tmp_path: Path) -> None:
    def closes() -> Any:
        os.closerange(3, 64)
        endless()

    found = replies(tmp_path, closes, lambda: 2, seconds=0.5)
    assert (kind(found[0]), found[1]) == ("time", 2)


def test_after_a_late_job_the_others_get_less_time(tmp_path: Path) -> None:
    def work(job: int) -> bytes:
        while job != 1:
            pass
        return encode("done")

    run_isolated(work, [0.3, 60.0, 60.0], tmp_path, patience=0.2)
    replies = [decode(reply_path(tmp_path, job).read_bytes()) for job in range(3)]
    assert replies[0]["failure"] == {"kind": "time", "seconds": 0.3}
    assert replies[1] == "done"
    assert replies[2]["failure"] == {"kind": "time", "seconds": 0.2}


# -- one child for several folders -------------------------------------------------------------------------------------


def test_a_child_keeps_its_state_from_folder_to_folder(tmp_path: Path) -> None:
    counted: list[int] = []

    def work(folder: Path) -> Callable[[int], bytes]:
        return lambda job: encode([folder.name, counted.append(job) or len(counted)])

    child = Isolated(work)
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        assert child.run(folder, [LONG, LONG])
    child.end()
    found = [decode(reply_path(folder, job).read_bytes()) for folder in folders for job in range(2)]
    assert found == [["first", 1], ["first", 2], ["second", 3], ["second", 4]]
    assert counted == []


@pytest.mark.parametrize("end", [lambda: os._exit(1), endless], ids=["crash", "loop"])
def test_a_child_that_ends_is_replaced_only_where_it_may_be(tmp_path: Path, end: Callable[[], Any]) -> None:
    child = Isolated(lambda _: lambda job: encode(end() if job == 1 else job))
    assert not child.run(tmp_path, [LONG, 0.3, LONG], goes_on=False)
    assert not reply_path(tmp_path, 2).exists()
    assert not child.run(tmp_path, [LONG, 0.3, LONG])
    assert decode(reply_path(tmp_path, 2).read_bytes()) == 2
    child.end()


def test_a_child_that_has_been_started_keeps_what_was_there_then(tmp_path: Path) -> None:
    seen = ["before"]
    child = Isolated(lambda _: lambda job: encode(seen[0]))
    child.start()
    seen[0] = "after"
    assert child.run(tmp_path, [LONG])
    child.end(wait=False)
    assert decode(reply_path(tmp_path, 0).read_bytes()) == "before"
    assert run_isolated(lambda job: b"", [], tmp_path) is None
