"""The command line of `beatgan-bridge`: which bridge is where.

A bridge's module, and with it the library of its protocol, is imported when it is called.
"""

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from beatgan_daemon.command_errors import told_errors
from beatgan_daemon.import_pause import without_collection
from beatgan_daemon.version_option import Version, say_version

# The module whose `app` has its commands, `in` and `out`.
BRIDGES: Final[dict[str, str]] = {
    "fhir": "fhir.cli",
    "hl7": "hl7.cli",
    "kafka": "kafka.cli",
    "lsl": "lsl.cli",
    "mqtt": "mqtt.cli",
}


class Bridges(TyperGroup):
    """Those of BRIDGES."""

    def list_commands(self, _: Any) -> list[str]:
        """Their names, in the order in which `--help` has them."""
        return [*BRIDGES]

    def get_command(self, _: Any, cmd_name: str) -> Any:
        """The bridge's commands, imported; None where there is none of that name."""
        module = BRIDGES.get(cmd_name)
        if module is None:
            return None
        with without_collection():
            found = import_module(f"beatgan_daemon.bridges.{module}")
        group = typer.main.get_group(found.app)
        group.name = cmd_name
        return group


app = typer.Typer(
    cls=Bridges,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a bug shows Python's own traceback
    help="Other protocols to and from a beatgan daemon. Not a medical device.",
    epilog="Exit codes: 0 done, 1 crash, 2 usage, 3 refused to start. See docs/bridges.md.",
)


def main() -> None:
    """The entry point."""
    with told_errors("beatgan-bridge"):
        app()


@app.callback(invoke_without_command=True)
def _root(show_version: Version = False) -> None:
    if show_version:
        say_version("beatgan-bridge")
