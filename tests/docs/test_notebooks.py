"""The notebooks run as they stand, and what stands in them is what comes out."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
VARIES = "varies"  # a cell's tag: its output may differ from one release to the next


@pytest.fixture(scope="module")
def execute() -> Any:
    return runpy.run_path(str(ROOT / "scripts/notebooks"))["execute"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_what_it_shows(execute: Any, path: Path) -> None:
    shown, found = nbformat.read(path, as_version=4), execute(path)  # type: ignore[no-untyped-call]
    assert [*printed(found)] == [*printed(shown)]
    assert pictures(found) == pictures(shown) >= 1
    assert not [o for o in outputs(shown) if o.output_type == "error" or o.get("name") == "stderr"]


def outputs(notebook: Any) -> Iterator[Any]:
    for cell in notebook.cells:
        yield from cell.get("outputs", ())


def printed(notebook: Any) -> Iterator[tuple[int, str]]:
    for number, cell in enumerate(notebook.cells):
        if VARIES not in cell.metadata.get("tags", ()):
            for output in cell.get("outputs", ()):
                if output.get("name") == "stdout":
                    yield number, output.text


def pictures(notebook: Any) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))
