"""Home Assistant finds the streams by itself: MQTT discovery, two entities a stream."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from zlib import crc32

import msgspec

from beatgan_daemon.bridges.mqtt.topics import Topics

PREFIX: Final = "homeassistant"  # its default
_OTHER = re.compile("[^A-Za-z0-9_-]")
ORIGIN: Final = {"name": "beatgan", "url": "https://pypi.org/project/beatgan/"}


def configurations(prefix: str, topics: Topics, streams: Iterable[str]) -> Mapping[str, bytes]:
    """Topic and JSON of each entity: the highest priority of alarms, and whether there is any."""
    made: dict[str, bytes] = {}
    for stream in streams:
        for kind, name, more in (
            ("sensor", "alarm", {"value_template": "{{ value_json.highest }}"}),
            ("binary_sensor", "problem", _PROBLEM),
        ):
            topic = f"{prefix}/{kind}/{_object_id(topics, stream)}/{name}/config"
            made[topic] = msgspec.json.encode(_entity(topics, stream, name) | more)
    return made


_PROBLEM: Final = {
    "value_template": "{{ 'OFF' if value_json.highest == 'none' else 'ON' }}",
    "device_class": "problem",
}


def _entity(topics: Topics, stream: str, name: str) -> dict[str, Any]:
    identifier = _object_id(topics, stream)
    return {
        "name": name.capitalize(),
        "unique_id": f"{identifier}_{name}",
        "state_topic": topics.of("active", stream),
        "json_attributes_topic": topics.of("active", stream),
        "availability_topic": topics.status,
        "availability_template": "{{ 'online' if value == 'online' else 'offline' }}",
        "device": {"identifiers": [identifier], "name": stream, "manufacturer": "beatgan"},
        "origin": ORIGIN,
    }


def _object_id(topics: Topics, stream: str) -> str:
    """As Home Assistant allows it; names that differ in other characters stay two by a number."""
    name = topics.of("active", stream)
    return f"{_OTHER.sub('_', name)}_{crc32(name.encode()):08x}"
