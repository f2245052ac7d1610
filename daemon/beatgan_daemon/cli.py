"""The command line: which command is where.

A command's module is imported when it is called: each takes the memory and the start that it needs.
"""

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from beatgan_daemon.command_errors import told_errors
from beatgan_daemon.import_pause import without_collection
from beatgan_daemon.signals import release_reload
from beatgan_daemon.version_option import Version, say_version

COMMANDS: Final = {  # the module whose `app` has it
    "run": "commands",
    "check": "commands",
    "compile": "commands",
    "reload": "commands",
    "score": "commands",
    "demo": "commands",
    "replay": "clients.cli",
    "watch": "clients.cli",
    "explain": "clients.cli",
    "alerts": "clients.control_cli",
    "acknowledge": "clients.control_cli",
    "streams": "clients.control_cli",
    "discharge": "clients.control_cli",
    "keygen": "clients.control_cli",
    "shards": "clients.shards_cli",
    "cluster": "cluster.cli",
    "web": "web.cli",
    "web-user": "web.cli",
}


class Commands(TyperGroup):
    """Those of COMMANDS."""

    def list_commands(self, _: Any) -> list[str]:
        """Their names, in the order in which `--help` has them."""
        return [*COMMANDS]

    def get_command(self, _: Any, cmd_name: str) -> Any:
        """The command, imported; None where there is none of that name."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        with without_collection():
            found = import_module(f"beatgan_daemon.{module}")
        return typer.main.get_group(found.app).commands[cmd_name]


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a bug shows Python's own traceback
    help="Streaming ECG anomaly detection. Not a medical device.",
    epilog="Exit codes: 0 done, 1 crash, 2 usage, 3 refused to start. See docs/operations.md.",
)


def main() -> None:
    """The entry point."""
    with told_errors():
        app()


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    show_version: Version = False,
) -> None:
    if show_version:
        say_version("beatgan-daemon")
    if context.invoked_subcommand != "run":
        release_reload()


if __name__ == "__main__":
    main()
