"""Files that a student's process has left: read within bounds, and only if they are files."""

import os
from pathlib import Path

import pytest

from autograder.untrusted import read_untrusted


def test_a_file_is_read_up_to_the_bound(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abcdef")
    assert read_untrusted(tmp_path / "file", 100) == b"abcdef"
    assert read_untrusted(tmp_path / "file", 3) == b"abc"


def test_nothing_else_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for name in ("link", "folder", "pipe", "gone"):
        with pytest.raises(OSError):  # noqa: PT011
            read_untrusted(tmp_path / name, 100)
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    assert after == before
