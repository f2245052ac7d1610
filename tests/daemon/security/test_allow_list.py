"""The allow-list and the list of servers: read whole, or refused with file and line."""

import os
from pathlib import Path

import pytest

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security.allow_list import (
    AllowList,
    Role,
    Server,
    read_clients,
    read_servers,
)
from beatgan_daemon.security.credentials import Credentials, load_credentials
from beatgan_daemon.security.curve import is_key, keygen
from beatgan_daemon.security.trusted_file import distrusted

# Public keys in Z85, the same in each run: they are in the names of tests.
ONE = "i]An?yZ(VFIy>X6]r<AGs?V}7X>S&[iT-{&32&)&"
TWO = "gqKmK^QSD=tg9E/Hf?1t=&4JF^7myo@BmQYPsBMn"
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
        (ONE, "expected `PUBLIC_KEY ROLES NAME [STREAMS]`, got 1 words"),
        (f"{ONE} ingest", "got 2 words"),
        (f"{ONE} ingest bed 7 8", "got 5 words"),
        (f"{ONE} ingest bed bed/7", "streams are names"),
        (f"{ONE} ingest bed bed-[7", "streams are names"),
        (f"{ONE} ingest bed bed-7,", "streams are names"),
        (f"{ONE} control bed bed-7", "streams are for who has the role ingest"),
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
    assert read_servers(path).servers == {
        "tcp://10.0.0.7:5555": Server(ONE.encode()),
        "ipc:///run/ecg": Server(TWO.encode()),
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("tcp://10.0.0.8:1", "expected `ENDPOINT PUBLIC_KEY [STREAMS]`"),
        (f"tcp://10.0.0.8:1 {ONE} more more", "expected `ENDPOINT PUBLIC_KEY [STREAMS]`"),
        (f"tcp://10.0.0.8:1 {ONE} bed.7", "streams are names"),
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


# --- which streams, and who acknowledges ----------------------------------------------------------


def sends(allow_list: AllowList, key: str, stream: str) -> bool:
    return allow_list.clients[key.encode()].streams.match(b"ecg." + stream.encode())


@pytest.mark.parametrize(
    ("patterns", "may", "may_not"),
    [
        ("bed-7", ["bed-7"], ["bed-8", "bed-77", "xbed-7", "BED-7", "bed-7\n", ""]),
        ("bed-*", ["bed-7", "bed-", "bed-7:2"], ["bed", "ward-bed-7"]),
        ("a?,ward[12]:*", ["ab", "ward1:x", "ward2:"], ["a", "abc", "ward3:x", "ward[12]:x"]),
        ("bed-[!78]", ["bed-9"], ["bed-7", "bed-8", "bed-"]),
        ("*", ["bed-7", "x"], []),
    ],
)
def test_a_key_is_bound_to_the_streams_of_its_line(
    path: Path, patterns: str, may: list[str], may_not: list[str]
) -> None:
    path.write_text(f"{ONE} ingest bed {patterns} # a comment\n{TWO} subscribe desk\n")
    allow_list = read_clients(path)
    assert [stream for stream in may if not sends(allow_list, ONE, stream)] == []
    assert [stream for stream in may_not if sends(allow_list, ONE, stream)] == []
    assert allow_list.warnings == ()


def test_a_list_of_before_goes_on_working_and_is_warned_of(path: Path) -> None:
    path.write_text(f"{ONE} ingest bed\n{TWO} control desk\n")
    allow_list = read_clients(path)
    assert sends(allow_list, ONE, "any")
    assert allow_list.allows(TWO.encode(), Role.ACKNOWLEDGE)
    assert not allow_list.allows(TWO.encode(), Role.DISCHARGE)
    streams, acknowledge = allow_list.warnings
    assert streams.startswith(f"{path}, line 1: bed may send every stream")
    assert acknowledge.startswith(f"{path}: no client has the role acknowledge")


def test_once_somebody_may_acknowledge_control_alone_reads(path: Path) -> None:
    path.write_text(f"{ONE} control viewer\n{TWO} acknowledge,discharge desk\n")
    allow_list = read_clients(path)
    assert allow_list.warnings == ()
    assert not allow_list.allows(ONE.encode(), Role.ACKNOWLEDGE)
    assert not allow_list.allows(TWO.encode(), Role.CONTROL)
    assert allow_list.may_connect(ONE.encode(), Role.CONTROL)
    assert allow_list.may_connect(TWO.encode(), Role.CONTROL)
    assert not allow_list.may_connect(TWO.encode(), Role.SUBSCRIBE)


def test_two_keys_of_one_name_are_warned_of(path: Path) -> None:
    path.write_text(f"{ONE} subscribe desk\n{TWO} subscribe desk\n")
    (text,) = read_clients(path).warnings
    assert "line 2: desk is the name of another key" in text


def test_sources_that_are_called_have_streams_too(path: Path) -> None:
    path.write_text(f"tcp://10.0.0.7:5555 {ONE} bed-7\n")
    found = read_servers(path)
    assert found.warnings == ()
    assert found.servers["tcp://10.0.0.7:5555"].streams.match(b"ecg.bed-7")
    assert not found.servers["tcp://10.0.0.7:5555"].streams.match(b"ecg.bed-8")


# --- who could have written it --------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646, 0o620])
def test_a_list_that_others_may_write_is_refused(path: Path, mode: int) -> None:
    for read in (read_clients, read_servers):
        path.write_text("")
        path.chmod(mode)
        with pytest.raises(StartError, match="others may write it") as caught:
            read(path)
        assert f"chmod go-w {path}" in str(caught.value)
        path.chmod(0o644)
        read(path)


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_list_that_others_may_replace_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "clients").write_text("")
    folder.chmod(mode)
    (tmp_path / "link").symlink_to(folder / "clients")
    for file in (folder / "clients", tmp_path / "link"):
        with pytest.raises(StartError, match="others may replace it"):
            read_clients(file)
    folder.chmod(0o1777)  # as /tmp: what is somebody's, nobody else may replace
    read_clients(folder / "clients")


def test_a_list_is_refused_if_others_may_replace_a_folder_or_link_on_the_way(
    tmp_path: Path,
) -> None:
    loose = tmp_path / "loose"
    folder = loose / "sub"
    folder.mkdir(parents=True)
    (folder / "clients").write_text("")
    (tmp_path / "clients").write_text("")
    (loose / "link").symlink_to(tmp_path / "clients")
    (loose / "up").symlink_to("../loose/sub/../..")
    loose.chmod(0o777)
    ways = (folder / "clients", loose / "link", loose / "up" / "clients")
    for way in ways:
        with pytest.raises(StartError, match=f"may write the folder {loose}"):
            read_clients(way)
    loose.chmod(0o755)
    for way in ways:
        read_clients(way)


def test_other_files_that_others_may_change_are_told(tmp_path: Path) -> None:
    good, loose = tmp_path / "good", tmp_path / "loose"
    for file in (good, loose):
        file.write_text("")
    loose.chmod(0o666)
    (told,) = distrusted((None, good, loose, tmp_path / "missing", tmp_path))
    assert told.startswith(f"{loose}: others may write it")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away, which only root can")
def test_a_list_is_refused_if_a_folder_or_link_on_the_way_is_somebody_elses(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "of-nobody"
    folder.mkdir()
    (folder / "clients").write_text("")
    link = tmp_path / "link"
    link.symlink_to(folder / "clients")
    os.chown(folder, 65_534, 65_534)
    for way in (folder / "clients", link):
        with pytest.raises(StartError, match=f"the folder {folder} belongs to user 65534"):
            read_clients(way)
    os.chown(folder, 0, 0)
    os.chown(link, 65_534, 65_534, follow_symlinks=False)
    with pytest.raises(StartError, match=f"the link {link} belongs to user 65534"):
        read_clients(link)


def test_links_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nothing").symlink_to("missing")
    for name in ("loop", "nothing", "absent"):
        with pytest.raises(StartError, match="cannot be read"):
            read_clients(tmp_path / name)


def test_only_a_newline_ends_a_line(path: Path) -> None:
    """Else a comment could hide an entry from whoever looks at the list."""
    hidden = f"{ONE} ingest evil *"
    path.write_text("".join(f"# said{end}{hidden}\n" for end in "\u2028\u2029\x85\x0b\x0c\x1c\r"))
    assert not read_clients(path).clients
    path.write_bytes(f"{ONE} ingest bed-7 bed-7\r\n".encode())
    assert read_clients(path).clients[ONE.encode()].streams.patterns == ("bed-7",)


def test_a_last_line_that_does_not_end_may_say_something_else_than_was_meant(path: Path) -> None:
    """Cut at the right place, it is a line of the list, with other rights."""
    path.write_text(f"{ONE} ingest bed-12 bed-12\n"[:-2])
    found = read_clients(path)
    assert found.cut_short
    assert "its last line does not end" in found.warnings[0]
    path.write_text(f"{ONE} ingest bed-12 bed-12\n")
    assert not read_clients(path).cut_short


def test_a_list_of_somebody_else_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("")
    owner = path.stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    if owner == 0:
        read_clients(path)  # root's: it may write everything anyway
        try:
            os.chown(path, 4242, -1)
        except OSError:
            pytest.skip("this user cannot give a file away")
    with pytest.raises(StartError, match=r"it belongs to user \d+"):
        read_clients(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        with pytest.raises(StartError, match="cannot be read"):
            read_clients(path)


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
    allow_list, known = read_clients(path), read_servers(servers)
    warnings = (*allow_list.warnings, *known.warnings)
    assert found == Credentials(key, allow_list, {bed: Server(TWO.encode())}, warnings)
