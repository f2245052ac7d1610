"""Real daemons and bridges at a mock broker: what a kill loses comes again, to the bit."""

from pathlib import Path

import pytest

from benchmarks.scale import trial

MODEL = Path(__file__).parents[2] / "models" / "student.pt"


@pytest.mark.timeout(300)
def test_a_killed_shard_says_what_it_would_have_said(tmp_path: Path) -> None:
    kafka = pytest.importorskip("benchmarks.scale.kafka")
    found = kafka.run(trial.plan(4, 30.0), kills=1, leaves=0, model=MODEL, folder=tmp_path)
    assert found.faults() == []
    assert len(found.said.beats) > 50
