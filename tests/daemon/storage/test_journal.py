"""The journal: on the disk before anything is sent, whatever disk, file or process do."""

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest

from beatgan.protocol.alert_journal import JournalEntry, JournalUnavailableError
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.storage import journal as journalling
from beatgan_daemon.storage import sqlite
from beatgan_daemon.storage.journal import DAY_NS, Journal
from beatgan_daemon.storage.spool_file import Spooled, SpoolFile
from tests.support.files import NO_FILES, make

NOW = 1_790_000_000 * 10**9


class Reports(list[str]):
    """What an operator was told."""

    def __call__(self, text: str) -> None:
        self.append(text)


class Running:
    """A clock that nobody sets."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def running() -> Running:
    return Running()


@pytest.fixture
def reported() -> Reports:
    return Reports()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path, reported: Reports, running: Running) -> Iterator[Journal]:
    journal = new_journal(path, reported, running_ns=running)
    yield journal
    journal.close()


def new_journal(path: Path | None, report: Reports, **overrides: Any) -> Journal:
    """One that waits for a slow disk, so that what it is asked for is done when it returns."""
    return Journal(path, report, **{"wait_s": 20.0, **overrides})


def entry(n: int, episode: str = "", phase: str = "start", size: int = 0) -> JournalEntry:
    body = b'{"n":%d,"pad":"%s"}' % (n, b"x" * size)
    return JournalEntry(n, episode or f"bed/{n}", "bed", phase, body)


def write(journal: Journal, *entries: JournalEntry, **states: bytes | None) -> None:
    journal.append(entries, states, NOW)


def numbers(journal: Journal, since: int = 0, limit: int = 10**6) -> list[int]:
    return [n for n, _ in journal.since(since, limit)]


def ids(journal: Journal) -> list[str]:
    return [entry.id for entry in journal.active()]


def fill_up(journal: Journal) -> None:
    """From now on the disk is full, as far as SQLite can tell."""
    assert journal._file.tables is not None
    (pages,) = journal._file.tables.database.execute("PRAGMA page_count").fetchone()
    journal._file.tables.database.execute(f"PRAGMA max_page_count = {pages}")


def retry(journal: Journal) -> bool:
    """One attempt to write what waits, with its outcome; whether there is more to do at once."""
    more = journal.retry_backlog(NOW)
    while journal._call is not None:
        wait([journal._call.future], 20.0)
        more = journal.retry_backlog(NOW)
    return more


def has_spool(journal: Journal) -> bool:
    """Whether its spool is on the disk, once the spool's own thread has done all it was given."""
    assert journal._spool is not None
    journal._spool._thread.submit(lambda: None).result(20.0)
    return journal._spool.path.exists()


def make_room(journal: Journal) -> None:
    assert journal._file.tables is not None
    journal._file.tables.database.execute("PRAGMA max_page_count = 1073741823")


def test_what_is_appended_is_there_after_a_restart(path: Path, reported: Reports) -> None:
    first = new_journal(path, reported)
    assert (first.next_n, first.oldest, first.states()) == (0, 0, [])
    write(first, entry(0, "a"), entry(1, "b"), entry(2, "a", "update"), bed=b"state")
    write(first, entry(3, "b", "end"))
    first.close()
    again = new_journal(path, reported)
    assert (again.next_n, again.oldest) == (4, 0)
    assert list(again.since(1, 2)) == [(1, entry(1).body), (2, entry(2).body)]
    assert again.active() == (entry(2, "a", "update"),)
    assert again.find("a") == entry(2, "a", "update")
    assert again.find("b") is None
    assert again.states() == [("bed", 3, b"state")]
    again.close()
    assert not reported


def test_the_journal_in_memory_needs_no_file(reported: Reports) -> None:
    journal = new_journal(None, reported)
    write(journal, entry(0))
    assert numbers(journal) == [0]
    journal.close()


def test_active_episodes_are_in_order_of_their_last_alert(journal: Journal) -> None:
    write(journal, entry(0, "a"), entry(1, "b"))
    write(journal, entry(2, "a", "update"))
    assert ids(journal) == ["b", "a"]


def test_an_episode_that_begins_and_ends_at_once_is_not_under_way(
    path: Path, reported: Reports
) -> None:
    journal = new_journal(path, reported)
    write(journal, entry(0, "a"), entry(1, "a", "end"))
    journal.close()
    again = new_journal(path, reported)
    assert not ids(again)
    assert again.next_n == 2
    again.close()


def test_a_forgotten_stream_has_no_state(journal: Journal) -> None:
    write(journal, bed=b"state", other=b"state")
    write(journal, bed=None)
    assert [state.stream for state in journal.states()] == ["other"]


def test_closing_writes_what_waits_once(path: Path, journal: Journal, reported: Reports) -> None:
    fill_up(journal)
    write(journal, entry(0, size=9000))
    make_room(journal)
    journal.close()
    journal.close()
    assert len(reported) == 2
    again = new_journal(path, reported)
    assert numbers(again) == [0]
    again.close()


def test_a_second_daemon_is_kept_off(journal: Journal, path: Path, reported: Reports) -> None:
    with pytest.raises(StartError, match="in use by another daemon"):
        new_journal(path, reported)


def test_a_journal_of_a_later_version_is_refused(path: Path, reported: Reports) -> None:
    new_journal(path, reported).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StartError, match="tables are of version 99"):
        new_journal(path, reported)
    new_journal(path.with_name("other.db"), reported).close()  # nothing is left locked


def test_a_missing_directory_is_named(tmp_path: Path, reported: Reports) -> None:
    with pytest.raises(StartError, match=r"nowhere/journal\.n"):
        new_journal(tmp_path / "nowhere" / "journal.db", reported)


# --- a kill -------------------------------------------------------------------------------------

APPEND = """
import sys
from pathlib import Path
from beatgan_daemon.storage.journal import Journal
from beatgan.protocol.alert_journal import JournalEntry, JournalUnavailableError
journal = Journal(Path(sys.argv[1]), lambda text: None, wait_s=20.0)
for n in range(journal.next_n, 10**9):
    body = b'{"n":%d}' % n
    phase = ("start", "update", "end")[n % 3]
    journal.append([JournalEntry(n, f"e{n // 3}", "bed", phase, body)], {"bed": b"%d" % n}, n)
    print(n, flush=True)  # sent
"""


def test_nothing_that_was_sent_is_missing_after_a_kill(path: Path, reported: Reports) -> None:
    sent: list[int] = []
    for lines in (1, 7, 40, 100):
        command = [sys.executable, "-c", APPEND, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            sent += [int(child.stdout.readline()) for _ in range(lines)]
            child.send_signal(signal.SIGKILL)
            sent += [int(line) for line in child.stdout.read().split()]
        journal = new_journal(path, reported)
        stored = list(journal.since(0, 10**6))
        assert [n for n, _ in stored] == list(range(journal.next_n))  # no hole, none twice
        assert all(body == b'{"n":%d}' % n for n, body in stored)
        assert journal.next_n - sent[-1] in (1, 2)  # the last may be kept and not sent
        assert journal.states() == [("bed", journal.next_n, b"%d" % (journal.next_n - 1))]
        assert len(journal.active()) == (journal.next_n % 3 > 0)
        journal.close()
    assert sent == sorted(set(sent))
    assert not reported


# --- a full disk --------------------------------------------------------------------------------


def test_a_full_disk_holds_nothing_up_and_is_made_up_for(
    path: Path, journal: Journal, reported: Reports
) -> None:
    write(journal, entry(0, "a"))
    fill_up(journal)
    for n in range(1, 50):
        write(journal, entry(n, size=2000), bed=b"%d" % n)
    assert "full" in str(journal.trouble)
    assert journal.failures == 1
    assert numbers(journal) == list(range(50))  # whoever asks gets those that wait, too
    assert numbers(journal, since=48) == [48, 49]
    assert len(reported) == 1
    assert "cannot be written, alerts wait in memory: database or disk is full" in reported[0]
    retry(journal)
    assert journal.failures == 2
    assert journal.backlog > 0
    make_room(journal)
    assert not retry(journal)
    assert journal.trouble is None
    assert (journal.backlog, journal.unjournaled) == (0, 0)
    assert reported[1].startswith("the journal is written again")
    write(journal, entry(50, "a", "end"))
    journal.close()
    again = new_journal(path, reported)
    assert numbers(again) == list(range(51))
    assert again.states() == [("bed", 50, b"49")]
    assert len(again.active()) == 49
    again.close()
    assert len(reported) == 2


def test_a_long_backlog_is_written_in_several_steps(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journalling, "AT_ONCE", 10)
    fill_up(journal)
    write(journal, *(entry(n, size=500) for n in range(35)), bed=b"state")
    make_room(journal)
    steps = 1
    while retry(journal):
        steps += 1
    assert steps == 4
    assert numbers(journal) == list(range(35))
    assert journal.states() == [("bed", 35, b"state")]


def test_the_backlog_is_bounded_and_what_it_loses_is_counted(
    path: Path, journal: Journal, reported: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journalling, "BACKLOG_BYTES", 10_000)
    write(journal, entry(0, "a"))
    fill_up(journal)
    write(journal, entry(1, "a", "end", size=9000))
    for n in range(2, 12):
        write(journal, entry(n, size=3000))
    assert journal.unjournaled == 8
    make_room(journal)
    retry(journal)
    assert "written again, 8 alerts are missing in it" in reported[-1]
    assert numbers(journal) == [0, 9, 10, 11]
    journal.close()
    again = new_journal(path, reported)
    assert "a" not in ids(again)  # though its end was lost
    assert len(ids(again)) == 10  # and these, though their start was
    again.close()


def test_numbers_are_not_used_twice_after_a_kill_with_a_full_disk(
    path: Path, reported: Reports
) -> None:
    journal = new_journal(path, reported)
    write(journal, entry(0))
    fill_up(journal)
    write(journal, *(entry(n, size=9000) for n in range(1, 6)))
    assert journal.backlog == 5
    copy = path.with_name("copy.db")  # as a kill would leave it
    for suffix in (".db", ".db-wal", ".n"):
        copy.with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    again = new_journal(copy, reported)
    assert numbers(again) == [0]
    assert again.next_n == 6
    again.close()
    make_room(journal)
    journal.close()


def test_a_disk_that_is_full_at_the_start_does_not_keep_the_daemon_from_starting(
    path: Path, reported: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_journal(path, reported).close()

    def full(path: Path | None) -> sqlite3.Connection:
        with sqlite3.connect(":memory:") as small:
            small.execute("PRAGMA max_page_count = 1")
            small.execute("CREATE TABLE too_much (a)")
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "open_database", full)
        journal = new_journal(path, reported)
        assert "full" in str(journal.trouble)
        write(journal, entry(0))
        assert numbers(journal) == [0]
        assert journal.oldest == 0
    retry(journal)
    assert journal.trouble is None
    assert numbers(journal) == [0]
    journal.close()


# --- a damaged file -----------------------------------------------------------------------------


def scratch(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(os.urandom(length))


def filled(path: Path, reported: Reports) -> None:
    journal = new_journal(path, reported)
    write(journal, *(entry(n, size=400) for n in range(300)))
    journal.close()


@pytest.mark.parametrize(("start", "length"), [(0, 100), (4096, 30_000), (50_000, 5_000)])
def test_a_damaged_file_is_set_aside_and_numbers_go_on(
    path: Path, reported: Reports, start: int, length: int
) -> None:
    filled(path, reported)
    scratch(path, start, length)
    damaged = path.read_bytes()
    journal = new_journal(path, reported)
    assert journal.next_n == 300
    assert numbers(journal) == []
    (aside,) = path.parent.glob("journal.db.damaged-*Z")
    assert aside.read_bytes() == damaged
    (line,) = reported
    assert "was damaged" in line
    assert str(aside) in line
    write(journal, entry(300))
    assert numbers(journal) == [300]
    journal.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE alerts",
        "DROP TABLE active",
        "ALTER TABLE alerts DROP COLUMN body",
        "UPDATE alerts SET n = 9223372036854775807 WHERE n = 299",
        "UPDATE active SET n = 9223372036854775807 WHERE n = 299",
        "INSERT INTO running_time VALUES (9223372036854775807, 0)",
    ],
)
def test_a_file_that_sqlite_takes_and_we_cannot_is_set_aside(
    path: Path, reported: Reports, statement: str
) -> None:
    """Bits change unseen, and others have SQLite, too."""
    filled(path, reported)
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()
    journal = new_journal(path, reported)
    write(journal, entry(300))
    retry(journal)
    retry(journal)
    journal.retain(30.0, 256.0)
    assert len([*path.parent.glob("journal.db.damaged-*Z")]) == 1
    assert journal.trouble is None
    assert numbers(journal) == [300]
    journal.close()


@pytest.mark.parametrize("text", ["99999999999999999999\n", "9007199254740993", "junk", "-5", ""])
def test_a_number_that_nobody_wrote_is_not_counted_on(
    path: Path, reported: Reports, text: str
) -> None:
    filled(path, reported)
    path.with_suffix(".n").write_text(text)
    journal = new_journal(path, reported)
    assert journal.next_n == 300
    write(journal, entry(300))
    assert journal.trouble is None
    journal.close()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", NO_FILES)
def test_what_lies_in_place_of_the_file_that_waits_keeps_nobody_waiting(
    path: Path, reported: Reports, what: str
) -> None:
    spool = path.with_suffix(".spool")
    spool.touch()
    replace(spool, what)
    journal = new_journal(path, reported)
    fill_up(journal)
    for n in range(3):
        write(journal, entry(n, size=9000))
    assert numbers(journal) == [0, 1, 2]
    make_room(journal)
    retry(journal)
    assert journal.trouble is None
    journal.close()


@pytest.mark.parametrize("companion", ["-wal", "-shm"])
def test_what_is_no_file_beside_the_database_is_set_aside(
    path: Path, reported: Reports, companion: str
) -> None:
    filled(path, reported)
    path.with_name(path.name + companion).mkdir()
    journal = new_journal(path, reported)
    assert journal.next_n == 300
    write(journal, entry(300))
    assert journal.trouble is None
    journal.close()


def test_damage_after_damage_keeps_both_files(path: Path, reported: Reports) -> None:
    for _ in range(2):
        path.write_bytes(b"no database" * 100)
        new_journal(path, reported, now_ns=lambda: NOW).close()
    assert len(list(path.parent.glob("journal.db.damaged-*"))) == 2


def test_damage_while_running_loses_no_episode_under_way(
    path: Path, reported: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, reported)
    journal = new_journal(path, reported)
    scratch(path, 4096, path.stat().st_size - 4096)
    assert journal._file.tables is not None
    journal._file.tables.database.execute("PRAGMA shrink_memory")  # what was read before
    with pytest.raises(JournalUnavailableError, match="malformed"):
        list(journal.since(0, 1000))  # somebody asks, and the damage is found
    assert "malformed" in str(journal.trouble)
    write(journal, entry(300, "late"), bed=b"state")
    retry(journal)
    assert journal.trouble is None
    assert numbers(journal) == [300]
    journal.close()
    again = new_journal(path, reported)
    assert len(again.active()) == 301
    assert again.states() == [("bed", 301, b"state")]
    assert again.next_n == 301
    again.close()
    assert [line.split(":")[0].split("(")[0] for line in reported] == [
        "the journal was damaged ",
        "the journal cannot be written, alerts wait in memory",
        "the journal is written again; it was not, because",
    ]


def test_what_waits_when_damage_is_found_is_kept_at_the_end(path: Path, reported: Reports) -> None:
    filled(path, reported)
    journal = new_journal(path, reported)
    scratch(path, 4096, path.stat().st_size - 4096)
    assert journal._file.tables is not None
    journal._file.tables.database.execute("PRAGMA shrink_memory")
    with pytest.raises(JournalUnavailableError):
        list(journal.since(0, 1000))
    write(journal, entry(300))
    journal.close()
    again = new_journal(path, reported)
    assert numbers(again) == [300]
    again.close()


# --- retention ----------------------------------------------------------------------------------


def pruned(journal: Journal, days: float, mb: float) -> None:
    for _ in range(1000):
        if not journal.retain(days, mb):
            return
    pytest.fail("there is always more to delete")


def test_old_alerts_go_a_few_at_a_time(journal: Journal, running: Running) -> None:
    for first in range(0, 1200, 20):  # few commits: a disk may be slow
        running.ns = first * DAY_NS // 100
        write(journal, *(entry(n) for n in range(first, first + 20)))
        journal.retain(20.0, 100.0)
    running.ns = 12 * DAY_NS
    assert journal.retain(1.0, 100.0)
    assert journal.oldest == 500
    pruned(journal, 1.0, 100.0)
    assert numbers(journal) == list(range(1120, 1200))
    assert journal.oldest == 1120
    assert journal.deleted == {"age": 1120}
    assert len(journal.active()) == 1200  # whose last alert is not gone
    assert not journal.retain(1.0, 100.0)


@pytest.mark.parametrize("jump_days", [60, -60, -20_000])
def test_a_clock_that_jumps_deletes_nothing(
    path: Path, reported: Reports, running: Running, jump_days: int
) -> None:
    """Whether it is right, before or afterwards, and whether it jumps back or not."""
    journal = new_journal(path, reported, running_ns=running)
    for n, at in enumerate((NOW, NOW + jump_days * DAY_NS, NOW)):
        journal.append([entry(n)], {}, at)
        running.ns += 10**9
        assert not journal.retain(30.0, 100.0)
    journal.close()
    again = new_journal(path, reported, running_ns=running, now_ns=lambda: NOW + 10**19)
    assert not again.retain(30.0, 100.0)
    assert numbers(again) == [0, 1, 2]
    again.close()


def test_age_is_the_time_that_the_daemon_ran_over_restarts(path: Path, reported: Reports) -> None:
    """A day at a time, with a monotonic clock that begins anew with each."""
    for n in range(5):
        running = Running()
        journal = new_journal(path, reported, running_ns=running)
        journal.append([entry(n)], {}, NOW)
        for _ in range(25):
            pruned(journal, 2.0, 100.0)
            running.ns += 3600 * 10**9
        journal.close()
    again = new_journal(path, reported, running_ns=Running())
    assert again.next_n == 5
    assert numbers(again) in ([2, 3, 4], [3, 4])
    again.close()


def test_alerts_of_a_journal_from_before_age_from_now_on(path: Path, reported: Reports) -> None:
    """Nobody knows how old they are."""
    journal = new_journal(path, reported)
    write(journal, entry(0), entry(1))
    journal.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE running_time")
    running = Running()
    again = new_journal(path, reported, running_ns=running)
    assert not again.retain(1.0, 100.0)
    running.ns = DAY_NS // 2
    write(again, entry(2))
    assert not again.retain(1.0, 100.0)
    assert numbers(again) == [0, 1, 2]
    running.ns = DAY_NS
    pruned(again, 1.0, 100.0)
    assert numbers(again) == [2]
    again.close()


def test_the_file_stays_within_its_size(path: Path, journal: Journal) -> None:
    phases = ("start", "end")
    for first in range(0, 6000, 100):
        some = range(first, first + 100)
        write(journal, *(entry(n, f"e{n // 2}", phases[n % 2], size=1500) for n in some))
        if first % 300 == 0:
            pruned(journal, 30.0, 2.0)
    pruned(journal, 30.0, 2.0)
    assert journal.bytes <= 2.2 * 2**20
    assert numbers(journal)[-1] == 5999
    assert 500 < len(numbers(journal)) < 1500
    journal.close()
    assert path.stat().st_size <= 2.2 * 2**20


def test_in_memory_there_is_a_limit_of_its_own(reported: Reports) -> None:
    journal = new_journal(None, reported)
    write(journal, *(entry(n, "one", "update", size=2000) for n in range(20_000)))
    pruned(journal, 30.0, 1000.0)
    assert journal.bytes <= journalling.IN_MEMORY_MB * 2**20
    assert numbers(journal)[-1] == 19_999
    journal.close()


def test_a_smaller_limit_shrinks_the_file(path: Path, journal: Journal) -> None:
    write(journal, *(entry(n, "one", "update", size=1500) for n in range(6000)))
    pruned(journal, 30.0, 1.0)
    journal.close()
    assert path.stat().st_size <= 2**20


def test_a_hundred_thousand_alerts_slow_neither_start_nor_alert(
    path: Path, reported: Reports
) -> None:
    journal = new_journal(path, reported)
    for first in range(0, 100_000, 5_000):
        batch = [
            entry(n, f"e{n // 2}", ("start", "end")[n % 2], 300) for n in range(first, first + 5000)
        ]
        write(journal, *batch)
    write(journal, entry(100_000, "last"))
    journal.close()
    again = new_journal(path, reported)
    assert ids(again) == ["last"]
    assert again.next_n == 100_001
    assert numbers(again, since=99_999) == [99_999, 100_000]
    assert numbers(again, since=50_000, limit=3) == [50_000, 50_001, 50_002]
    plan = again._file.tables.database.execute if again._file.tables else pytest.fail("no ledger")
    for query in (
        "SELECT n, body FROM alerts WHERE n >= 5 ORDER BY n LIMIT 9",
        "SELECT n FROM alerts WHERE n < 5 ORDER BY n LIMIT 9",
        "SELECT min(n) FROM alerts",
    ):
        steps = [row[3] for row in plan(f"EXPLAIN QUERY PLAN {query}")]
        assert not any("TEMP B-TREE" in step for step in steps), steps
    again.close()


# --- a slow disk --------------------------------------------------------------------------------


class Slow:
    """The disk's thread is held up until it is let go."""

    def __init__(self, journal: Journal) -> None:
        self._gate = Event()
        journal._disk.submit(lambda: self._gate.wait(30))

    def let_go(self) -> None:
        self._gate.set()


def test_a_disk_that_hangs_delays_no_alert_for_long_and_only_once(
    path: Path, reported: Reports
) -> None:
    journal = Journal(path, reported, wait_s=0.2)
    write(journal, entry(0))
    slow = Slow(journal)
    began = monotonic()
    write(journal, entry(1))
    assert monotonic() - began < 5.0
    began = monotonic()
    for n in range(2, 200):
        write(journal, entry(n))
    assert monotonic() - began < 10.0  # not 200 times 0.2 s
    assert journal.backlog == 199
    assert path.with_suffix(".n").read_text() == f"{200:020d}\n"  # a kill now costs no number
    slow.let_go()
    retry(journal)
    retry(journal)
    assert journal.backlog == 0
    assert numbers(journal) == list(range(200))
    journal.close()


def test_a_disk_that_hangs_is_told_and_what_waits_is_written_once_it_goes_on(
    path: Path, reported: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journalling, "STALLED_S", 0.05)
    journal = Journal(path, reported, wait_s=0.1)
    write(journal, entry(0, "a", "update"))
    slow = Slow(journal)
    write(journal, entry(1, "a", "update"), bed=b"state")
    with pytest.raises(JournalUnavailableError):
        numbers(journal)
    assert journal.retry_backlog(NOW)
    assert "has not answered" in str(journal.trouble)
    assert len(reported) == 1
    assert ids(journal) == ["a"]  # what is under way is answered all the same
    write(journal, entry(2, "b"))
    slow.let_go()
    while journal.trouble is not None:
        retry(journal)
    assert "is written again" in reported[-1]
    assert numbers(journal) == [0, 1, 2]
    journal.close()
    again = new_journal(path, reported)
    assert ids(again) == ["a", "b"]
    assert again.states() == [("bed", 2, b"state")]
    again.close()


def test_a_lock_of_somebody_else_costs_no_alert_more_than_a_moment(
    path: Path, reported: Reports
) -> None:
    journal = Journal(path, reported, wait_s=5.0)
    write(journal, entry(0))
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        began = monotonic()
        write(journal, entry(1))
        assert monotonic() - began < 2.0  # SQLite's own patience is 5 s
        assert "locked" in str(journal.trouble)
        assert numbers(journal) == [0, 1]  # who reads is not kept off
        shell.execute("ROLLBACK")
    retry(journal)
    assert journal.trouble is None
    journal.close()


def test_closing_does_not_wait_for_a_disk_that_hangs(
    path: Path, reported: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journalling, "CLOSE_S", 0.2)
    journal = Journal(path, reported, wait_s=0.05)
    slow = Slow(journal)
    write(journal, entry(0), entry(1))
    began = monotonic()
    journal.close()
    assert monotonic() - began < 10.0
    assert journal.unstored() == (0, None, None)
    assert "the next start writes them" in reported[-1]
    assert numbers_after_a_kill(path) == [0, 1]
    slow.let_go()


def numbers_after_a_kill(path: Path) -> list[int]:
    """What the next daemon finds, were this one killed now; it takes a copy of the files."""
    folder = path.parent / "copy"
    folder.mkdir()
    spool = path.with_suffix(".spool")  # first: what leaves it meanwhile is in the journal by then
    with suppress(FileNotFoundError):
        shutil.copy(spool, folder)
    for each in sorted(path.parent.glob(f"{path.stem}.*")):
        if each != spool:
            shutil.copy(each, folder)
    again = new_journal(folder / path.name, Reports())
    found = numbers(again)
    assert again.next_n == (found[-1] + 1 if found else 0)
    assert again.backlog or not has_spool(again)
    again.close()
    shutil.rmtree(folder)
    return found


def test_a_kill_while_the_disk_hangs_loses_nothing_that_was_sent(
    path: Path, reported: Reports
) -> None:
    journal = Journal(path, reported, wait_s=0.05)
    write(journal, entry(0, "a"))
    slow = Slow(journal)
    for n in range(1, 50):
        write(journal, entry(n, "a", "update"), bed=b"%d" % n)
    assert numbers_after_a_kill(path) == list(range(50))
    slow.let_go()
    while journal.backlog:
        retry(journal)
    assert numbers_after_a_kill(path) == list(range(50))
    journal.close()
    again = new_journal(path, reported)
    assert again.states() == [("bed", 50, b"49")]
    assert ids(again) == ["a"]
    again.close()


def test_what_waits_in_the_file_does_not_undo_what_the_journal_has(
    path: Path, reported: Reports
) -> None:
    """A kill after the journal took them, and before the file was removed."""
    journal = new_journal(path, reported)
    write(journal, entry(0, "a"), entry(1, "a", "end"), bed=b"new")
    journal.close()
    waiting = SpoolFile(path.with_suffix(".spool"))
    waiting.add(Spooled([entry(0, "a")], {"bed": b"old"}))
    again = new_journal(path, reported)
    assert numbers(again) == [0, 1]
    assert ids(again) == []
    assert again.states() == [("bed", 2, b"new")]
    again.close()


def test_a_record_that_was_cut_short_ends_the_file_that_waits(path: Path) -> None:
    waiting = SpoolFile(path)
    for n in range(3):
        waiting.add(Spooled([entry(n)], {"bed": None}))
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert [each.entries for each in waiting.read()] == [[entry(0)], [entry(1)]]
    damaged = bytearray(content)
    damaged[20] ^= 1
    path.write_bytes(damaged)
    assert waiting.read() == []
    waiting.clear()
    assert waiting.read() == []


def test_a_daemon_that_cannot_open_its_journal_keeps_what_waits_in_the_file(
    path: Path, reported: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = SpoolFile(path.with_suffix(".spool"))
    waiting.add(Spooled([entry(0, "a"), entry(1, "b")], {"bed": b"state"}))

    def locked(*_: object) -> sqlite3.Connection:
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "open_database", locked)
        journal = new_journal(path, reported)
        assert (journal.next_n, journal.backlog, ids(journal)) == (2, 2, ["a", "b"])
        assert journal.states() == [("bed", 2, b"state")]
    retry(journal)
    assert numbers(journal) == [0, 1]
    assert not has_spool(journal)
    journal.close()


# --- the end ------------------------------------------------------------------------------------


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_a_full_disk_never_took_is_counted_at_the_end_and_its_numbers_are_used_up(
    path: Path, reported: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = new_journal(path, reported)
    fill_up(journal)
    monkeypatch.setattr(SpoolFile, "add", full)
    write(journal, *(entry(n, size=9000) for n in range(5)))
    journal.close()
    assert journal.unstored() == (5, 0, 4)
    again = new_journal(path, reported)
    assert numbers(again) == []
    assert again.next_n == 5
    again.close()
    assert again.unstored() == (0, None, None)


def test_the_number_has_its_place_before_the_disk_is_full(path: Path, reported: Reports) -> None:
    """So that it can be overwritten, which takes no room."""
    journal = new_journal(path, reported)
    assert path.with_suffix(".n").stat().st_size == 21
    journal.close()


def test_a_number_that_cannot_be_put_down_is_told_once(
    path: Path, reported: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = new_journal(path, reported)
    fill_up(journal)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        for n in range(3):
            write(journal, entry(n, size=9000))
    assert sum("may be used again" in text for text in reported) == 1
    make_room(journal)
    retry(journal)
    assert path.with_suffix(".n").read_text() == f"{3:020d}\n"
    journal.close()


# --- a file that is removed ---------------------------------------------------------------------


@pytest.mark.parametrize("how", ["removed", "renamed", "journal.db", "journal.n"])
def test_what_is_removed_while_in_use_is_there_again_with_all_that_it_held(
    path: Path, reported: Reports, how: str
) -> None:
    """The directory as a whole, or one of its files."""
    folder = path.parent / "state"
    folder.mkdir()
    inside = folder / path.name
    journal = new_journal(inside, reported)
    write(journal, *(entry(n, f"e{n}", size=500) for n in range(300)), bed=b"state")
    if how == "removed":
        shutil.rmtree(folder)
    elif how == "renamed":
        folder.rename(path.parent / "elsewhere")
    else:
        (folder / how).unlink()
    write(journal, entry(300, "late"))  # nobody has noticed yet
    retry(journal)
    assert journal.trouble is None
    assert any("removed or replaced while in use" in text for text in reported)
    with pytest.raises(StartError, match="in use by another daemon"):
        new_journal(inside, reported)
    write(journal, entry(301, "later"))
    journal.close()
    again = new_journal(inside, reported)
    assert numbers(again) == list(range(302))
    assert len(again.active()) == 302
    assert again.states() == [("bed", 300, b"state")]
    assert again.next_n == 302
    again.close()


def test_a_file_that_was_moved_leaves_no_log_for_another(path: Path, reported: Reports) -> None:
    """SQLite takes a -wal for that of the database beside it, whosever it is."""
    journal = new_journal(path, reported)
    write(journal, *(entry(n) for n in range(300)))
    path.rename(path.parent / "elsewhere")
    log = path.with_name("journal.db-wal")
    before = log.stat().st_ino
    kept = os.open(log, os.O_RDONLY)  # so that no other file gets its number
    retry(journal)
    write(journal, entry(300))
    assert log.stat().st_ino != before
    os.close(kept)
    journal.close()
    again = new_journal(path, reported)
    assert numbers(again) == list(range(301))
    again.close()


def test_a_file_that_another_put_in_its_place_is_set_aside(path: Path, reported: Reports) -> None:
    journal = new_journal(path, reported)
    write(journal, entry(0))
    path.unlink()
    path.write_bytes(b"of somebody else")
    retry(journal)
    (aside,) = path.parent.glob("journal.db.replaced-*Z")
    assert aside.read_bytes() == b"of somebody else"
    assert numbers(journal) == [0]
    journal.close()


def replace(path: Path, what: str) -> None:
    path.unlink()
    make(path, what)


@pytest.mark.parametrize("file", ["journal.db", "journal.n"])
@pytest.mark.parametrize("what", NO_FILES)
@pytest.mark.parametrize("when", ["running", "stopped"])
def test_what_is_no_file_is_set_aside(
    path: Path, reported: Reports, file: str, what: str, when: str
) -> None:
    journal = new_journal(path, reported)
    write(journal, entry(0), entry(1))
    if when == "running":
        replace(path.with_name(file), what)
        retry(journal)
        assert journal.trouble is None
        assert numbers(journal) == [0, 1]
        journal.close()
    else:
        journal.close()
        replace(path.with_name(file), what)
    again = new_journal(path, reported)
    assert len([*path.parent.glob(f"{file}.replaced-*Z")]) == 1
    assert again.next_n == 2
    write(again, entry(2))
    assert again.trouble is None
    assert again._file.sequence is not None
    assert again._file.sequence.trouble is None
    again.close()
    assert path.with_suffix(".n").read_text() == f"{3:020d}\n"


@pytest.mark.parametrize("how", ["emptied", "removed", "older"])
def test_alerts_that_are_in_no_file_any_more_are_told_at_the_start(
    path: Path, reported: Reports, how: str
) -> None:
    journal = new_journal(path, reported)
    write(journal, entry(0), entry(1))
    journal.close()
    older = path.read_bytes()
    journal = new_journal(path, reported)
    write(journal, *(entry(n) for n in range(2, 10)))
    journal.close()
    assert reported == []
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes(older if how == "older" else b"")
    again = new_journal(path, reported)
    first = 2 if how == "older" else 0
    assert f"{path} lacks the alerts {first} to 9" in reported[0]
    assert again.next_n == 10
    again.close()


def test_alerts_whose_time_was_over_are_not_missed(
    path: Path, reported: Reports, running: Running
) -> None:
    journal = new_journal(path, reported, running_ns=running)
    write(journal, entry(0, "a", "end"), entry(1, "b", "end"))
    pruned(journal, 0.0, 1.0)
    assert numbers(journal) == []
    journal.close()
    new_journal(path, reported).close()
    assert reported == []


def test_where_another_daemon_has_the_directory_by_now_nothing_is_written_into_it(
    path: Path, reported: Reports
) -> None:
    folder = path.parent / "state"
    folder.mkdir()
    journal = new_journal(folder / path.name, reported)
    write(journal, entry(0))
    shutil.rmtree(folder)
    folder.mkdir()
    other = new_journal(folder / path.name, reported)
    write(other, entry(0, "of the other"))
    retry(journal)
    assert "in use by another daemon" in str(journal.trouble)
    write(journal, entry(1))
    assert ids(other) == ["of the other"]
    assert numbers(other) == [0]
    other.close()
    retry(journal)
    assert journal.trouble is None
    assert numbers(journal) == [0, 1]
    journal.close()


def test_a_directory_that_cannot_be_made_again_is_trouble_until_it_can(
    path: Path, reported: Reports
) -> None:
    folder = path.parent / "above" / "state"
    folder.mkdir(parents=True)
    journal = new_journal(folder / path.name, reported)
    write(journal, entry(0))
    shutil.rmtree(folder.parent)
    retry(journal)
    assert journal.trouble is not None
    write(journal, entry(1))
    assert journal.backlog == 1
    folder.parent.mkdir()
    retry(journal)
    assert journal.trouble is None
    journal.close()
    again = new_journal(folder / path.name, reported)
    assert numbers(again) == [0, 1]
    again.close()
