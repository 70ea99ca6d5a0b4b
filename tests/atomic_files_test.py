"""Files are replaced as a whole, on the disk too."""

import errno
import os

import pytest

from labor_jax.atomic_files import write_atomically


def test_write_atomically_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "file.json"
    write_atomically(path, "old")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file.json"]


def test_two_processes_may_write_one_file(tmp_path, monkeypatch):
    path, fsync = tmp_path / "file.json", os.fsync

    def other_process_writes(descriptor):
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        write_atomically(path, "theirs")
        monkeypatch.undo()
        assert path.read_text() == "theirs"

    monkeypatch.setattr(os, "fsync", other_process_writes)
    write_atomically(path, "ours")
    assert path.read_text() == "ours" and os.listdir(tmp_path) == ["file.json"]


def test_bytes_are_written_as_they_are(tmp_path):
    write_atomically(tmp_path / "file", b"a\r\n\x00")
    assert (tmp_path / "file").read_bytes() == b"a\r\n\x00"


def test_a_write_that_fails_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_atomically(path, "old")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
