"""Manual pages of beatgan's commands, from what each says of itself: `man beatgan-daemon-run`.

    python scripts/package/man_pages.py FOLDER [PROGRAM ...]

By default of every program in pyproject.toml. Each has a page, and so has each of its commands.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import typer

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


class Page(NamedTuple):
    """A command: ``words`` are its program's name and its own; ``context`` is typer's of it."""

    words: tuple[str, ...]
    context: Any

    @property
    def name(self) -> str:
        """As man(1) is asked for it."""
        return "-".join(self.words)


def pages(program: str) -> Iterator[Page]:
    """The page of ``program``, one of PROJECT's scripts, and those of its commands."""
    module, _, _ = PROJECT["scripts"][program].partition(":")
    parsing = module.replace(".__main__", ".cli")  # __main__ is what it does before it parses
    command = typer.main.get_group(import_module(parsing).app)
    yield from _with_commands(Page((program,), command.context_class(command, info_name=program)))


def _with_commands(page: Page) -> Iterator[Page]:
    yield page
    for name, command in _commands(page.context):
        context = command.context_class(command, info_name=name, parent=page.context)
        yield from _with_commands(Page((*page.words, name), context))


def _commands(context: Any) -> Iterator[tuple[str, Any]]:
    """The commands of a group that are not hidden, by name; of a command none."""
    for name in getattr(context.command, "list_commands", lambda _: ())(context):
        if not (command := context.command.get_command(context, name)).hidden:
            yield name, command


def manual(page: Page) -> str:
    """The page in the language of man(7)."""
    command = page.context.command
    text = _prose(command.help or "")
    lines = [
        f'.TH "{page.name.upper()}" 1 "" "beatgan {PROJECT["version"]}" "beatgan"',
        *(".SH NAME", f"{_text(page.name)} \\- {_summary(command)}"),
        *(".SH SYNOPSIS", f".B {_text(' '.join(page.words))}"),
        _text(" ".join(command.collect_usage_pieces(page.context))),
        *(".SH DESCRIPTION", text),
    ]
    records = [each.get_help_record(page.context) for each in command.get_params(page.context)]
    lines += _table("OPTIONS", filter(None, records))
    lines += _table(
        "COMMANDS",
        (
            (name, f"{_plain(each.help or '')} See {page.name}-{name}(1).")
            for name, each in _commands(page.context)
        ),
    )
    if command.epilog:
        lines += [".SH EXIT STATUS", _prose(command.epilog.removeprefix("Exit codes: "))]
    if len(page.words) > 1:
        lines += [".SH SEE ALSO", f".BR {_text('-'.join(page.words[:-1]))} (1)"]
    return "\n".join(lines) + "\n"


def _table(title: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A section of terms and what each means; nothing where there is none."""
    for count, (term, meaning) in enumerate(rows):
        if not count:
            yield f".SH {title}"
        term = re.sub(r" <list\[\w+\]>$", " ...", term)
        yield from (".TP", f".B {_text(term)}", _prose(meaning) or "\\&")


def _summary(command: Any) -> str:
    """What it does, in the first sentence that it says of itself, without the full stop."""
    first, _, _ = _plain(command.help or "").partition(". ")
    return _text(first.rstrip("."))


def _prose(text: str) -> str:
    """Paragraphs, with `code` in bold."""
    paragraphs = (_text(_plain(each)) for each in re.split(r"\n\s*\n", text.strip()))
    return "\n.PP\n".join(re.sub(r"`([^`]+)`", r"\\fB\1\\fR", each) for each in paragraphs)


def _plain(text: str) -> str:
    return " ".join(text.replace("\b", "").split())


def _text(text: str) -> str:
    """No character of it is taken for a command of roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{text}" if text.startswith(".") else text


def main(folder: Path, programs: Iterable[str]) -> None:
    """Write the pages of ``programs`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for program in programs:
        for page in pages(program):
            (folder / f"{page.name}.1").write_text(manual(page), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or PROJECT["scripts"])
