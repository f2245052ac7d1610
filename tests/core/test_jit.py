"""Where machine code lies, and that it is never that of another source."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from beatgan import jit
from beatgan.jit import compiled
from beatgan.signal.signal_quality import run


def clear_caches() -> None:
    """Forget what was computed from the package's source."""
    jit.source_digest.cache_clear()
    jit.state_digest.cache_clear()
    jit.cache_folders.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small package in the place of the core."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "", raising=False)
    package = tmp_path / "package"
    for name in ("model", "signal", "beats"):
        (package / name).mkdir(parents=True)
        (package / name / "a.py").write_text(SOURCE)
    (package / "frontend.py").write_text(SOURCE)
    monkeypatch.setattr(jit, "PACKAGE", package)
    clear_caches()
    yield package
    monkeypatch.undo()
    clear_caches()


def test_what_is_compiled_has_no_share_in_the_rooms_that_do_not_count() -> None:
    rooms = [jit.PACKAGE / room for room in jit.NOT_COMPILED]
    for file in sorted(jit.PACKAGE.rglob("*.py")):
        text = file.read_text()
        if any(room in file.parents for room in rooms):
            assert "@compiled" not in text, file
        elif "@compiled" in text:
            assert not [r for r in jit.NOT_COMPILED if f"beatgan.{r}" in text], file


SOURCE = """# A comment.
'''A docstring.'''
def f(x):
    '''Another.'''
    return x + 1
class C:
    '''A third.'''
    y = 1
"""


def digests() -> tuple[tuple[Path, ...], str]:
    """The folders of the machine code, and the name of the code that decides the state."""
    clear_caches()
    return jit.cache_folders(), jit.state_digest()


@pytest.mark.parametrize("place", ["model/a.py", "signal/a.py", "beats/a.py", "frontend.py"])
def test_any_change_of_any_source_is_another_folder(package: Path, place: str) -> None:
    before = digests()
    assert digests() == before
    (package / place).write_text(SOURCE.replace("A comment", "Other words"))
    assert digests()[0] != before[0]
    (package / place).write_text(SOURCE)
    assert digests() == before


@pytest.mark.parametrize("place", ["signal/a.py", "beats/a.py", "frontend.py"])
def test_only_code_changes_the_name_of_a_state(package: Path, place: str) -> None:
    before = digests()[1]
    words = SOURCE
    for text in ("A comment", "A docstring", "Another", "A third"):
        words = words.replace(text, "Other words")
    (package / place).write_text(words.replace("x + 1", "(x  +  1)  # why"))
    assert digests()[1] == before
    for old, new in (("x + 1", "x + 2"), ("y = 1", "y = 2"), ("def f", "def g")):
        (package / place).write_text(SOURCE.replace(old, new))
        assert digests()[1] != before


def test_code_that_decides_no_state_does_not_change_its_name(package: Path) -> None:
    before = digests()[1]
    (package / "model" / "a.py").write_text("z = 3")
    assert digests()[1] == before


def test_a_new_file_changes_the_name_of_a_state(package: Path) -> None:
    before = digests()[1]
    (package / "beats" / "deep").mkdir()
    (package / "beats" / "deep" / "b.py").write_text("z = 3")
    assert digests()[1] != before


def test_what_the_core_reads_is_there() -> None:
    assert all((jit.PACKAGE / place).exists() for place in jit.STATE_CODE)


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


def test_compiled_code_of_the_core_lies_in_those_folders() -> None:
    function: Any = run
    assert Path(function._cache.cache_path) == jit.cache_folders()[0]


def test_arithmetic_is_strict() -> None:
    @compiled
    def lost(x: float) -> bool:
        return bool(np.isnan(x))

    assert lost(float("nan"))


BEYOND = """
import numpy as np
from beatgan import jit
from beatgan.signal import filters

x, sections = np.zeros(9), np.zeros((2, 6))
print(jit.cache_folders()[0].name)
filters.run(x, np.zeros(8), sections, np.zeros((2, 2)), np.zeros((2, 2)))
"""


def test_with_bounds_checks_an_index_beyond_an_array_is_an_error(tmp_path: Path) -> None:
    """In code of its own: what was compiled without them must not be taken for it."""
    environment = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", BEYOND],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        cwd=jit.PACKAGE.parent,
    )
    assert found.stdout == f"checked-{jit.source_digest()}\n"
    assert found.returncode == 1
    assert "IndexError: index is out of bounds" in found.stderr
