"""The shipped units under a real systemd: start, reload, stop, and what goes wrong."""

import os
import re
import shutil
from pathlib import Path
from time import monotonic

import pytest

from tests.systemd.conftest import MISSING, Booted, Unit

DYNAMIC = range(61184, 65520)  # users that systemd makes (systemd.exec(5), DynamicUser=)
BIN = "/opt/beatgan/bin/beatgan-daemon"


def user_of(unit: Unit) -> int:
    """The user that its main process runs as."""
    status = (unit.booted.root / "proc" / unit.show("MainPID") / "status").read_text()
    found = re.search(r"^Uid:\s+(\d+)", status, re.MULTILINE)
    assert found is not None
    return int(found[1])


def settings_of(unit: Unit) -> Path:
    return unit.booted.root / "etc/beatgan/daemon.toml"


def test_it_starts_as_shipped_by_a_user_without_a_home(started: Unit) -> None:
    assert started.show("ActiveState") == "active"  # after READY=1, which start waited for
    assert started.show("StatusText") == "ready, no stream yet"
    assert started.show("NRestarts") == "0"
    user = user_of(started)
    assert user in DYNAMIC
    started.note(f"READY; {started.state()}")
    started.note(f"DynamicUser: user {user}, in no list, without a home")
    root = started.booted.root
    for folder in ("var/lib/private/beatgan", "var/cache/private/beatgan"):
        status = (root / folder).stat()
        assert (status.st_uid, status.st_mode & 0o777) == (user, 0o700)
    assert (root / "var/lib/private/beatgan/journal.db").stat().st_uid == user
    started.note(f"StateDirectory: {', '.join(os.listdir(root / 'var/lib/private/beatgan'))}")
    ready = next(line for line in started.logged() if line["event"] == "ready")
    assert ready["state"] == "/var/lib/beatgan"
    assert "compiled code is not kept" not in started.events()


def test_it_can_write_nothing_but_its_own_directories(started: Unit) -> None:
    """Not even root could, where it is."""
    where = ("nsenter", "--target", started.show("MainPID"), "--mount", "touch")
    for folder in ("/etc/beatgan", "/opt/beatgan", "/usr", "/var/lib", "/var/cache"):
        said = started.booted.run(*where, f"{folder}/new", fails=True)
        assert "Read-only file system" in said
        started.note(f"ProtectSystem=strict: {said.strip()}")
    for folder in ("/var/lib/beatgan", "/var/cache/beatgan"):
        started.booted.run(*where, f"{folder}/new")
        started.booted.run(*where[:-1], "rm", f"{folder}/new")


def test_it_compiles_and_keeps_what_was_not_compiled_at_the_installation(unit: Unit) -> None:
    """One function; a second start compiles nothing."""
    cache = unit.booted.root / "var/cache/private/beatgan/beatgan"
    shutil.rmtree(cache, ignore_errors=True)  # from other tests' starts
    unit.systemctl("start")
    (kept,) = cache.glob("compiled-*/*")
    assert kept.name.startswith(MISSING)
    assert kept.stat().st_uid == user_of(unit)
    assert unit.events().count("compiled") == 1
    unit.note(f"compiled and kept: {kept.name}")
    unit.systemctl("stop")
    unit.systemctl("start")
    assert unit.events().count("compiled") == 1
    unit.note("nothing was compiled")


def test_a_reload_is_done_when_systemctl_returns(started: Unit) -> None:
    settings = settings_of(started)
    process = started.show("MainPID")
    settings.write_text(settings.read_text().replace("\nsize = 256", "\nsize = 64"))
    started.systemctl("reload")
    assert "reloaded" in started.events()
    assert started.show("StatusText") == "reload applied"
    assert started.show("MainPID") == process


def test_a_reload_that_is_refused_fails(started: Unit) -> None:
    settings = settings_of(started)
    process = started.show("MainPID")
    settings.write_text(settings.read_text().replace("\nsize = 256", "\nsize = 0"))
    started.systemctl("reload", fails=True)
    assert started.events("err") == ["reload refused"]  # and `ready` is no error
    assert "ready" in started.events()
    assert started.show("ActiveState") == "active"
    assert started.show("MainPID") == process
    refused = next(line for line in started.logged("err"))
    started.note(f"reload refused: {refused['why']}; {started.state()}")


def test_a_hangup_while_it_starts_does_not_end_it(unit: Unit) -> None:
    unit.systemctl("start", "--no-block")
    unit.until("a process", lambda: unit.show("MainPID") != "0")
    unit.systemctl("kill", "--signal=HUP")
    unit.until("ready", lambda: unit.show("ActiveState") == "active")


def test_its_status_says_how_it_goes_and_it_stops_within_5_s(started: Unit) -> None:
    source = started.booted.start(
        *(BIN, "replay", "sample", "--connect", "tcp://127.0.0.1:5555", "--speed", "20", "--loop")
    )
    try:
        started.until("a stream", lambda: started.show("StatusText").startswith("1 stream"))
        began = monotonic()
        started.systemctl("stop")
        assert monotonic() - began < 5
    finally:
        source.kill()
        source.wait()
    assert started.show("Result") == "success"
    assert started.events()[-1] == "stopped"


def test_after_a_kill_it_is_there_again(started: Unit) -> None:
    started.systemctl("kill", "--signal=KILL")
    started.until("again", lambda: started.show("NRestarts") == "1")
    started.until("active", lambda: started.show("ActiveState") == "active")
    assert started.events().count("ready") == 2


def test_the_watchdog_ends_one_that_hangs(unit: Unit) -> None:
    """With 4 s in the place of 30."""
    unit.drop_in("watchdog", "[Service]\nWatchdogSec=4\n")
    unit.systemctl("start")
    unit.systemctl("kill", "--signal=STOP")
    unit.until("again", lambda: unit.show("NRestarts") == "1")
    unit.until("active", lambda: unit.show("ActiveState") == "active")
    said = [str(line["MESSAGE"]) for line in unit.journal()]
    unit.note(next(each for each in said if "Watchdog timeout" in each))


def test_what_cannot_start_is_not_started_again(unit: Unit) -> None:
    settings_of(unit).write_text("nonsense = 1\n")
    unit.systemctl("start", fails=True)
    assert unit.show("ExecMainStatus") in ("2", "3")
    assert unit.show("NRestarts") == "0"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("SystemCallFilter=~sched_setscheduler", "ZeroMQ needs the system call sched_setscheduler"),
        ("RestrictAddressFamilies=~AF_NETLINK", "ZeroMQ needs sockets of the family AF_NETLINK"),
        ("MemoryDenyWriteExecute=yes", "needs memory that is writable and executable"),
        ("LimitNOFILE=32", "more files may be opened"),
    ],
)
def test_what_the_unit_forbids_is_said_in_a_line(unit: Unit, line: str, words: str) -> None:
    """Without that, a library aborts, and systemd tries again in vain."""
    unit.drop_in("forbidden", f"[Service]\n{line}\n")
    unit.systemctl("start", fails=True)
    assert unit.show("ExecMainStatus") == "3"
    texts = [str(each["MESSAGE"]) for each in unit.journal()]
    assert any(text.startswith("beatgan-daemon: ") and words in text for text in texts)
    assert not any("Traceback" in text for text in texts)


def test_a_key_comes_as_a_credential(unit: Unit) -> None:
    booted = unit.booted
    booted.run(BIN, "keygen", "/etc/beatgan/daemon")
    words = booted.run(BIN, "keygen", "/etc/beatgan/reader", "--role", "control")
    (booted.root / "etc/beatgan/daemon.clients").write_text(words.splitlines()[-1] + "\n")
    key = booted.root / "etc/beatgan/daemon.key_secret"
    assert (key.stat().st_uid, key.stat().st_mode & 0o077) == (0, 0)
    keys_conf = Path(__file__).parents[2] / "systemd/beatgan-daemon.service.d/keys.conf"
    unit.drop_in("keys", keys_conf.read_text())
    unit.systemctl("start")
    ready = next(line for line in unit.logged() if line["event"] == "ready")
    assert ready["encrypted"] is True
    credential = booted.root / "run/credentials/beatgan-daemon.service/beatgan.key_secret"
    assert credential.read_bytes() == key.read_bytes()
    unit.note("LoadCredential: encrypted, with the key that root alone can read in /etc")
    keys = ("--key", "/etc/beatgan/reader.key_secret", "--server-key", "/etc/beatgan/daemon.key")
    booted.run(BIN, "alerts", *keys)
    unit.systemctl("reload")
    for each in booted.root.glob("etc/beatgan/*.key*"):
        each.unlink()


def test_two_instances_side_by_side(booted: Booted) -> None:
    units = [Unit(booted, f"beatgan-daemon@{name}") for name in ("east", "west")]
    try:
        booted.run("systemctl", "start", *(unit.name for unit in units))
        users = {user_of(unit) for unit in units}
        assert len(users) == 2
        for unit, name in zip(units, ("east", "west"), strict=True):
            ready = next(line for line in unit.logged() if line["event"] == "ready")
            assert ready["state"] == f"/var/lib/beatgan-{name}"
            unit.note(f"user {user_of(unit)}, {ready['state']}, {ready['ingest']}")
            unit.systemctl("reload")
        for unit in units:
            booted.run(BIN, "alerts", "--connect", f"tcp://127.0.0.1:{control_port(unit)}")
    finally:
        for unit in units:
            unit.reset()


def test_two_shards_of_one_directory_move_a_bucket(booted: Booted) -> None:
    units = [Unit(booted, f"beatgan-daemon@{name}") for name in ("east", "west")]
    for file, line in (("passwd", "shards:x:990:990::/:/bin/sh"), ("group", "shards:x:990:")):
        with (booted.root / "etc" / file).open("a") as users:
            users.write(f"beatgan-{line}\n")
    directory = "/var/lib/beatgan-shards"
    booted.run("install", "-d", "-m", "700", "-o", "990", "-g", "990", directory)
    user = ("setpriv", "--reuid=990", "--regid=990", "--clear-groups")

    def shards(*words: str) -> str:
        return booted.run(*user, BIN, "shards", *words, "--dir", directory)

    files = [booted.root / f"etc/beatgan/{name}.toml" for name in ("east", "west")]
    before = {file: file.read_text() for file in files}
    shard_conf = Path(__file__).parents[2] / "systemd/beatgan-daemon@.service.d/shard.conf"
    try:
        shards("init", "east", "west")
        for unit, own in zip(units, files, strict=True):
            own.write_text(re.sub(r"^(buckets|dir) =.*", "", before[own], flags=re.MULTILINE))
            unit.drop_in("shard", shard_conf.read_text())
        booted.run("systemctl", "start", *(unit.name for unit in units))
        for unit, name in zip(units, ("east", "west"), strict=True):
            ready = next(line for line in unit.logged() if line["event"] == "ready")
            assert (user_of(unit), ready["state"]) == (990, f"{directory}/{name}")
        found = re.findall(r"^(east|west) +running +128 ", shards("show"), re.MULTILINE)
        assert found == ["east", "west"]
        shards("move", "00", "--to", "west")
        east, west = units
        east.until("let go", lambda: "bucket handed over" in east.events())
        west.until("taken", lambda: "bucket taken over" in west.events())
    finally:
        for unit, own in zip(units, files, strict=True):
            unit.reset()
            own.write_text(before[own])


def control_port(unit: Unit) -> str:
    ready = next(line for line in unit.logged() if line["event"] == "ready")
    return str(ready["control"]).rpartition(":")[2]
