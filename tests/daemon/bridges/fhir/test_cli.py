"""`beatgan-bridge fhir strip`: whence the strip comes, and what is said where there is none."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fhir.resources.observation import Observation as ObservationR5
from fhir.resources.R4B.observation import Observation as ObservationR4
from msgspec.structs import replace
from typer.testing import CliRunner

from beatgan.errors import UsageError
from beatgan.protocol.messages import AlertMessage, RhythmStrip, encode_json
from beatgan_daemon.bridges.cli import app
from tests.support.alerting_daemon import AlertingDaemon
from tests.support.messages import alert_message

STRIP = RhythmStrip(
    first=0, fs=250.0, leads=("II",), scale=0.001, offset=0.0, samples=b"\x01\x00\x00\x80\xff\xff"
)
START = replace(alert_message(0, "bed/1"), strip=STRIP, text="flat line")
END = replace(alert_message(2, "bed/1", "end"), text="flat line; over after 3 s")


def run(*arguments: str) -> Any:
    made = CliRunner().invoke(app, ["fhir", "strip", *arguments], catch_exceptions=False)
    return json.loads(made.stdout)


def lines(path: Path, *alerts: AlertMessage) -> str:
    path.write_bytes(b"".join(encode_json(each) + b"\n" for each in alerts))
    return str(path)


def test_from_a_daemons_journal() -> None:
    with AlertingDaemon([START, alert_message(1, "bed/2"), END]) as daemon:
        made = run("bed/1", "--control", daemon.control)
    ObservationR4.model_validate(made)
    assert made["component"][0]["valueSampledData"]["data"] == "1 E -1"
    assert made["note"] == [{"text": "flat line; over after 3 s"}]


def test_from_a_file_to_a_file(tmp_path: Path) -> None:
    out = tmp_path / "strip.json"
    source = lines(tmp_path / "alerts.jsonl", START, END)
    CliRunner().invoke(
        app,
        ["fhir", "strip", "bed/1", "--from", source, "--out", str(out), "--release", "r5"],
        catch_exceptions=False,
    )
    ObservationR5.model_validate(msgspec.json.decode(out.read_bytes()))


def test_the_patient_of_a_map(tmp_path: Path) -> None:
    beds = tmp_path / "beds.toml"
    beds.write_text("[stream.bed]\npatient_id = '4711'\n")
    source = lines(tmp_path / "alerts.jsonl", START)
    made = run("bed/1", "--from", source, "--map", str(beds))
    assert made["subject"]["identifier"] == {"value": "4711"}


def test_an_alarm_without_a_strip(tmp_path: Path) -> None:
    source = lines(tmp_path / "alerts.jsonl", END)
    with pytest.raises(UsageError, match=r"alarms\.strip_s"):
        run("bed/1", "--from", source)
    with pytest.raises(UsageError, match="no alert has the id"):
        run("bed/9", "--from", source)
