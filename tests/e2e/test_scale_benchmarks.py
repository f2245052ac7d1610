"""benchmarks/scale: what it compares, and that a difference is seen. No figure is judged here."""

from pathlib import Path

import numpy as np

from benchmarks.scale import trial
from benchmarks.scale.equality import Said, differences, run, said_offline
from benchmarks.scale.reference import offline
from benchmarks.scale.shards import numbered


def test_frames_are_left_out_but_never_a_first_or_last() -> None:
    what = trial.plan(20, 30.0, left_out=10)
    sends = what.sends()
    kept = sends.sum(axis=0)
    assert set(kept) <= {26, 27, 28}
    assert sends.shape == (what.intervals, 20)
    for stream in range(20):
        sent = np.flatnonzero(sends[:, stream])
        assert (sent[0], sent[-1]) == (what.starts[stream], what.stops[stream] - 1)


def test_a_lost_frame_changes_what_is_said(model_file: Path) -> None:
    whole, holed = trial.plan(1, 30.0), trial.plan(1, 30.0, left_out=10)
    said = [said_offline(offline(what, trial.real_ecg(), 1, model_file)) for what in (whole, holed)]
    assert said[0].beats.total() > 30
    assert not differences(said[0], said[0])
    assert len(differences(*said)) >= 2
    twice = Said(said[0].beats + said[0].beats, said[0].alerts)
    assert "beats too many" in "".join(differences(twice, said[0]))


def test_shards_say_what_one_engine_says(model_file: Path) -> None:
    what = trial.plan(8, 20.0, speed=6.0, left_out=7)
    outcome = run("two", numbered, 2, what, model_file)
    assert not outcome.faults
    assert outcome.beats > 8 * 20
    assert outcome.received + outcome.lost == outcome.sent
    assert outcome.lost == (~what.sends()).sum() * 360 - (what.intervals * 8 - 160) * 360
    assert len(outcome.by_shard) == 2
    assert all(outcome.by_shard)
