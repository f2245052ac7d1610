"""The public names of the package: all there, typed, and imported only when they are used."""

import subprocess
import sys

import pytest

import beatgan


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, beatgan; dir(beatgan); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "beatgan" in done.stdout.split()
    assert not set(done.stdout.split()) & {"torch", "numba", "numpy", "scipy", "msgspec"}


def test_every_public_name_can_be_imported() -> None:
    assert set(beatgan.__all__) == set(beatgan._MODULES)
    for name in beatgan.__all__:
        assert getattr(beatgan, name).__name__ == name
        assert name in dir(beatgan)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'beatgan' has no attribute 'Bet'"):
        _ = beatgan.Bet
