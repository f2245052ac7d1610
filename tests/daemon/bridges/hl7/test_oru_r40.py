"""Alerts as HL7 messages: golden vectors, and what a receiver's parser makes of them."""

import json
import string
from pathlib import Path
from typing import Any

import hl7
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from beatgan.alarms.codes import AlarmCode
from beatgan.protocol.messages import AlertMessage, decode_alert
from beatgan_daemon.bridges.bed_map import Bed, Beds
from beatgan_daemon.bridges.hl7.oru_r40 import control_id, oru_r40, time
from beatgan_daemon.bridges.nomenclature import alarm_name, nomenclature
from tests.support.messages import alert_message

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "oru_r40.json"
VECTORS: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))
ANY = Beds()


def alert_of(vector: dict[str, Any]) -> AlertMessage:
    return decode_alert(msgspec.json.encode(vector["alert"]))


def parsed(alert: AlertMessage, beds: Beds = ANY) -> Any:
    return hl7.parse(oru_r40(alert, beds, 0))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["what"]))
def test_the_golden_vectors(vector: dict[str, Any]) -> None:
    beds = msgspec.convert(vector["map"], Beds)
    text = oru_r40(alert_of(vector), beds, vector["now_ns"])
    assert text.split("\r") == [*vector["segments"], ""]


def test_without_a_map_nothing_but_the_streams_name_leaves() -> None:
    message = parsed(alert_message(0, stream="bed-7"))
    assert str(message.segment("PID")) == "PID|1"
    assert str(message.segment("PV1")) == "PV1|1|U|^^bed-7"


def test_who_acknowledged_an_alarm_does_not_leave() -> None:
    alert = replace(alert_message(0), by="Nurse Example", acknowledged=True)
    assert "Example" not in oru_r40(alert, ANY, 0)


@pytest.mark.parametrize("code", [*AlarmCode])
def test_each_alarm_has_a_name_for_people(code: AlarmCode) -> None:
    assert alarm_name(code).text != code
    alert = replace(alert_message(0), code=str(code), kind=code.kind, priority=code.priority)
    assert str(code) in oru_r40(alert, ANY, 0)


def test_a_code_of_a_later_daemon_goes_out_as_it_is() -> None:
    text = oru_r40(replace(alert_message(0), code="rhythm.new"), ANY, 0)
    assert "rhythm.new^rhythm.new^99BGN" in text


def test_the_file_names_no_code_that_there_is_not() -> None:
    assert set(nomenclature().alarm) == set(AlarmCode)


@pytest.mark.parametrize("field", ["kind", "priority"])
def test_what_the_protocol_does_not_know_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match="odd"):
        oru_r40(replace(alert_message(0), **{field: "odd"}), ANY, 0)


def test_the_control_id_tells_a_repeat_from_another_alert() -> None:
    first = replace(alert_message(7), raised_ns=1_700_000_018_004_000_000)
    anew = replace(first, raised_ns=first.raised_ns + 10**9)  # of a daemon that counts anew
    assert control_id(first) == control_id(replace(first, repeat=True))
    assert len({control_id(each) for each in (first, anew, replace(first, n=8))}) == 3
    assert len(control_id(replace(first, n=10**10))) <= 20


def test_a_time_is_in_milliseconds_and_utc() -> None:
    assert time(1_700_000_018_004_999_999) == "20231114221338.004+0000"
    assert time(-1) == "19691231235959.999+0000"


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
KEYS = st.text(string.ascii_letters + r"|^~\&" + "éß心", min_size=1, max_size=20)


@given(TEXT, KEYS, KEYS)
def test_no_text_can_make_a_field_or_a_segment(sentence: str, lead: str, patient: str) -> None:
    alert = replace(alert_message(0), text=sentence, lead=lead)
    beds = Beds(stream={"bed": Bed(patient_id=patient)})
    plain = parsed(replace(alert_message(0), text="x", lead="x"), beds)
    message = parsed(alert, beds)
    assert [len(segment) for segment in message] == [len(segment) for segment in plain]
    assert message.unescape(str(message.segment("PID")(3)(1)(1))) == patient
    event = message.segments("OBX")[0](5)(1)
    told = str(event(9)) if len(event) == 9 else ""
    clean = "".join(" " if ord(c) < 32 or ord(c) == 127 else c for c in sentence)
    assert message.unescape(told) == clean


def test_the_pages_message_is_the_first_vector() -> None:
    page = (GOLDEN.parents[2] / "docs" / "bridges.md").read_text(encoding="utf-8")
    assert "\n".join(["```", *VECTORS[0]["segments"], "```"]) in page
