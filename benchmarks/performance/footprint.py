"""What a daemon takes with torch installed and without: libraries, memory, and the time to start.

    python -m benchmarks.performance.footprint
    python -m benchmarks.performance.footprint --against ../release
Makes two environments with what pyproject.toml asks for, at the versions in constraints.txt, the
second without torch, or takes two that are there (--with-torch, --without-torch). `libraries`: the
environment's packages but pip, in MiB on disk; torch is that of the index which pip asks: one
without CUDA is several times smaller than the ordinary one. `memory`: resident when ready, in MiB. `imports` and
`ready`: seconds as in `benchmarks.performance.start`, the median of warm starts, and of the one
start that compiles (cold). Another checkout runs with torch alone.
"""

import subprocess
import sys
import tomllib
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmarks.performance.start import HERE, MODEL, start

MIB = 1 << 20


def make(folder: Path, torch: bool) -> Path:
    """An environment with the daemon's dependencies; its interpreter."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    wanted = [each for each in project["dependencies"] if torch or not each.startswith("torch")]
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    quiet = ("--quiet", "--disable-pip-version-check")
    subprocess.run(
        [python, "-m", "pip", "install", *quiet, "-c", HERE / "constraints.txt", *wanted],
        check=True,
    )
    return python


def libraries_mib(python: Path) -> float:
    """What the packages of the interpreter's environment take on the disk."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    files = (
        each.lstat().st_blocks * 512
        for package in Path(said.stdout.strip()).iterdir()
        if not package.name.startswith(("pip", "setuptools"))
        for each in (package.rglob("*") if package.is_dir() else (package,))
    )
    return sum(files) / MIB


def line(name: str, python: Path, checkout: Path, model: Path, runs: int) -> str:
    """The figures of one checkout in one environment."""
    with TemporaryDirectory(prefix="footprint-") as folder:
        cold, *warm = (start(checkout, model, Path(folder), str(python)) for _ in range(runs + 1))
    columns = (
        libraries_mib(python),
        median(each.memory for each in warm) / MIB,
        median(each.imports for each in warm),
        median(each.ready for each in warm),
    )
    cells = "{:10.0f}{:10.0f}{:10.2f}{:10.2f}".format(*columns)
    return f"{name:20}{cells}{cold.ready:10.1f}"


def main(
    model: Annotated[Path, typer.Option(help="in each checkout")] = MODEL,
    runs: Annotated[int, typer.Option(min=1, help="warm starts of each")] = 5,
    with_torch: Annotated[Path | None, typer.Option(help="an interpreter that has it")] = None,
    without_torch: Annotated[Path | None, typer.Option(help="one that lacks it")] = None,
    against: Annotated[Path | None, typer.Option(help="another checkout", file_okay=False)] = None,
) -> None:
    """Print the table."""
    head = ("libraries", "memory", "imports", "ready", "cold")
    with TemporaryDirectory(prefix="environments-") as folder:
        complete = with_torch or make(Path(folder) / "complete", torch=True)
        slim = without_torch or make(Path(folder) / "slim", torch=False)
        typer.echo(f"{'':20}{''.join(f'{each:>10}' for each in head)}")
        typer.echo(line("without torch", slim, HERE, model, runs))
        typer.echo(line("with torch", complete, HERE, model, runs))
        if against is not None:
            typer.echo(line("other, with torch", complete, against.resolve(), model, runs))


if __name__ == "__main__":
    typer.run(main)
