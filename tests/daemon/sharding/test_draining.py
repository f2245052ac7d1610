"""Shards that are to be empty."""

from pathlib import Path

import pytest

from beatgan.errors import UsageError
from beatgan_daemon.sharding.draining import read_draining, write_draining


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_draining(tmp_path) == frozenset()
    write_draining(tmp_path, ["b", "a", "a"])
    assert (tmp_path / "draining").read_text() == "a\nb\n"
    assert read_draining(tmp_path) == {"a", "b"}
    write_draining(tmp_path, [])
    assert read_draining(tmp_path) == frozenset()


def test_a_spoilt_file_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "draining").write_text("a\n\n../b\n")
    with pytest.raises(UsageError, match=r"draining: line 3: shard '\.\./b'"):
        read_draining(tmp_path)
    with pytest.raises(UsageError, match=r"shard '\.\./b'"):
        write_draining(tmp_path, ["../b"])
    (tmp_path / "draining").unlink()
    (tmp_path / "draining").mkdir()
    with pytest.raises(UsageError, match="draining: cannot be read"):
        read_draining(tmp_path)
