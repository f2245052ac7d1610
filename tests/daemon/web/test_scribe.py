"""The ECG round an alarm, kept by the web server: which, for how long, and what when it cannot."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from beatgan.protocol.frames import encode_frame
from beatgan.protocol.messages import encode_lines
from beatgan.types import Chunk
from beatgan_daemon.storage.strip_store import StoredStrip, StripStore, read_stored
from beatgan_daemon.web.kept_strip import KeptStrip
from beatgan_daemon.web.recent_frames import RecentFrames
from beatgan_daemon.web.scribe import NO_FRAMES, NOT_HEARD, Scribe
from tests.support.messages import beat_message

FS = 100.0
EPOCH = 2**62


def ecg(first: int, n: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Two leads; every sample says where it is."""
    places = np.arange(first, first + n, dtype=np.float32) / 3
    return np.stack([places, -places], axis=1)


def frame(
    first: int,
    n: int = 50,
    *,
    epoch: int = EPOCH,
    leads: tuple[str, ...] = ("II", "V1"),
    dtype: str = "<f4",
    scale: float = 1.0,
) -> tuple[bytes, bytes]:
    chunk = Chunk("bed", epoch, 0, first, 0, FS, leads, ecg(first, n))
    _, head, payload = encode_frame(chunk, dtype, scale)
    return head, payload


def alert(episode: str = "a", onset: int = 2_000, **more: Any) -> dict[str, Any]:
    what = {"id": episode, "phase": "start", "stream": "bed"}
    return {**what, "epoch": EPOCH, "onset_sample": onset, **more}


class Bench:
    """A scribe, and a clock that the test sets."""

    def __init__(self, folder: Path, **keep: float) -> None:
        self.now = 100.0
        self.store = StripStore(folder, keep.get("days", 30.0), keep.get("mb", 256.0))
        self.scribe = Scribe(self.store)

    def play(self, first: int, end: int, **more: Any) -> None:
        """Frames of half a second, as they come."""
        for at in range(first, end, 50):
            self.scribe.frames.add("bed", *frame(at, **more), self.now)
            self.scribe.tick(self.now)
            self.now += 0.5

    def found(self, episode: str = "a") -> KeptStrip | str:
        return asyncio.run(self.scribe.strip(episode))

    def close(self) -> None:
        self.scribe.close()

    def settled(self) -> None:
        """Whatever was for the disk is done."""
        self.scribe._disk.submit(lambda: None).result(10)
        self.now += 1.0
        self.scribe.tick(self.now)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with closing(Bench(tmp_path / "strips")) as bench_scribe:
        yield bench_scribe


def kept(found: KeptStrip | str) -> KeptStrip:
    assert isinstance(found, KeptStrip), found
    return found


@pytest.mark.parametrize(("dtype", "scale"), [("<f4", 1.0), ("<i2", 1 / 3)])
def test_ten_seconds_before_and_twenty_behind_exactly(
    bench: Bench, dtype: str, scale: float
) -> None:
    bench.play(0, 2_200, dtype=dtype, scale=scale)
    bench.scribe.alert(alert(), bench.now)
    bench.play(2_200, 3_000, dtype=dtype, scale=scale)
    so_far = kept(bench.found())
    assert (so_far.strip.first, so_far.strip.end, so_far.note) == (
        1_000,
        3_000,
        "still being recorded",
    )
    bench.play(3_000, 9_000, dtype=dtype, scale=scale)
    bench.settled()
    strip, _, note = kept(bench.found())
    assert (strip.first, strip.end, strip.fs, strip.leads) == (1_000, 4_000, FS, ("II", "V1"))
    assert note == ""
    sent = ecg(1_000, 3_000).astype(np.float64)
    if dtype == "<i2":
        sent = np.rint(sent / scale) * scale
    np.testing.assert_array_equal(strip.millivolt, sent)
    assert (bench.scribe.stored, bench.scribe.lost) == (1, 0)


def test_files_are_for_their_owner_alone(bench: Bench) -> None:
    bench.scribe.alert(alert(onset=0), bench.now)
    bench.play(0, 3_000)
    bench.settled()
    folder = bench.store.path.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    names = sorted(os.listdir(folder))
    assert "strips.db" in names
    assert {(folder / name).stat().st_mode & 0o777 for name in names} == {0o600}


def test_a_gap_stays_one_and_beats_are_in_it(bench: Bench) -> None:
    bench.play(1_000, 2_000)
    bench.scribe.alert(alert(), bench.now)
    bench.play(2_500, 4_500)
    beats = [
        replace(beat_message(n), sample=sample, epoch=EPOCH)
        for n, sample in enumerate((1_500, 3_000, 4_100))
    ]
    bench.scribe.beats.add(encode_lines(beats), bench.now)
    bench.scribe.alert(alert("b"), bench.now)
    bench.settled()
    bench.settled()
    for episode, samples in (("a", []), ("b", [1_500, 3_000])):
        strip, heard, _ = kept(bench.found(episode))
        assert np.isnan(strip.millivolt[1_000:1_500]).all()
        assert not np.isnan(strip.millivolt[:1_000]).any()
        assert not np.isnan(strip.millivolt[1_500:]).any()
        assert [beat["sample"] for beat in heard] == samples


def test_another_epoch_or_other_leads_are_no_part_of_it(bench: Bench) -> None:
    bench.play(1_000, 2_000)
    bench.scribe.alert(alert(), bench.now)
    bench.play(2_000, 2_500)
    bench.play(2_500, 3_000, leads=("V1", "II"))
    bench.play(0, 1_000, epoch=5)
    bench.settled()
    strip, _, note = kept(bench.found())
    assert (strip.first, strip.end) == (1_000, 2_500)
    assert "ends early: no more of the signal came" in note


def test_what_is_under_way_at_the_end_is_stored_and_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.play(1_000, 2_100)
    bench.scribe.alert(alert(), bench.now)
    bench.scribe.close()
    stored = read_stored(tmp_path, "a")
    assert stored is not None
    assert stored.note == "ends early: the page's server ended"
    with closing(Bench(tmp_path)) as later:
        assert kept(later.found()).strip.end == 2_100


def test_without_ecg_it_is_said_why(bench: Bench) -> None:
    bench.scribe.alert(alert(), bench.now)
    bench.scribe.alert(alert("of the daemon", stream=""), bench.now)
    bench.now += 24.0
    bench.scribe.tick(bench.now)
    bench.settled()
    assert bench.found() == NO_FRAMES
    assert bench.found("of the daemon") == NOT_HEARD
    assert bench.found("of before") == NOT_HEARD


def test_a_disk_that_takes_nothing_costs_strips_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    bench = Bench(tmp_path / "file")  # no folder
    with capture_logs() as lines:
        for episode in ("a", "b"):
            bench.play(0, 50)
            bench.scribe.alert(alert(episode, onset=0), bench.now)
            bench.play(50, 2_100)
            bench.settled()
        assert [line["event"] for line in lines] == ["strips cannot be stored"]
        assert (bench.scribe.stored, bench.scribe.lost) == (0, 2)
        assert bench.scribe.figures()["trouble"]
        assert "cannot be read" in str(bench.found("a"))
        (tmp_path / "file").unlink()
        bench.scribe.alert(alert("c", onset=1_000), bench.now)
        bench.play(2_100, 3_100)
        bench.settled()
        assert lines[-1]["event"] == "strips are stored again"
    assert "could not be stored" in str(bench.found("a"))
    assert kept(bench.found("c")).strip.end == 3_000
    bench.scribe.close()


def test_a_full_disk_is_told_of_and_costs_one_strip(bench: Bench) -> None:
    bench.settled()
    limit = "PRAGMA max_page_count = 6"
    bench.scribe._disk.submit(lambda: bench.store._open().execute(limit)).result(10)
    bench.scribe.alert(alert(onset=0), bench.now)
    bench.play(0, 3_000)
    bench.settled()
    assert bench.scribe.lost == 1
    assert "full" in bench.scribe.figures()["trouble"]
    assert "could not be stored: database or disk is full" in str(bench.found())


def stored(episode: str, size: int = 1_000) -> StoredStrip:
    return StoredStrip(episode, "bed", EPOCH, 0, 0, 1, "", b"x" * size, b"")


def test_strips_are_kept_for_days_and_within_a_size(tmp_path: Path) -> None:
    now = [10**18]
    with closing(StripStore(tmp_path, 2.0, 1.0, now_ns=lambda: now[0])) as store:
        store.write(stored("old"))
        now[0] += 86_400 * 10**9
        store.write(stored("newer"))
        now[0] += 86_401 * 10**9
        assert store.prune().strips == 1
        assert (store.read("old"), store.read("newer")) == (None, stored("newer"))
        for n in range(100):
            last = store.write(stored(f"{n}", 50_000))
        assert last.bytes <= 2 * 2**20
        assert store.read("99") is not None
        assert store.read("0") is None


def test_what_is_no_database_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "strips.db").write_bytes(b"no database" * 1_000)
    with closing(StripStore(tmp_path, 1.0, 1.0)) as store:
        store.write(stored("a"))
        assert store.read("a") == stored("a")
    assert len([*tmp_path.glob("strips.db.damaged-*")]) == 1


def test_a_file_that_is_removed_or_damaged_in_use_is_begun_anew_and_told(tmp_path: Path) -> None:
    told: list[str] = []
    with closing(StripStore(tmp_path, 1.0, 1.0, told.append)) as store:
        for n in range(20):
            store.write(stored(f"{n}", 5_000))
        store._open().executescript("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA shrink_memory")
        with store.path.open("r+b") as file:
            file.seek(4_096)
            file.write(b"\xff" * 40_000)
        assert store.write(stored("after damage")).strips == 1
        for each in tmp_path.glob("strips.db*"):
            each.unlink()
        assert store.write(stored("after removal")).strips == 1
        assert store.read("after removal") == stored("after removal")
    assert [*sqlite3.connect(tmp_path / "strips.db").execute("SELECT id FROM strips")] == [
        ("after removal",)
    ]
    assert ["damaged" in told[0], "removed" in told[1], len(told)] == [True, True, 2]


def test_memory_has_a_bound_and_what_is_let_go_early_is_counted() -> None:
    frames = RecentFrames(most=100_000)
    for at in range(0, 5_000, 50):
        for stream in range(20):
            frames.add(f"bed-{stream}", *frame(at), at / FS)
    assert frames.bytes <= 100_000
    assert frames.early > 0
    assert all(frames.of(f"bed-{stream}") for stream in range(20))


def test_frames_of_streams_that_fell_silent_are_forgotten() -> None:
    frames = RecentFrames()
    frames.add("gone", *frame(0), 0.0)
    frames.add("bed", *frame(0), 100.0)
    assert frames.of("gone")
    frames.add("bed", *frame(50), 121.0)
    assert not frames.of("gone")
    assert frames.early == 0
    frames.add("bed", b"no header", b"", 122.0)
