"""docs/examples as a stranger runs them: a heart in tachycardia, and somebody who hears of it."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from beatgan.model.shipped import SHIPPED

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
SPEED = "9"  # 45 s in five
ENDINGS = {sys.executable: "py", "node": "mjs"}


@pytest.fixture(params=[sys.executable, "node"], ids=["python", "node"])
def runs(request: pytest.FixtureRequest) -> str:
    """What runs the examples; skipped where node or its packages are missing."""
    program = str(request.param)
    if program == "node":
        if shutil.which("node") is None:
            pytest.skip("there is no node")
        need = "Promise.all([import('zeromq'), import('@msgpack/msgpack')])"
        if subprocess.run(
            ["node", "-e", need], cwd=EXAMPLES, capture_output=True, check=False
        ).returncode:
            pytest.skip("node has no zeromq and @msgpack/msgpack: npm install in docs/examples")
    return program


def test_the_alert_of_a_tachycardia_comes(start: Any, runs: str) -> None:
    """And one without a text, when the source is gone, is no crash."""

    def example(name: str, *arguments: str) -> subprocess.Popen[str]:
        file = EXAMPLES / f"{name}.{ENDINGS[runs]}"
        return subprocess.Popen(
            [runs, str(file), *arguments], cwd=EXAMPLES, stdout=subprocess.PIPE, text=True
        )

    quick = ("--set", "streams.silence_s=2", "--set", "alarms.technical_delay_s=1")
    with start("--model", str(SHIPPED), *quick) as daemon:
        listener = example("alerts", daemon.publish)
        assert listener.stdout is not None
        assert "listening" in listener.stdout.readline()
        source = example("source", daemon.ingest, "bed-9", SPEED)
        lines: list[str] = []
        try:
            while not lines or "signal.no-data" not in lines[-1]:
                lines.append(listener.stdout.readline())
                assert lines[-1], "the listener ended"
            assert source.wait(30) == 0
        finally:
            for process in (source, listener):
                process.kill()
                process.communicate()
    assert all(line.startswith("bed-9  ") for line in lines)
    runs_of_beats = [line for line in lines if "rhythm.ventricular-run" in line]
    assert "start" in runs_of_beats[0]
    assert "high  update  rhythm.ventricular-run  ventricular tachycardia" in "".join(lines)
    assert "165/min, lead II; over after" in runs_of_beats[-1]
