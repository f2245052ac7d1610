"""Where options come from, who wins, and what an operator reads when one is wrong."""

import re
import tomllib
from dataclasses import fields
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import UsageError
from beatgan.model.shipped import SHIPPED
from beatgan.protocol.buckets import ALL
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.settings import FORMER_KEYS, Settings, keys, load
from beatgan_daemon.settings_schema import Address

MODEL = {"model.path": "student.pt"}
EXAMPLE = Path(__file__).resolve().parents[2] / "configs" / "daemon.toml"


def written(folder: Path, text: str) -> Path:
    file = folder / "daemon.toml"
    file.write_text(text)
    return file


def test_defaults_keep_to_this_machine() -> None:
    settings = load(flags=MODEL, environment={})
    assert settings.model.path == Path("student.pt")
    assert settings.http.listen.host == "127.0.0.1"
    for endpoint in (*settings.ingest.bind, settings.publish.bind):
        assert endpoint.startswith("tcp://127.0.0.1:")
    assert settings.alarms == AlarmLimits()


def test_flags_beat_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = written(tmp_path, "[batch]\nsize = 2\nage_ms = 2\n[streams]\nmax = 2\n")
    environment = {"BEATGAN_BATCH__SIZE": "3", "BEATGAN_BATCH__AGE_MS": "3"}
    settings = load(file, MODEL | {"batch.size": "4"}, environment)
    assert (settings.batch.size, settings.batch.age_ms, settings.streams.max) == (4, 3.0, 2)
    assert settings.streams.silence_s == Settings.model_fields["streams"].default.silence_s


def test_lists_and_addresses_in_the_environment() -> None:
    environment = {
        "BEATGAN_MODEL__PATH": "m.pt",
        "BEATGAN_INGEST__BIND": "",
        "BEATGAN_INGEST__CONNECT": "tcp://10.0.0.1:7,ipc:///run/ecg",
        "BEATGAN_HTTP__LISTEN": "[::1]:80",
        "BEATGAN_DATA": "/databases",  # not a setting: beatgan-train's
        "HOME": "/",
    }
    settings = load(environment=environment)
    assert settings.ingest.bind == ()
    assert settings.ingest.connect == ("tcp://10.0.0.1:7", "ipc:///run/ecg")
    assert settings.http.listen == Address("::1", 80)
    assert str(settings.http.listen) == "[::1]:80"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[batch]\nsise = 1", ["unknown key 'batch.sise'", "'batch.size'"]),
        ("[bach]\nsize = 1", ["unknown key 'bach.size'", "'batch.size'"]),
        ("device = 'cpu'", ["unknown key 'device'", "'model.device'"]),
        ("[batch]\nqqqqq = 1", ["unknown key 'batch.qqqqq'", "known: batch.size, batch.age_ms"]),
        ("[model]\nthreshold = 3.0", ["unknown key 'model.threshold'"]),
        ("model = 'x'", ["unknown key 'model'", "'model.path'"]),
        ("[batch]\nsize = 0", ["batch.size = 0", "greater than or equal to 1"]),
        ("[batch]\nage_ms = nan", ["batch.age_ms = nan", "finite"]),
        ("[model]\ndevice = 'gpu'", ["model.device = 'gpu'", "cuda:N"]),
        ("[ingest]\nbind = ['udp://x']", ["ingest.bind = ['udp://x']", "tcp://HOST:PORT"]),
        ("[http]\nlisten = '127.0.0.1'", ["http.listen = '127.0.0.1'", "HOST:PORT"]),
        ("[http]\nlisten = 'h:99999'", ["http.listen = 'h:99999'", "HOST:PORT"]),
        ("[log]\nlevel = 'loud'", ["log.level = 'loud'", "'debug'"]),
        ("[ingest]\nbind = [", ["cannot read the configuration"]),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, text: str, words: list[str]) -> None:
    file = written(tmp_path, text)
    with pytest.raises(StartError) as caught:
        load(file, MODEL, {})
    message = str(caught.value)
    for word in [str(file), *words]:
        assert word.casefold() in message.casefold()


def test_nowhere_to_listen() -> None:
    with pytest.raises(UsageError, match=r"command line: ingest: .* no ECG could ever arrive"):
        load(flags=MODEL | {"ingest.bind": ""}, environment={})


def test_a_shards_state_lies_in_the_shared_directory() -> None:
    shard = {"shard.dir": "/srv/beatgan", "shard.name": "shard-0"}
    settings = load(flags=MODEL | shard, environment={"STATE_DIRECTORY": "/var/lib/beatgan"})
    assert settings.state.dir == Path("/srv/beatgan/shard-0")
    assert load(EXAMPLE, MODEL | shard, {}).ingest.buckets == ALL  # which the map decides


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"shard.dir": "/srv/x"}, "shard: dir and name are given together"),
        ({"shard.name": "a"}, "shard: dir and name are given together"),
        ({"shard.dir": "/srv/x", "shard.name": "a/b"}, "shard.name = 'a/b'.*expected letters"),
        (
            {"shard.dir": "/srv/x", "shard.name": "a", "state.dir": "/srv/y"},
            "state.dir and shard.dir: a shard's state lies in shard.dir",
        ),
        (
            {"shard.dir": "/srv/x", "shard.name": "a", "ingest.buckets": "0/2"},
            "ingest.buckets and shard.dir: the map",
        ),
    ],
)
def test_a_shard_at_odds_with_itself(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load(flags=MODEL | flags, environment={})


def test_limits_at_odds_name_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "[alarms]\nanomalous_beats = 20\n")
    with pytest.raises(StartError, match=r"daemon\.toml: alarms: .*among_beats, got 20 and 10"):
        load(file, MODEL, {})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"nowhere\.toml.*No such file"):
        load(tmp_path / "nowhere.toml", MODEL, {})


@pytest.mark.parametrize(
    ("flags", "environment", "kind", "words"),
    [
        ({"batch.size": "x"}, {}, UsageError, "command line: batch.size = 'x'.*integer"),
        ({"batch.sise": "1"}, {}, UsageError, "command line: unknown key 'batch.sise'"),
        ({}, {"BEATGAN_BATCH__SIZE": "x"}, StartError, "BEATGAN_.*batch.size = 'x'.*integer"),
        ({}, {"BEATGAN_BATCH__SISE": "1"}, StartError, "BEATGAN_.*'batch.sise'.*'batch.size'"),
        ({}, {"BEATGAN_MODEL": "x.pt"}, StartError, "BEATGAN_.*'model'.*'model.path'"),
    ],
)
def test_the_one_at_fault_is_named(
    flags: dict[str, Any], environment: dict[str, str], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        load(flags=MODEL | flags, environment=environment)


def test_where_no_model_is_named_it_is_the_shipped_student() -> None:
    assert load(environment={}).model.path == SHIPPED
    assert load(flags=MODEL, environment={}).model.path != SHIPPED


@pytest.mark.parametrize("place", ["file", "environment", "flag"])
@pytest.mark.parametrize(("old", "new"), FORMER_KEYS.items())
def test_a_former_key_is_accepted_with_a_warning_that_names_both(
    tmp_path: Path, place: str, old: str, new: str
) -> None:
    section, option = old.split(".")
    file = written(tmp_path, f"[{section}]\n{option} = 5\n" if place == "file" else "")
    flags = {old: "5"} if place == "flag" else {}
    environment = {f"BEATGAN_{section}__{option}".upper(): "5"} if place == "environment" else {}
    warnings: list[str] = []
    settings = load(file, MODEL | flags, environment, warnings.append)
    assert attrgetter(new)(settings) == 5
    assert len(warnings) == 1
    assert f"{old} is now called {new}" in warnings[0]


@pytest.mark.parametrize(("old", "new"), FORMER_KEYS.items())
def test_a_key_and_its_former_name_at_once_are_refused(tmp_path: Path, old: str, new: str) -> None:
    file = written(tmp_path, f"[alarms]\n{old.removeprefix('alarms.')} = 5\n")
    variable = f"BEATGAN_{new.replace('.', '__')}".upper()
    for flags, environment in (({new: "5"}, {}), ({}, {variable: "5"})):
        with pytest.raises(StartError, match=rf"daemon\.toml: {old} .* {new}, and both"):
            load(file, MODEL | flags, environment)


def test_former_keys_name_keys_that_there_are() -> None:
    assert len(FORMER_KEYS) == 6
    assert set(FORMER_KEYS.values()) <= set(keys())
    assert not set(FORMER_KEYS) & set(keys())


def test_alarm_limits_are_the_policys_own_fields() -> None:
    alarms = {key for key in keys() if key.startswith("alarms.")}
    assert alarms == {f"alarms.{field.name}" for field in fields(AlarmLimits)}


def test_the_example_file_is_the_defaults() -> None:
    uncommented = re.sub(r'^# (\w+ = ")', r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    written_out = tomllib.loads(uncommented)  # those without a default are commented out
    flat = {f"{section}.{key}" for section, table in written_out.items() for key in table}
    assert flat == set(keys())
    assert load(EXAMPLE, environment={}) == load(environment={})


def test_the_example_file_explains_every_option() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for above, line in pairwise(lines):
        if line and line[0].isalpha():
            assert above.startswith("#"), f"{line!r} stands without a comment"
