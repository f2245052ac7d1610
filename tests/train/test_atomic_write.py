"""Files that appear whole or not at all."""

from pathlib import Path

import pytest

from beatgan_train.atomic_write import atomic_write


def write_half(file: Path) -> None:
    file.write_text("half of it")
    raise OSError("the disk is full")


def test_what_breaks_off_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    (file := tmp_path / "model.pt").write_text("old")
    with pytest.raises(OSError, match="full"), atomic_write(file) as unfinished:
        write_half(unfinished)
    assert file.read_text() == "old"


def test_a_link_stays_one_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    (folder := tmp_path / "package").mkdir()
    (folder / "model.pt").write_text("old")
    (link := tmp_path / "model.pt").symlink_to("package/model.pt")
    with atomic_write(link) as unfinished:
        unfinished.write_text("new")
    assert link.is_symlink()
    assert (folder / "model.pt").read_text() == "new"
    assert [*folder.iterdir()] == [folder / "model.pt"]
