"""Which buckets' state lies in a shard's directory."""

from pathlib import Path

import pytest

from beatgan.errors import UsageError
from beatgan_daemon.sharding.claims import read_claims, write_claims


def test_they_are_read_as_written(tmp_path: Path) -> None:
    write_claims(tmp_path, {255: 4, 0: 1})
    assert read_claims(tmp_path) == {0: 1, 255: 4}


def test_a_new_shard_has_none(tmp_path: Path) -> None:
    assert read_claims(tmp_path) == {}


def test_a_daemon_that_was_alone_had_all_before_there_was_a_map(tmp_path: Path) -> None:
    (tmp_path / "journal.db").touch()
    assert read_claims(tmp_path) == dict.fromkeys(range(256), 0)


@pytest.mark.parametrize("line", ["7 1", "07", "07 -1", "0g 1", ""])
def test_a_spoilt_file_is_refused_by_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "buckets").write_text(f"# bucket fence\n06 1\n{line}\n")
    with pytest.raises(UsageError, match=r"buckets: line 3: expected BUCKET FENCE"):
        read_claims(tmp_path)


@pytest.mark.parametrize("text", ["", "06 1\n", "# bucket"])
def test_an_emptied_or_foreign_file_is_no_shard_without_patients(tmp_path: Path, text: str) -> None:
    (tmp_path / "buckets").write_text(text)
    with pytest.raises(UsageError, match=r"buckets: line 1: expected '# bucket fence'"):
        read_claims(tmp_path)
