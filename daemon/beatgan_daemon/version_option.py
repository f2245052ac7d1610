"""`--version`, as every command has it."""

from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

Version = Annotated[bool, typer.Option("--version", help="say the version and exit")]


def say_version(program: str) -> NoReturn:
    """Print the version of ``program``, and end it."""
    typer.echo(f"{program} {version('beatgan')}")
    raise typer.Exit
