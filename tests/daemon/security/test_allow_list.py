"""The allow-list and the list of servers: read whole, or refused with file and line."""

from pathlib import Path

import pytest
import zmq

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security.allow_list import Role, read_clients, read_servers
from beatgan_daemon.security.credentials import Credentials, load_credentials
from beatgan_daemon.security.curve import is_key, keygen

ONE, TWO = (zmq.curve_keypair()[0].decode() for _ in range(2))
LOOPBACK = {
    "publish.bind": ["tcp://127.0.0.1:5556"],
    "ingest.bind": ["ipc:///run/ecg", "tcp://[::1]:1"],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clients"


def test_clients_have_names_and_roles(path: Path) -> None:
    path.write_text(
        f"# who may call\n\n#\n{ONE} ingest ward-3\n  {TWO}   subscribe,control\tdesk@2 # nights\n"
    )
    allow_list = read_clients(path)
    assert [client.name for client in allow_list.clients.values()] == ["ward-3", "desk@2"]
    assert allow_list.allows(ONE.encode(), Role.INGEST)
    assert not allow_list.allows(ONE.encode(), Role.CONTROL)
    assert allow_list.allows(TWO.encode(), Role.SUBSCRIBE)
    assert allow_list.allows(TWO.encode(), Role.CONTROL)
    assert not allow_list.allows(b"0" * 40, Role.INGEST)


def test_no_key_can_begin_like_a_comment(path: Path) -> None:
    assert not is_key(b"#" + b"0" * 39)
    path.write_text(f"{'#' * 40}\n#{'0' * 39} ingest bed\n")
    assert not read_clients(path).clients


def test_an_empty_list_lets_nobody_in(path: Path) -> None:
    path.write_text("")
    assert not read_clients(path).allows(ONE.encode(), Role.INGEST)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (ONE, "expected `PUBLIC_KEY ROLES NAME`, got 1 words"),
        (f"{ONE} ingest", "got 2 words"),
        (f"{ONE} ingest bed 7", "got 4 words"),
        (f"{ONE[:-1]} ingest bed", "40 characters of Z85"),
        (f"{ONE[:-1]}~ ingest bed", "40 characters of Z85"),
        (f"{ONE[:-1]}é ingest bed", "40 characters of Z85"),
        (f"{ONE} admin bed", "roles are of ingest, subscribe, control"),
        (f"{ONE} ingest, bed", "roles are of"),
        (f"{ONE} Ingest bed", "roles are of"),
        (f"{ONE} ingest bed/7", "a name has 1-64 characters"),
        (f"{ONE} ingest {'x' * 65}", "a name has 1-64 characters"),
        (f"{TWO} control bed", "that of 'first' already"),
    ],
)
def test_a_malformed_line_is_named(path: Path, line: str, why: str) -> None:
    path.write_text(f"{TWO} ingest first\n{line}\n")
    with pytest.raises(StartError) as caught:
        read_clients(path)
    assert str(caught.value).startswith(f"{path}, line 2: ")
    assert why in str(caught.value)


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path, path: Path) -> None:
    with pytest.raises(StartError, match="clients: cannot be read"):
        read_clients(path)
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(StartError, match="clients: cannot be read"):
        read_clients(path)


def test_servers_have_keys(path: Path) -> None:
    path.write_text(f"# beds\ntcp://10.0.0.7:5555 {ONE}\nipc:///run/ecg {TWO} # here\n")
    assert read_servers(path) == {
        "tcp://10.0.0.7:5555": ONE.encode(),
        "ipc:///run/ecg": TWO.encode(),
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("tcp://10.0.0.8:1", "expected `ENDPOINT PUBLIC_KEY`"),
        (f"tcp://10.0.0.8:1 {ONE} more", "expected `ENDPOINT PUBLIC_KEY`"),
        ("tcp://10.0.0.8:1 key", "40 characters of Z85"),
        (f"tcp://10.0.0.7:1 {TWO}", "tcp://10.0.0.7:1 has a key already"),
    ],
)
def test_a_malformed_line_of_servers_is_named(path: Path, line: str, why: str) -> None:
    path.write_text(f"tcp://10.0.0.7:1 {ONE}\n{line}\n")
    with pytest.raises(StartError) as caught:
        read_servers(path)
    assert str(caught.value).startswith(f"{path}, line 2: ")
    assert why in str(caught.value)


# --- what the settings say of them -------------------------------------------------------------


def test_without_keys_loopback_is_enough() -> None:
    connect = ["tcp://localhost:1", "tcp://127.8.9.10:1"]
    assert load_credentials(None, None, None, bind=LOOPBACK, connect=connect) is None


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://*:5555", "tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://eth0:1", "tcp://127.example.org:1"],
)
def test_without_keys_nothing_leaves_the_machine(endpoint: str) -> None:
    with pytest.raises(StartError, match=r"^publish\.bind: .*keygen") as caught:
        load_credentials(None, None, None, bind={"publish.bind": [endpoint]}, connect=[])
    assert endpoint in str(caught.value)
    with pytest.raises(StartError, match=r"^ingest\.connect: .*keygen"):
        load_credentials(None, None, None, bind={}, connect=["tcp://127.0.0.1:1", endpoint])


def test_with_keys_every_server_to_call_has_one(path: Path, tmp_path: Path) -> None:
    key = keygen(tmp_path / "daemon")
    secret, servers = tmp_path / "daemon.key_secret", tmp_path / "servers"
    path.write_text(f"{ONE} ingest bed\n")
    bed = "tcp://10.0.0.7:5555"
    with pytest.raises(StartError, match=f"{bed}.*names no file"):
        load_credentials(secret, path, None, bind={}, connect=[bed])
    servers.write_text(f"tcp://10.0.0.8:5555 {TWO}\n")
    with pytest.raises(StartError, match=f"{bed}.*servers has none"):
        load_credentials(secret, path, servers, bind={}, connect=[bed])
    servers.write_text(f"{bed} {TWO}\n")
    found = load_credentials(secret, path, servers, bind={"a.b": ["tcp://*:1"]}, connect=[bed])
    assert found == Credentials(key, read_clients(path), {bed: TWO.encode()})
