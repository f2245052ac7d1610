"""What a result says, and how it is written."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import beatgan
from beatgan.errors import UsageError
from beatgan.protocol.messages import encode_lines


def test_each_beat_is_one_row_its_last_word(result: beatgan.Result) -> None:
    last = {m.n: m for m in result.messages if isinstance(m, beatgan.BeatMessage)}
    assert len(result) == len(result.beats) == len(last) < len(result.messages)
    for row, message in zip(result.beats, last.values(), strict=True):
        assert row["sample"] == message.sample
        assert row["time_s"] == message.sample / 360
        assert row["anomalous"] == message.anomalous
        assert (np.isnan(row["score"]), row["quality"]) == (message.score is None, message.quality)
    scored = result.beats[~np.isnan(result.beats["score"])]
    parts = np.array([scored[each] for each in ("error", "distance", "prematurity",
                                                "rr_surprisal", "log_odds")])  # fmt: skip
    assert np.allclose(np.nansum(parts, axis=0), scored["score"], atol=3e-4)


def test_the_summary_counts(result: beatgan.Result) -> None:
    beats = result.beats
    assert str(result) == (
        f"{len(beats)} beats, {beats['anomalous'].sum()} anomalous, "
        f"{len(result.episodes)} episodes, {(beats['quality'] == 'poor').sum()} poor, "
        f"{(beats['quality'] == 'unusable').sum()} unusable"
    )
    assert repr(result) == f"<Result of sample, 300 s: {result}>"


def test_episodes_put_alerts_together(result: beatgan.Result) -> None:
    assert {e.id for e in result.episodes} == {a.id for a in result.alerts}
    assert len(result.episodes) < len(result.alerts)
    assert [e.onset_s for e in result.episodes] == sorted(e.onset_s for e in result.episodes)
    for episode in result.episodes:
        of = [a for a in result.alerts if a.id == episode.id]
        assert episode.end_sample == of[-1].end_sample
        assert set(episode.beats) == {beat for a in of for beat in a.beats}
        assert episode.text


def test_pandas_gets_the_same_table(result: beatgan.Result) -> None:
    pytest.importorskip("pandas")
    table = result.to_pandas()
    assert tuple(table.columns[:10]) == (
        "n", "sample", "time_s", "rr_ms", "score", "threshold", "anomalous", "quality", "lead",
        "class",
    )  # fmt: skip
    assert (table["sample"].to_numpy() == result.beats["sample"]).all()
    assert table["score"].equals(table["score"].where(table["quality"] != "unusable"))


def test_files_hold_the_same_table(tmp_path: Path, result: beatgan.Result) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    for name in ("beats.csv", "beats.parquet"):
        result.write(tmp_path / name)
    missing = {"keep_default_na": False, "na_values": {"score": ""}}
    comma: Any = pandas.read_csv(tmp_path / "beats.csv", **missing)
    parquet: Any = pandas.read_parquet(tmp_path / "beats.parquet")
    for table in (comma, parquet):
        assert (table["record"] == "sample").all()
        for name in ("sample", "anomalous", "quality", "class"):
            assert table[name].tolist() == result.beats[name].tolist()
        np.testing.assert_array_equal(table["score"].to_numpy(float), result.beats["score"])
    assert "nan" not in (tmp_path / "beats.csv").read_text()


def test_json_lines_are_the_messages(tmp_path: Path, result: beatgan.Result) -> None:
    result.write(tmp_path / "beats.jsonl")
    assert (tmp_path / "beats.jsonl").read_bytes() == encode_lines(result.messages)
    assert json.loads((tmp_path / "beats.jsonl").read_text().splitlines()[5])["components"]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, result: beatgan.Result) -> None:
    with pytest.raises(UsageError, match=r"beats\.xls: expected a file of \.csv"):
        result.write(tmp_path / "beats.xls")
    with pytest.raises(UsageError, match=r"write .*No such file or directory"):
        result.write(tmp_path / "none" / "beats.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["pandas", "pyarrow", "matplotlib", "wfdb"])
def test_what_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: beatgan.Result, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    calls: dict[str, Callable[[], object]] = {
        "pandas": result.to_pandas,
        "pyarrow": lambda: result.write(tmp_path / "b.parquet"),
        "matplotlib": result.plot,
        "wfdb": lambda: result.write_wfdb(tmp_path / "100"),
    }
    with pytest.raises(UsageError, match=rf"{package} is not installed; pip install 'beatgan\["):
        calls[package]()


def test_a_plot_shows_the_seconds_asked_for(tmp_path: Path, result: beatgan.Result) -> None:
    pytest.importorskip("matplotlib")
    figure = result.plot(55, 68)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    within = (result.beats["time_s"] >= 55) & (result.beats["time_s"] < 68)
    letters = [text for text in texts if text in ("N", "S", "V", "F", "Q", "·")]
    assert len(letters) == within.sum()
    assert "beat.anomalous" in texts
    bars = [patch for axes in figure.axes for patch in axes.patches]
    assert len(bars) > within.sum()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert "worst beat and the network's copy" in titles
    figure.savefig(tmp_path / "plot.png")
    quiet = result.plot(0, 5)
    assert not [a for a in quiet.axes if a.get_title(loc="left")]


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (300, None), (10, 10), (0, 200), (20, 10)])
def test_seconds_that_are_not_there_are_refused(
    result: beatgan.Result, start: float, end: float | None
) -> None:
    with pytest.raises(UsageError, match="expected up to 120 s within the 300 s of sample"):
        result.plot(start, end)
