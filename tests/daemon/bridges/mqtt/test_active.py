"""What is retained at the broker: the alarms as they stand, and what Home Assistant finds by."""

import json

from msgspec.structs import replace

from beatgan.protocol.messages import encode_json
from beatgan_daemon.bridges.mqtt.active import Retained, states
from beatgan_daemon.bridges.mqtt.home_assistant import configurations
from beatgan_daemon.bridges.mqtt.topics import Topics
from tests.support.messages import alert_message


def test_a_state_to_the_byte() -> None:
    message = replace(alert_message(3, "bed-7/a", stream="bed-7"), text="flat line, lead II")
    found = states(["bed-8"], [encode_json(message)])
    assert found == {
        "bed-8": b'{"v":1,"stream":"bed-8","highest":"none","alarms":[]}',
        "bed-7": b'{"v":1,"stream":"bed-7","highest":"low","alarms":[{"id":"bed-7/a","n":3,'
        b'"code":"signal.flat","kind":"technical","priority":"low","lead":"II","onset_ns":0,'
        b'"suspended":false,"latched":false,"acknowledged":false,"text":"flat line, lead II"}]}',
    }


def test_the_highest_of_several_is_told() -> None:
    alerts = [
        encode_json(replace(alert_message(n, f"e{n}"), priority=priority))
        for n, priority in enumerate(("low", "high", "medium", "of a later version"))
    ]
    state = json.loads(states([], alerts)["bed"])
    assert state["highest"] == "high"
    assert len(state["alarms"]) == 4


def test_an_alert_about_the_daemon_is_no_streams() -> None:
    assert states([], [encode_json(alert_message(0, stream=""))]) == {}


def test_only_what_changed_is_published_and_what_is_stale_is_removed() -> None:
    retained = Retained()
    retained.seen("a", b"1")
    retained.seen("gone", b"1")
    assert retained.changes({"a": b"1", "b": b"2"}) == [("gone", b""), ("b", b"2")]
    assert retained.changes({"a": b"1", "b": b"2"}) == []
    assert retained.changes({"a": b"3", "b": b"2"}) == [("a", b"3")]


def test_home_assistant_finds_two_entities_a_stream() -> None:
    made = configurations("homeassistant", Topics(), ["bed-7"])
    alarm, problem = map(json.loads, made.values())
    assert [*made] == [
        "homeassistant/sensor/beatgan_v1_active_bed-7_e07827a7/alarm/config",
        "homeassistant/binary_sensor/beatgan_v1_active_bed-7_e07827a7/problem/config",
    ]
    assert alarm == {
        "name": "Alarm",
        "unique_id": "beatgan_v1_active_bed-7_e07827a7_alarm",
        "state_topic": "beatgan/v1/active/bed-7",
        "json_attributes_topic": "beatgan/v1/active/bed-7",
        "availability_topic": "beatgan/v1/status",
        "availability_template": "{{ 'online' if value == 'online' else 'offline' }}",
        "device": {
            "identifiers": ["beatgan_v1_active_bed-7_e07827a7"],
            "name": "bed-7",
            "manufacturer": "beatgan",
        },
        "origin": {"name": "beatgan", "url": "https://pypi.org/project/beatgan/"},
        "value_template": "{{ value_json.highest }}",
    }
    assert problem["device_class"] == "problem"


def test_names_that_home_assistant_cannot_tell_apart_stay_two() -> None:
    assert len(configurations("h", Topics(), ["bed:2", "bed_2"])) == 4
