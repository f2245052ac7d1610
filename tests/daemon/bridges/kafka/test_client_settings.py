"""What the Kafka library is told: a file that keeps its secrets, and nothing in the clear."""

import re
from pathlib import Path

import pytest

from beatgan.errors import UsageError
from beatgan_daemon.bridges.kafka.client_settings import client_settings
from beatgan_daemon.bridges.kafka.consumer import KafkaConsumer
from beatgan_daemon.bridges.kafka.producer import KafkaProducer
from beatgan_daemon.exit_codes import StartError

LOCAL = "localhost:1"


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "kafka.properties"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_of_properties(tmp_path: Path) -> None:
    path = written(tmp_path, "# ours\nsasl.password = swordfish = 7\n\nclient.id=x\n")
    settings = client_settings(LOCAL, path, in_the_clear=False)
    assert settings["sasl.password"] == "swordfish = 7"
    assert settings["client.id"] == "x"
    assert settings["bootstrap.servers"] == LOCAL


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sasl.password swordfish", "line 1: expected name=value"),
        ("\nenable.auto.commit=false", "line 2: enable.auto.commit is not the file's to say"),
        ("=swordfish", "line 1: expected name=value"),
    ],
)
def test_a_line_that_is_none_is_named_and_not_quoted(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)) as raised:
        client_settings(LOCAL, written(tmp_path, text), in_the_clear=False)
    assert "swordfish" not in str(raised.value)


def test_a_file_that_others_may_read(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="chmod 600"):
        client_settings(LOCAL, written(tmp_path, "", 0o644), in_the_clear=False)


@pytest.mark.parametrize("kind", [KafkaConsumer, KafkaProducer])
def test_what_the_library_does_not_know_is_one_line(kind: type) -> None:
    settings = {"bootstrap.servers": LOCAL, "group.id": "g", "sasl.password": "swordfish"}
    more = [{**settings, "no.such.thing": "1"}] + ["topic"] * (kind is KafkaConsumer)
    with pytest.raises(UsageError, match=re.escape("no.such.thing")) as raised:
        kind(*more)
    assert "swordfish" not in str(raised.value)


@pytest.mark.parametrize("protocol", ["", "security.protocol=SASL_PLAINTEXT\n"])
def test_another_machine_needs_tls_or_a_word(tmp_path: Path, protocol: str) -> None:
    path, brokers = written(tmp_path, protocol), "127.0.0.1:9092, kafka.example:9092"
    with pytest.raises(UsageError, match="--in-the-clear"):
        client_settings(brokers, path, in_the_clear=False)
    assert client_settings(brokers, path, in_the_clear=True)
    path.write_text("security.protocol=SASL_SSL\n")
    assert client_settings(brokers, path, in_the_clear=False)


@pytest.mark.parametrize("brokers", ["", "kafka:0", "kafka:9092,,"])
def test_brokers_that_are_none(brokers: str) -> None:
    with pytest.raises(UsageError, match="--brokers"):
        client_settings(brokers, None, in_the_clear=True)
