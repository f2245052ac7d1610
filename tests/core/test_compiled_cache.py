"""What becomes of files with machine code stops nobody, and damaged code never runs."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import pytest

from beatgan import compiled_cache, jit
from beatgan.compiled_cache import CompiledCache, places, troubles, unwritable


def halved(x: float) -> float:
    """To be compiled."""
    return x / 2


@pytest.fixture(autouse=True)
def _no_troubles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_cache, "_troubles", {})
    monkeypatch.setattr(compiled_cache, "_places", {})


def started(*folders: Path) -> Any:
    """The function as another process would have it: not compiled, its files in ``folders``."""
    function: Any = numba.njit(halved)
    function._cache = CompiledCache(halved, folders)
    return function


def was_compiled(function: Any) -> bool:
    """Whether it had to be compiled; it does what it should either way."""
    assert function(3.0) == 1.5
    return bool(function.stats.cache_misses)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The machine code on disk."""
    assert was_compiled(started(tmp_path / "new" / "folder"))
    (file,) = (tmp_path / "new" / "folder").iterdir()
    return file


def test_what_was_compiled_once_is_loaded(file: Path) -> None:
    assert not was_compiled(started(file.parent))
    assert troubles() == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", ["fifo", "directory"])
def test_what_is_no_file_is_not_waited_for(file: Path, what: str) -> None:
    file.unlink()
    if what == "fifo":
        os.mkfifo(file)
    else:
        file.mkdir()
    assert was_compiled(started(file.parent))
    assert troubles()


@pytest.mark.parametrize("how", ["written", "given"])
def test_what_others_may_have_written_is_not_run(file: Path, how: str) -> None:
    """Machine code is unpickled and called."""
    if how == "written":
        file.chmod(0o666)
    elif os.geteuid() != 0:
        pytest.skip("gives a file away, which only root can")
    else:
        os.chown(file, 65_534, 65_534)
    assert was_compiled(started(file.parent))
    assert troubles() == [f"{file} belongs to, or may be written by, other users"]
    assert not was_compiled(started(file.parent))  # it was replaced


def test_nobody_else_may_write_the_file_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert was_compiled(started(tmp_path))
    finally:
        os.umask(before)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o644


def shortened(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(_: bytes) -> bytes:
    return b""


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [shortened, emptied, flipped])
def test_a_damaged_file_is_compiled_anew(file: Path, damage: Callable[[bytes], bytes]) -> None:
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert was_compiled(started(file.parent))
    assert troubles() == [f"{file} is damaged"]
    assert not was_compiled(started(file.parent))


def test_a_file_that_cannot_be_read_is_compiled_anew(file: Path) -> None:
    file.unlink()
    file.mkdir()
    assert was_compiled(started(file.parent))
    assert f"cannot read {file}: Is a directory" in troubles()


def test_a_folder_that_cannot_be_made_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for _ in range(2):
        assert was_compiled(started(tmp_path / "file" / "folder"))
    assert troubles() == [f"cannot write to {tmp_path / 'file' / 'folder'}: Not a directory"]


def no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_stops_nobody_and_nothing_half_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "replace", no_space)
    assert was_compiled(started(tmp_path))
    assert troubles() == [f"cannot write to {tmp_path}: No space left on device"]
    assert list(tmp_path.iterdir()) == []


def test_on_a_full_disk_what_is_there_is_loaded(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for write in ("mkdir", "write_bytes", "replace"):
        monkeypatch.setattr(Path, write, no_space)
    assert not was_compiled(started(file.parent))
    assert troubles() == []


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder that nobody can write to, root included."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "folder"


def test_what_cannot_be_kept_in_one_folder_is_kept_in_the_next(
    tmp_path: Path, closed: Path
) -> None:
    assert was_compiled(started(closed, tmp_path / "own"))
    assert not was_compiled(started(closed, tmp_path / "own"))
    assert troubles() == []
    assert places() == [tmp_path / "own"]


def test_what_whoever_installs_compiled_is_not_compiled_again(file: Path, tmp_path: Path) -> None:
    """And not written again to the folder of who runs it."""
    assert not was_compiled(started(file.parent, tmp_path / "own"))
    assert not was_compiled(started(tmp_path / "own", file.parent))
    assert places() == [file.parent]
    assert not (tmp_path / "own").exists()


def test_a_damaged_file_is_no_trouble_where_another_folder_has_it_whole(
    file: Path, tmp_path: Path
) -> None:
    assert was_compiled(started(tmp_path / "own"))
    file.write_bytes(b"")
    assert not was_compiled(started(file.parent, tmp_path / "own"))
    assert troubles() == []


def test_where_nothing_can_be_kept_each_folder_is_named(tmp_path: Path, closed: Path) -> None:
    other = closed.with_name("other")
    words = f"cannot write to {closed}: Not a directory, nor to {other}: Not a directory"
    assert unwritable([closed, other]) == words
    assert was_compiled(started(closed, other))
    assert troubles() == [words]


def test_whether_something_can_be_kept_is_tried_and_no_file_is_left(
    tmp_path: Path, closed: Path
) -> None:
    assert unwritable([closed, tmp_path / "own"]) is None
    assert list((tmp_path / "own").iterdir()) == []


def test_another_source_at_the_same_place_is_another_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_cache, "_file_digest", lambda _: "another")
    assert was_compiled(started(file.parent))


# --- where the folder is ----------------------------------------------------------------------


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user without a home, in no list of users, who may not write beside the source."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for variable in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr(jit, "PACKAGE", tmp_path / "nowhere")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "", raising=False)
    jit.cache_folders.cache_clear()
    yield
    jit.cache_folders.cache_clear()


@pytest.mark.usefixtures("nobody")
def test_without_a_home_there_is_the_place_beside_the_source_alone() -> None:
    (folder,) = jit.cache_folders()
    assert folder.parent == jit.PACKAGE / "__pycache__"


@pytest.mark.usefixtures("nobody")
def test_beside_the_source_comes_before_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    beside, users = jit.cache_folders()
    assert beside.parent == jit.PACKAGE / "__pycache__"
    assert users == Path("/home/somebody/.cache/beatgan") / beside.name
    jit.cache_folders.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert jit.cache_folders() == (beside, Path("/somewhere/beatgan") / beside.name)


@pytest.mark.usefixtures("nobody")
def test_numbas_variable_names_the_only_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "/somewhere")
    (folder,) = jit.cache_folders()
    assert folder.parent == Path("/somewhere")
