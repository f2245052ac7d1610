"""benchmarks/performance/compare: what is compared with what. No figure is judged here."""

import os
import subprocess
import sys
from pathlib import Path

from beatgan.records import read_recording
from benchmarks.performance.compare import peak_mib, table, write_record
from benchmarks.performance.load.processes import environment, python_of

ROOT = Path(__file__).parents[2]


def test_the_ratio_is_this_checkout_over_the_other() -> None:
    ours = [{"engine": 90.0}, {"engine": 110.0}, {"engine": 100.0}]
    theirs = [{"engine": 180.0}, {"engine": 200.0}, {"engine": 220.0}]
    row = table(ours, theirs).splitlines()[1]
    assert row.split() == ["engine", "200.00", "100.00", "0.500", "0.455", "to", "0.550"]


def test_the_record_is_as_long_as_asked_and_has_the_leads(tmp_path: Path) -> None:
    recording = read_recording(write_record(tmp_path, 400, 2))
    assert recording.leads == ("MLII", "V5")
    assert len(recording.samples) == 400 * recording.fs
    assert recording.samples[:, 0].std() > 0.05


def test_another_checkout_runs_its_own_code_whatever_the_folder(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "beatgan").mkdir(parents=True)
    (other / "beatgan" / "__init__.py").write_text("")
    ended = subprocess.run(
        [python_of(other), "-c", "import beatgan; print(beatgan.__file__)"],
        env={**os.environ, **environment(other)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == str(other / "beatgan" / "__init__.py")
    assert python_of(other) == sys.executable
    assert "PYTHONPATH" not in environment(None)


def test_peak_memory_is_the_process_own() -> None:
    with subprocess.Popen(["sleep", "10"]) as process:
        try:
            assert 0 < peak_mib(process.pid) < 50
        finally:
            process.kill()
    assert peak_mib(process.pid) == 0.0
