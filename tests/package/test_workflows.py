"""GitHub's workflows: of the form of their schema, and of what is in this repository."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("file", WORKFLOWS, ids=[file.stem for file in WORKFLOWS])
def test_a_workflow_is_what_its_schema_says(file: Path) -> None:
    pytest.importorskip("check_jsonschema")
    command = ("check_jsonschema", "--builtin-schema", "vendor.github-workflows", file)
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", WORKFLOWS, ids=[file.stem for file in WORKFLOWS])
def test_what_it_runs_is_here_and_a_shell_can_read_it(file: Path) -> None:
    steps = [
        step["run"]
        for job in yaml.safe_load(file.read_text())["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    for step in steps:
        subprocess.run(["bash", "-n", "-c", step], check=True)
        for name in re.findall(r"(?<![\w/])(?:scripts|tests|\.ci)/[\w/]+", step):
            assert (ROOT / name).exists(), name
