"""Every command has a manual page that says what `--help` says, and completion in three shells."""

import os
import shutil
import subprocess
import sys
from importlib import import_module

import pytest

from scripts.package.man_pages import PROJECT, Page, manual, pages

PAGES = {program: [*pages(program)] for program in PROJECT["scripts"]}
ALL = [page for each in PAGES.values() for page in each]


def test_every_command_has_a_page() -> None:
    from beatgan_daemon.cli import COMMANDS

    of_daemon = {page.words[1:] for page in PAGES["beatgan-daemon"]}
    assert {words[:1] for words in of_daemon} == {(), *((c,) for c in COMMANDS)}
    assert ("shards", "move") in of_daemon
    assert {page.words[1:] for page in PAGES["beatgan"]} == {(), ("score",)}
    for program, its in PAGES.items():
        assert its[0].words == (program,)
        assert len(its) > 1


@pytest.mark.parametrize("page", ALL, ids=[page.name for page in ALL])
def test_a_page_is_of_the_form_that_man_knows(page: Page) -> None:
    text = manual(page)
    sections = [line for line in text.splitlines() if line.startswith(".SH ")]
    assert sections[:4] == [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS"]
    for each in page.context.command.get_params(page.context):
        name = each.opts[0] if each.param_type_name == "option" else each.metavar or each.name
        assert each.hidden or name.strip("[]").replace("-", "\\-").upper() in text.upper()
    if (man := shutil.which("man")) is None:
        return
    done = subprocess.run(
        [man, "--warnings=w", "--local-file", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"MANWIDTH": "100", "MANPAGER": "cat"},
    )
    assert done.stderr == ""
    assert page.name in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", ["beatgan", "beatgan-daemon", "beatgan-bridge"])
def test_a_program_says_how_a_shell_completes_it(program: str, shell: str) -> None:
    module, _, function = PROJECT["scripts"][program].partition(":")
    assert callable(getattr(import_module(module), function))
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
    code = f"import sys; sys.argv[0] = {program!r}; from {module} import {function}; {function}()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {variable: f"source_{shell}"},
    )
    assert f"{variable}=complete_{shell}" in done.stdout, done.stderr
