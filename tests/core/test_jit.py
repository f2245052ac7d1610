"""Where machine code lies, and that it is never that of another source."""

from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from beatgan import jit as door
from beatgan.jit import compiled
from beatgan.signal.signal_quality import run


def forget() -> None:
    """What was found out of the package's source."""
    door.source_digest.cache_clear()
    door._folder.cache_clear()


def folder_of(package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the code of a package in that place would lie."""
    monkeypatch.setattr(door, "__file__", str(package / "compiled.py"))
    forget()
    try:
        return Path(door._folder())
    finally:
        monkeypatch.undo()
        forget()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "", raising=False)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "a.py").write_text("A = 1\n")
    (tmp_path / "package" / "room").mkdir()
    (tmp_path / "package" / "room" / "b.py").write_text("B = 2\n")
    return tmp_path / "package"


def test_any_change_of_any_source_is_another_folder(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folder_of(package, monkeypatch)
    assert folder_of(package, monkeypatch) == before
    (package / "room" / "b.py").write_text("B = 3\n")
    assert folder_of(package, monkeypatch) != before
    (package / "room" / "b.py").write_text("B = 2\n")
    assert folder_of(package, monkeypatch) == before


def test_what_is_wrapped_is_compiled_and_leaves_the_settings_alone() -> None:
    settings: Any = numba.config
    before = settings.CACHE_DIR

    def twice(x: float) -> float:
        return 2 * x

    function: Any = compiled(twice)
    assert before == settings.CACHE_DIR
    assert function(1.5) == 3.0
    assert function.targetoptions["nogil"]
    assert not function.targetoptions.get("fastmath", False)


def test_compiled_code_of_the_core_lies_in_that_folder() -> None:
    function: Any = run
    assert Path(function._cache.cache_path).is_relative_to(door._folder())


def test_arithmetic_is_strict() -> None:
    @compiled
    def lost(x: float) -> bool:
        return bool(np.isnan(x))

    assert lost(float("nan"))
