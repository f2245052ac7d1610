"""What `compile` has compiled is all that a daemon runs, whatever comes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from beatgan_daemon.clients.process import COMMAND

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "student.pt"

# Another process with other streams: extremes of the protocol, recordings in any memory layout.
EXERCISE = """
import sys
from pathlib import Path

import numpy as np

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import StreamError
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.records import SAMPLE, Recording, only, read_recording
from beatgan.compilations import compilations
from beatgan_daemon.model_loading import load_model
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.playback.offline import score_recordings
from benchmarks.robustness.extremes import Extremes

with compilations(lambda name: print("compiles", name)):
    loaded = load_model(Path(sys.argv[1]), "cpu")
    model = loaded.spec, loaded.coefficients, loaded.scorer
    limits = AlarmLimits(strip_s=10.0)
    settings = EngineSettings(batch_size=64, batch_age=0.01, silence=5.0, max_streams=100)
    engine, extremes = Engine(*model, limits, settings), Extremes(3)
    used = 0
    for k in range(2000):
        try:
            engine.receive(decode_frame(extremes.next()), k / 500)
            used += 1
        except StreamError:
            pass
        engine.poll(k / 500)
    engine.drain(9.0)
    lead = read_recording(SAMPLE).samples[:30_000, 0]
    rows = np.stack([lead, 0.7 * lead, np.roll(lead, 5)]).astype(np.float32)
    fixed = rows.T.copy()
    fixed.setflags(write=False)
    for samples in (rows.T, fixed, np.repeat(rows, 2, axis=0).T[:, ::2]):
        recording = Recording("r", 360.0, ("MLII", "V5", "V1"), samples)
        found = [len(list(score_recordings([each], *model, limits)))
                 for each in (recording, only(recording, "V5"))]
        print(used > 500, min(found) > 100)
"""


@pytest.fixture(scope="module")
def compiled() -> str:
    """What the command says when all is compiled, be it by other tests."""
    command = [*COMMAND, "compile", "--model", str(MODEL)]
    subprocess.run(command, check=True)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_what_is_compiled_is_not_compiled_again(compiled: str) -> None:
    assert compiled.startswith("all is compiled already; the code lies in /")
    assert all(Path(place.strip()).is_dir() for place in compiled.split(" in ")[1].split(","))


@pytest.mark.usefixtures("compiled")
def test_whatever_comes_nothing_more_is_compiled() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXERCISE, str(MODEL)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.stdout.splitlines() == ["True True"] * 3, done.stdout + done.stderr


def test_without_a_place_for_it_nothing_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [*COMMAND, "compile", "--model", str(MODEL)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file")},
    )
    assert done.returncode == 3
    (said,) = done.stderr.splitlines()  # not that it compiles
    assert said.startswith("beatgan-daemon: compiled code could not be kept: cannot write to")
    assert f"{tmp_path}/file" in said
    assert "Not a directory" in said
