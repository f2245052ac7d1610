"""The page's modules, checked by their own tools: node's test runner and TypeScript's types."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.page_tools import node_modules

HERE = Path(__file__).parent


def test_modules_that_need_no_browser() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: apt-get install nodejs")
    command = [node, "--no-warnings", "--test", str(HERE / "modules.test.js")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types() -> None:
    checker = node_modules() / ".bin" / "tsc"
    if not checker.exists():
        pytest.skip("no tsc: npm install typescript in a folder that NODE_MODULES names")
    command = [str(checker), "-p", str(HERE / "tsconfig.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
