"""The pages of the library: every public name is on them, and says what it is."""

import inspect
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import beatgan

ROOT = Path(__file__).parents[2]


def test_they_are_made_without_a_warning(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "scripts/api-pages", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (made.returncode, made.stderr) == (0, "")
    page = (tmp_path / "beatgan.html").read_text()
    for name in beatgan.__all__:
        assert f'id="{name}"' in page


@pytest.mark.parametrize("name", beatgan.__all__)
def test_every_public_name_and_method_has_a_docstring(name: str) -> None:
    value = getattr(beatgan, name)
    assert value.__doc__
    if inspect.isclass(value) and not issubclass(value, Exception):
        own = {key: each for key, each in vars(value).items() if not key.startswith("_")}
        assert [
            key
            for key, each in own.items()
            if (inspect.isfunction(each) or isinstance(each, property)) and not each.__doc__
        ] == []


def test_a_name_that_is_not_there_is_no_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(beatgan, "__all__", [*beatgan.__all__, "nothing"])
    write = runpy.run_path(str(ROOT / "scripts/api-pages"))["write"]
    with pytest.raises(AttributeError, match="nothing"):
        write(tmp_path)
