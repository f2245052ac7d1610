"""What a daemon takes with torch installed and without: libraries, memory, and the time to start.

    python -m benchmarks.performance.footprint
    python -m benchmarks.performance.footprint --against ../release
Makes two environments with beatgan and what it asks for, at the versions in constraints.txt, one of
them with torch (extra `cuda`), or takes two that are there (--with-torch, --without-torch).
`packages`: the environment's but pip and setuptools, and `disk`: what they take, in MiB. torch is
that of the index which pip asks; one without CUDA is several times smaller than the ordinary one.
`memory`: resident when ready, in MiB. `imports`, `ready` and `CPU`: seconds as in
`benchmarks.performance.start`, the median of warm starts, in turn; `cold` is `ready` of the one
start that compiles all. Another checkout runs with torch alone.
"""

import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmarks.performance.start import HERE, MODEL, Start, start

MIB = 1 << 20
HEAD = ("packages", "disk", "memory", "imports", "ready", "CPU", "cold")
NOT_COUNTED = ("pip", "setuptools")  # what makes an environment, and no daemon needs
INSTALLED = """
import json
from importlib.metadata import distributions
found = {
    each.name: [str(each.locate_file(file)) for file in each.files or ()]
    for each in distributions()
}
print(json.dumps(found))
"""


@dataclass
class Installation:
    """A checkout's daemon by an interpreter, and its starts so far."""

    name: str
    python: Path
    checkout: Path
    folder: Path  # of its caches
    starts: list[Start] = field(default_factory=list)

    def start(self, model: Path) -> None:
        """Once more."""
        self.folder.mkdir(exist_ok=True)
        self.starts.append(start(self.checkout, model, self.folder, str(self.python)))

    def line(self) -> str:
        """The figures, of which the first start's is `cold`."""
        cold, *warm = self.starts
        packages, disk = installed(self.python)
        columns = (
            disk / MIB,
            median(each.memory for each in warm) / MIB,
            median(each.imports for each in warm),
            median(each.ready for each in warm),
            median(each.cpu for each in warm),
            cold.ready,
        )
        cells = "{:9.0f}{:9.0f}{:9.2f}{:9.2f}{:9.2f}{:9.1f}".format(*columns)
        return f"{self.name:20}{packages:9}{cells}"


def make(folder: Path, torch: bool) -> Path:
    """An environment with the daemon's dependencies; its interpreter."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + (project["optional-dependencies"]["cuda"] if torch else [])
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    quiet = ("--quiet", "--disable-pip-version-check")
    install = (python, "-m", "pip", "install", *quiet)
    subprocess.run([*install, "-c", HERE / "constraints.txt", *wanted], check=True)
    subprocess.run([*install, "--no-deps", HERE], check=True)  # a daemon asks for its version
    return python


def installed(python: Path) -> tuple[int, int]:
    """How many packages the interpreter's environment has, and their bytes on the disk."""
    said = subprocess.run([python, "-I", "-c", INSTALLED], stdout=subprocess.PIPE, check=True)
    found: dict[str, list[str]] = json.loads(said.stdout)
    counted = [files for name, files in found.items() if name not in NOT_COUNTED]
    files = {Path(each) for files in counted for each in files}
    return len(counted), sum(each.lstat().st_blocks * 512 for each in files if each.exists())


def main(
    model: Annotated[Path, typer.Option(help="in each checkout")] = MODEL,
    runs: Annotated[int, typer.Option(min=1, help="warm starts of each")] = 5,
    with_torch: Annotated[Path | None, typer.Option(help="an interpreter that has it")] = None,
    without_torch: Annotated[Path | None, typer.Option(help="one that lacks it")] = None,
    against: Annotated[Path | None, typer.Option(help="another checkout", file_okay=False)] = None,
) -> None:
    """Print the table."""
    with TemporaryDirectory(prefix="footprint-") as name:
        folder = Path(name)
        complete = with_torch or make(folder / "complete", torch=True)
        slim = without_torch or make(folder / "slim", torch=False)
        all_of_them = [
            Installation("without torch", slim, HERE, folder / "a"),
            Installation("with torch", complete, HERE, folder / "b"),
        ]
        if against is not None:
            other = against.resolve()
            all_of_them.append(Installation("other, with torch", complete, other, folder / "c"))
        for _ in range(1 + runs):
            for each in all_of_them:
                each.start(model)
        typer.echo(f"{'':20}{''.join(f'{each:>9}' for each in HEAD)}")
        for each in all_of_them:
            typer.echo(each.line())


if __name__ == "__main__":
    typer.run(main)
