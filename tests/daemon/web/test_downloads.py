"""An alarm's strip from the tap to the files that somebody downloads."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from beatgan.errors import UsageError
from beatgan.explain.strip import EcgStrip
from beatgan.protocol.messages import encode_lines
from beatgan_daemon.storage.strip_store import read_stored
from beatgan_daemon.web import picture
from beatgan_daemon.web.kept_strip import KeptStrip
from beatgan_daemon.web.wfdb_files import wfdb_zip
from tests.daemon.web.conftest import Daemon, Web, eventually, serving
from tests.support.messages import alert_message, beat_message

ID = "bed-1/7/0/rhythm.asystole/3"
ALARM = replace(alert_message(5, ID), epoch=7, onset_sample=3_600, onset_ns=10**18)


@pytest.fixture
def web(daemon: Daemon, tmp_path: Path) -> Iterator[Web]:
    with serving(daemon, "--strips", str(tmp_path / "strips")) as web:
        yield web


def unpacked(content: bytes, folder: Path) -> Path:
    ZipFile(io.BytesIO(content)).extractall(folder)
    return next(folder.glob("*.hea")).with_suffix("")


def test_a_strip_comes_from_the_tap_and_goes_out_as_it_came(
    daemon: Daemon, web: Web, tmp_path: Path
) -> None:
    wfdb = pytest.importorskip("wfdb")
    daemon.wait_for(daemon.tap, b"ecg.")
    daemon.wait_for(daemon.outlet, b"batch.beat")
    ecg = np.random.default_rng(2).normal(0, 1, 12_000).astype(np.float32)
    ecg[2_000:2_100] = np.nan
    for first in range(0, 12_000, 360):
        daemon.frame("bed-1", first, ecg[first : first + 360])
    beat = replace(beat_message(0), stream="bed-1", epoch=7, sample=5_000, beat_class="V")
    daemon.outlet.send_multipart([b"batch.beat", encode_lines([beat])])
    daemon.alert(replace(ALARM, n=0, stream="bed-1"))
    path = f"/api/alarms/{ID}"

    def strip() -> Any:
        return msgspec.json.decode(web.get(path, Cookie=web.cookie)[2]).get("strip")

    eventually(lambda: bool(strip() and strip()["note"] == "" and strip()["beats"]))
    found = strip()
    sent = ecg[:10_800].astype(np.float64)
    got = np.array([np.nan if each is None else each for each in found["samples"][0]])
    np.testing.assert_allclose(got, sent, rtol=0, atol=5e-7)
    assert (found["first"], [each["sample"] for each in found["beats"]]) == (0, [5_000])

    status, headers, content = web.get(f"{path}.zip", Cookie=web.cookie)
    assert (status, headers["content-type"]) == (200, "application/zip")
    record = unpacked(content, tmp_path)
    read = wfdb.rdrecord(str(record))
    assert (record.name, read.fs, read.sig_name, read.units) == ("alarm-0", 360, ["II"], ["mV"])
    np.testing.assert_allclose(read.p_signal[:, 0], sent, rtol=0, atol=5.1e-7)
    marks = wfdb.rdann(str(record), "atr")
    assert (marks.sample.tolist(), marks.symbol) == ([3_600, 5_000], ['"', "V"])

    status, headers, content = web.get(f"{path}.png", Cookie=web.cookie)
    assert (status, headers["content-type"]) == (200, "image/png")
    assert content.startswith(b"\x89PNG")
    stored = read_stored(tmp_path / "strips", ID)
    assert stored is not None
    assert stored.note == ""
    health = msgspec.json.decode(web.get("/api/health", Cookie=web.cookie)[2])
    assert (health["strips"]["stored"], health["strips"]["lost"]) == (1, 0)


def test_without_a_strip_there_is_no_record(daemon: Daemon, web: Web) -> None:
    daemon.alert(replace(ALARM, n=0), heard=False)
    assert web.get("/api/alarms/nobody.zip", Cookie=web.cookie)[0] == 404
    daemon.alert(replace(ALARM, id="b", n=1, stream=""))
    status, _, said = web.get("/api/alarms/b.zip", Cookie=web.cookie)
    assert (status, b"no strip is stored" in said) == (404, True)
    assert web.get(f"/api/alarms/{ID}.zip")[0] == 401


@pytest.mark.parametrize("most", [1.0, 900_000.0])
def test_the_record_holds_what_the_strip_does(tmp_path: Path, most: float) -> None:
    wfdb = pytest.importorskip("wfdb")
    samples = np.random.default_rng(3).uniform(-most, most, (3_000, 2))
    samples[100:200, 1] = np.nan
    beats = [
        {"sample": sample, "class": kind, "score": 7.25, "threshold": 6.5}
        for sample, kind in [(10, "N"), (11, "S"), (2_900, "F"), (9_999, "V")]
    ]
    strip = EcgStrip(-10, 250.0, ("II", "märk # 1"), samples)
    alarm = replace(ALARM, onset_sample=500)
    record = unpacked(
        wfdb_zip("alarm-5", KeptStrip(strip, beats, "it ends early"), alarm), tmp_path
    )
    read = wfdb.rdrecord(str(record))
    assert read.fs == 250
    np.testing.assert_allclose(read.p_signal, samples, rtol=0, atol=max(5.1e-7, most * 1e-9))
    raw = wfdb.rdrecord(str(record), physical=False)
    assert raw.calc_checksum() == [each % 65_536 for each in raw.checksum]
    assert "it ends early" in read.comments
    marks = wfdb.rdann(str(record), "atr")
    assert marks.sample.tolist() == [20, 21, 510, 2_910]
    assert marks.symbol == ["N", "S", '"', "F"]
    assert marks.aux_note[0] == "score 7.250 threshold 6.500"
    assert marks.aux_note[2] == f"onset of {alarm.code}"


def test_a_picture_that_cannot_be_drawn_is_told() -> None:
    with pytest.raises(UsageError, match="no alert has the id"):
        picture.draw("nobody", [msgspec.json.encode(ALARM)], None)
