"""benchmarks/performance/alarms: what is timed. No figure is judged here."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from beatgan.records import SAMPLE, read_recording
from beatgan.types import Score
from beatgan_daemon.model_loading import load_model
from benchmarks.performance.alarms import asked, variants


def test_each_beat_is_told_to_the_alarms_once_and_the_stream_is_closed(model_file: Path) -> None:
    recording = read_recording(SAMPLE)
    loaded = load_model(model_file, "cpu")
    found = asked(replace(recording, samples=recording.samples[:21_600]), loaded)
    beats = [call for call in found.calls if isinstance(call.arguments[0], Score)]
    count = Counter(call.name for call in found.calls)
    assert count["push"] >= 60
    assert len({call.arguments[0].beat.sample for call in beats}) >= 60
    assert found.calls[-1].name == "close"
    assert count["close"] == 1
    assert found.time() > 0


def test_a_recording_of_one_lead_is_doubled() -> None:
    one, two = variants(read_recording(SAMPLE), ("MLII",))
    assert len(one.leads) == 1
    assert two.samples.shape == (len(one.samples), 2)
    assert [each.leads for each in variants(two, ("V5",))] == [("V5",), two.leads]
