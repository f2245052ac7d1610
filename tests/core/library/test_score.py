"""One call from a signal to its beats: what it takes, what it refuses, that it is the daemon's."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import beatgan
from beatgan.errors import ArtifactError, RecordError, UsageError
from beatgan.protocol.messages import encode_lines


def test_an_array_is_scored_as_the_command_scores_the_file(
    tmp_path: Path, result: beatgan.Result
) -> None:
    out = tmp_path / "sample.jsonl"
    command = [sys.executable, "-m", "beatgan_daemon", "score", "sample", "--out", str(out)]
    subprocess.run([*command, "--device", "cpu"], check=True, timeout=280)
    assert out.read_bytes() == encode_lines(result.messages)


def test_a_recording_is_scored_as_its_array_is(
    sample: beatgan.Recording, result: beatgan.Result
) -> None:
    assert beatgan.score(sample, device="cpu").messages == result.messages


def test_lists_tables_and_one_dimension_are_taken(sample: beatgan.Recording) -> None:
    pandas = pytest.importorskip("pandas")
    ecg, fs = sample.samples[:7200], sample.fs
    expected = beatgan.score(ecg, fs, ["V5"], device="cpu").messages
    for each in (ecg[:, 0], ecg[:, 0].tolist(), pandas.Series(ecg[:, 0])):
        assert beatgan.score(each, fs, "V5", device="cpu").messages == expected
    table = pandas.DataFrame({"V5": ecg[:, 0]})
    assert beatgan.score(table, fs, device="cpu").messages == expected
    table.index = pandas.to_datetime(np.arange(len(ecg)) * 1e9 / fs)
    assert beatgan.score(table, fs, device="cpu").messages == expected
    with pytest.raises(UsageError, match="the index lasts 19"):
        beatgan.score(table, 250, device="cpu")
    table["time"] = np.arange(len(ecg)) / fs
    with pytest.raises(UsageError, match="the column 'time' is no ECG lead"):
        beatgan.score(table, fs, device="cpu")


def test_leads_without_names_are_numbered(two_leads: Any) -> None:
    found = beatgan.score(two_leads(10.0, 250.0), 250, device="cpu")
    assert found.leads == ("ECG", "ECG-2")


def test_a_start_is_the_time_of_the_first_sample(sample: beatgan.Recording) -> None:
    ecg, fs = sample.samples[:7200], sample.fs
    utc = datetime(2026, 1, 31, 12, tzinfo=UTC)
    there = utc.astimezone(timezone(timedelta(hours=5)))
    for start in (utc, there, utc.replace(tzinfo=None)):
        beat = beatgan.score(ecg, fs, start=start, device="cpu").messages[0]
        assert isinstance(beat, beatgan.BeatMessage)
        seconds = beat.time_ns / 1e9 - utc.timestamp()
        assert seconds == pytest.approx(beat.sample / fs, abs=1e-6)


def test_lost_samples_are_a_gap(sample: beatgan.Recording) -> None:
    ecg = sample.samples[:14_400].copy()
    ecg[5000:8000] = np.nan
    ecg[5100] = np.inf  # no number either
    codes = {episode.code for episode in beatgan.score(ecg, sample.fs, device="cpu").episodes}
    assert codes == {"signal.gap"}


@pytest.mark.parametrize(
    ("ecg", "options", "message"),
    [
        ("mitdb/200", {}, r"mitdb/200: read it first: score\(read"),
        (np.zeros(1000), {}, "fs, the samples a second, is missing"),
        (np.zeros(1000), {"fs": 10}, "10 Hz; a stream has 50 to 2000 Hz"),
        (np.zeros((2, 1000)), {"fs": 250}, "is the array to be transposed"),
        (np.zeros((10, 10, 1)), {"fs": 250}, r"expected shape \(n,\) or \(n, leads\), got"),
        ([], {"fs": 250}, r"expected shape \(n,\)"),
        (["a", "b"], {"fs": 250}, "expected an array of numbers, in mV"),
        (np.zeros((1000, 2)), {"fs": 250, "leads": "II"}, r"1 leads \(II\) for 2 columns"),
        (np.zeros((1000, 2)), {"fs": 250, "leads": ["II", "II"]}, "II is the name of two leads"),
        (1e-3 * np.sin(np.arange(5000) / 30), {"fs": 250}, "volt times 1000"),
        (1000 * np.sin(np.arange(5000) / 30), {"fs": 250}, "in millivolt by 1 to 5"),
    ],
)
def test_what_must_be_guessed_is_refused(ecg: Any, options: Any, message: str) -> None:
    with pytest.raises((UsageError, RecordError), match=message):
        beatgan.score(ecg, **options)


def test_a_recording_has_its_own_rate(sample: beatgan.Recording) -> None:
    with pytest.raises(UsageError, match="a recording has its fs"):
        beatgan.score(sample, 360)


def test_a_model_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.pt").write_text("no model")
    for name in ("odd.pt", "none.pt"):
        with pytest.raises(ArtifactError, match=name):
            beatgan.score(np.zeros(1000), 250, model=tmp_path / name)
