"""Half a minute of each bridge between a real daemon and its real counterpart, cut off twice."""

from pathlib import Path

import pytest

from beatgan.types import Chunk, Floats
from benchmarks.robustness.bridges import evidence
from benchmarks.robustness.bridges.counterpart import FS, LEAD
from benchmarks.robustness.bridges.ecg import device_ecg
from benchmarks.robustness.bridges.mosquitto import PROGRAM
from benchmarks.robustness.bridges.trial import try_bridge

MODEL = Path(__file__).parents[2] / "models" / "student.pt"
SECONDS = 24.0


@pytest.mark.parametrize("bridge", ["hl7", "kafka", "lsl", "mqtt"])
def test_nothing_is_lost_uncounted_and_no_alert_comes_twice(bridge: str) -> None:
    if bridge == "mqtt" and PROGRAM is None:
        pytest.skip("no mosquitto")
    module = pytest.importorskip(f"benchmarks.robustness.bridges.{bridge}")
    result = try_bridge(module.Peer, SECONDS, MODEL)
    assert result.faults == []
    assert len(result.facts) >= 5


# --- the judge finds what is wrong ----------------------------------------------------------------


def frame(first: int, samples: Floats) -> Chunk:
    return Chunk("bed", 1, 0, first, 0, FS, (LEAD,), samples[:, None])


def test_samples_at_another_place_are_found() -> None:
    ecg = device_ecg(20.0, 1)
    good = [frame(0, ecg[700:1400]), frame(1000, ecg[1700:2000])]
    assert evidence.conservation("bed", good, ecg) == (
        [],
        "bed: 1300 samples = 1000 at the daemon + 300 missing",
    )
    late = [good[0], frame(1001, ecg[1700:2000])]
    faults, _ = evidence.conservation("bed", late, ecg)
    assert "lie where the device had others" in faults[0]
    faults, _ = evidence.conservation("bed", [frame(0, ecg[700:1400] + 1)], ecg)
    assert "not what the device sent" in faults[0]


@pytest.mark.parametrize(
    "got", [[b"a", b"c"], [b"a", b"b", b"b", b"c"], [b"b", b"a", b"c"], [b"a", b"b"]]
)
def test_alerts_that_are_not_the_journals_are_found(got: list[bytes]) -> None:
    assert evidence.alerts([b"a", b"b", b"c"], [b"a", b"b", b"c"])[0] == []
    assert evidence.alerts(got, [b"a", b"b", b"c"])[0] != []
