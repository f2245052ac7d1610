"""Prometheus's alert rules: valid, speaking when they should, and each of them explained."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from beatgan_daemon.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "configs" / "prometheus-rules.yml"
EXAMPLES = Path(__file__).with_name("prometheus-rules.test.yml")
DOCS = ROOT / "docs" / "metrics.md"


@pytest.fixture(scope="module")
def promtool() -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool on this machine (Debian package prometheus)")
    return program


def checked(*command: str | Path, given: str | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, input=given, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_valid(promtool: str) -> None:
    checked(promtool, "check", "rules", RULES)


def test_the_rules_speak_when_they_should(promtool: str) -> None:
    checked(promtool, "test", "rules", EXAMPLES)


def test_the_whole_configuration_is_valid(promtool: str) -> None:
    checked(promtool, "check", "config", RULES.with_name("prometheus.yml"))


def test_prometheus_has_nothing_to_say_against_our_metrics(promtool: str) -> None:
    checked(promtool, "check", "metrics", given=Metrics("1", "2").exposition().decode())


def severities() -> dict[str, str]:
    text = RULES.read_text()
    return dict(re.findall(r"- alert: (\w+)$.*?severity: (\w+)", text, re.MULTILINE | re.DOTALL))


def test_rules_are_about_metrics_that_there_are() -> None:
    explained = set(re.findall(r"^\| `(beatgan_\w+)`", DOCS.read_text(), re.MULTILINE))
    used = set(re.findall(r"beatgan_\w+", RULES.read_text()))
    assert {name.removesuffix("_bucket") for name in used} <= explained


def test_each_rule_is_explained_and_tried() -> None:
    explained = re.findall(r"^### (Beatgan\w+)\n\n\*(\w+)\*: ", DOCS.read_text(), re.MULTILINE)
    assert dict(explained) == severities()
    assert set(severities()) == set(re.findall(r"Beatgan[A-Z]\w+", EXAMPLES.read_text()))
