"""The journal: on the disk before anything is sent, whatever disk, file or process do."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from beatgan.protocol.control import JournalEntry
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.storage import journal as journalling
from beatgan_daemon.storage import sqlite
from beatgan_daemon.storage.journal import DAY_NS, Journal

NOW = 1_790_000_000 * 10**9


class Reports(list[str]):
    """What an operator was told."""

    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def reported() -> Reports:
    return Reports()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path, reported: Reports) -> Iterator[Journal]:
    journal = Journal(path, reported)
    yield journal
    journal.close()


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
    assert journal._tables is not None
    (pages,) = journal._tables.database.execute("PRAGMA page_count").fetchone()
    journal._tables.database.execute(f"PRAGMA max_page_count = {pages}")


def make_room(journal: Journal) -> None:
    assert journal._tables is not None
    journal._tables.database.execute("PRAGMA max_page_count = 1073741823")


def test_what_is_appended_is_there_after_a_restart(path: Path, reported: Reports) -> None:
    first = Journal(path, reported)
    assert (first.next_n, first.oldest, first.states()) == (0, 0, [])
    write(first, entry(0, "a"), entry(1, "b"), entry(2, "a", "update"), bed=b"state")
    write(first, entry(3, "b", "end"))
    first.close()
    again = Journal(path, reported)
    assert (again.next_n, again.oldest) == (4, 0)
    assert list(again.since(1, 2)) == [(1, entry(1).body), (2, entry(2).body)]
    assert again.active() == (entry(2, "a", "update"),)
    assert again.find("a") == entry(2, "a", "update")
    assert again.find("b") is None
    assert again.states() == [("bed", 3, b"state")]
    again.close()
    assert not reported


def test_the_journal_in_memory_needs_no_file(reported: Reports) -> None:
    journal = Journal(None, reported)
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
    journal = Journal(path, reported)
    write(journal, entry(0, "a"), entry(1, "a", "end"))
    journal.close()
    again = Journal(path, reported)
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
    again = Journal(path, reported)
    assert numbers(again) == [0]
    again.close()


def test_a_second_daemon_is_kept_off(journal: Journal, path: Path, reported: Reports) -> None:
    with pytest.raises(StartError, match="in use by another daemon"):
        Journal(path, reported)


def test_a_journal_of_a_later_version_is_refused(path: Path, reported: Reports) -> None:
    Journal(path, reported).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StartError, match="tables are of version 99"):
        Journal(path, reported)
    Journal(path.with_name("other.db"), reported).close()  # nothing is left locked


def test_a_missing_directory_is_named(tmp_path: Path, reported: Reports) -> None:
    with pytest.raises(StartError, match=r"nowhere/journal\.n"):
        Journal(tmp_path / "nowhere" / "journal.db", reported)


# --- a kill -------------------------------------------------------------------------------------

APPEND = """
import sys
from pathlib import Path
from beatgan_daemon.storage.journal import Journal
from beatgan.protocol.control import JournalEntry
journal = Journal(Path(sys.argv[1]), lambda text: None)
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
        journal = Journal(path, reported)
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
    journal.retry_backlog(NOW)
    assert journal.failures == 2
    assert journal.backlog > 0
    make_room(journal)
    assert not journal.retry_backlog(NOW)
    assert journal.trouble is None
    assert (journal.backlog, journal.unjournaled) == (0, 0)
    assert reported[1].startswith("the journal is written again")
    write(journal, entry(50, "a", "end"))
    journal.close()
    again = Journal(path, reported)
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
    while journal.retry_backlog(NOW):
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
    journal.retry_backlog(NOW)
    assert "written again, 8 alerts are missing in it" in reported[-1]
    assert numbers(journal) == [0, 9, 10, 11]
    journal.close()
    again = Journal(path, reported)
    assert "a" not in ids(again)  # though its end was lost
    assert len(ids(again)) == 10  # and these, though their start was
    again.close()


def test_numbers_are_not_used_twice_after_a_kill_with_a_full_disk(
    path: Path, reported: Reports
) -> None:
    journal = Journal(path, reported)
    write(journal, entry(0))
    fill_up(journal)
    write(journal, *(entry(n, size=9000) for n in range(1, 6)))
    assert journal.backlog == 5
    copy = path.with_name("copy.db")  # as a kill would leave it
    for suffix in (".db", ".db-wal", ".n"):
        copy.with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    again = Journal(copy, reported)
    assert numbers(again) == [0]
    assert again.next_n == 6
    again.close()
    make_room(journal)
    journal.close()


def test_a_disk_that_is_full_at_the_start_does_not_keep_the_daemon_from_starting(
    path: Path, reported: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal(path, reported).close()

    def full(path: Path | None) -> sqlite3.Connection:
        with sqlite3.connect(":memory:") as small:
            small.execute("PRAGMA max_page_count = 1")
            small.execute("CREATE TABLE too_much (a)")
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "open_database", full)
        journal = Journal(path, reported)
        assert "full" in str(journal.trouble)
        write(journal, entry(0))
        assert numbers(journal) == [0]
        assert journal.oldest == 0
    journal.retry_backlog(NOW)
    assert journal.trouble is None
    assert numbers(journal) == [0]
    journal.close()


# --- a damaged file -----------------------------------------------------------------------------


def scratch(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(os.urandom(length))


def filled(path: Path, reported: Reports) -> None:
    journal = Journal(path, reported)
    write(journal, *(entry(n, size=400) for n in range(300)))
    journal.close()


@pytest.mark.parametrize(("start", "length"), [(0, 100), (4096, 30_000), (50_000, 5_000)])
def test_a_damaged_file_is_set_aside_and_numbers_go_on(
    path: Path, reported: Reports, start: int, length: int
) -> None:
    filled(path, reported)
    scratch(path, start, length)
    damaged = path.read_bytes()
    journal = Journal(path, reported)
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


def test_damage_after_damage_keeps_both_files(path: Path, reported: Reports) -> None:
    for _ in range(2):
        path.write_bytes(b"no database" * 100)
        Journal(path, reported, lambda: NOW).close()
    assert len(list(path.parent.glob("journal.db.damaged-*"))) == 2


def test_damage_while_running_loses_no_episode_under_way(
    path: Path, reported: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, reported)
    journal = Journal(path, reported)
    scratch(path, 4096, path.stat().st_size - 4096)
    assert journal._tables is not None
    journal._tables.database.execute("PRAGMA shrink_memory")  # what was read before
    list(journal.since(0, 1000))  # somebody asks, and the damage is found
    assert "malformed" in str(journal.trouble)
    write(journal, entry(300, "late"), bed=b"state")
    journal.retry_backlog(NOW)
    assert journal.trouble is None
    assert numbers(journal) == [300]
    journal.close()
    again = Journal(path, reported)
    assert len(again.active()) == 301
    assert again.states() == [("bed", 301, b"state")]
    assert again.next_n == 301
    again.close()
    assert [line.split(":")[0].split("(")[0] for line in reported] == [
        "the journal cannot be written, alerts wait in memory",
        "the journal was damaged ",
        "the journal is written again; it was not, because",
    ]


def test_what_waits_when_damage_is_found_is_kept_at_the_end(path: Path, reported: Reports) -> None:
    filled(path, reported)
    journal = Journal(path, reported)
    scratch(path, 4096, path.stat().st_size - 4096)
    assert journal._tables is not None
    journal._tables.database.execute("PRAGMA shrink_memory")
    list(journal.since(0, 1000))
    write(journal, entry(300))
    journal.close()
    again = Journal(path, reported)
    assert numbers(again) == [300]
    again.close()


# --- retention ----------------------------------------------------------------------------------


def pruned(journal: Journal, days: float, mb: float, now: int) -> None:
    for _ in range(1000):
        if not journal.retain(days, mb, now):
            return
    pytest.fail("there is always more to delete")


def test_old_alerts_go_a_few_at_a_time(journal: Journal) -> None:
    for first in range(0, 1200, 20):  # few commits: a disk may be slow
        some = [entry(n) for n in range(first, first + 20)]
        journal.append(some, {}, NOW + first * DAY_NS // 100)
    assert journal.retain(1.0, 100.0, NOW + 12 * DAY_NS)
    assert journal.oldest == 500
    pruned(journal, 1.0, 100.0, NOW + 12 * DAY_NS)
    assert numbers(journal) == list(range(1100, 1200))
    assert journal.oldest == 1100
    assert len(journal.active()) == 1200  # whose last alert is not gone
    assert not journal.retain(1.0, 100.0, NOW + 12 * DAY_NS)


def test_a_clock_that_goes_back_makes_no_hole(journal: Journal) -> None:
    for n, days in enumerate((0.0, 5.0, 0.0, 5.0)):
        journal.append([entry(n)], {}, NOW + int(days * DAY_NS))
    pruned(journal, 1.0, 100.0, NOW + 5 * DAY_NS)
    assert numbers(journal) == [1, 2, 3]


def test_the_file_stays_within_its_size(path: Path, journal: Journal) -> None:
    phases = ("start", "end")
    for first in range(0, 6000, 100):
        some = range(first, first + 100)
        write(journal, *(entry(n, f"e{n // 2}", phases[n % 2], size=1500) for n in some))
        if first % 300 == 0:
            pruned(journal, 30.0, 2.0, NOW)
    pruned(journal, 30.0, 2.0, NOW)
    assert journal.bytes <= 2.2 * 2**20
    assert numbers(journal)[-1] == 5999
    assert 500 < len(numbers(journal)) < 1500
    journal.close()
    assert path.stat().st_size <= 2.2 * 2**20


def test_in_memory_there_is_a_limit_of_its_own(reported: Reports) -> None:
    journal = Journal(None, reported)
    write(journal, *(entry(n, "one", "update", size=2000) for n in range(20_000)))
    pruned(journal, 30.0, 1000.0, NOW)
    assert journal.bytes <= journalling.IN_MEMORY_MB * 2**20
    assert numbers(journal)[-1] == 19_999
    journal.close()


def test_a_smaller_limit_shrinks_the_file(path: Path, journal: Journal) -> None:
    write(journal, *(entry(n, "one", "update", size=1500) for n in range(6000)))
    pruned(journal, 30.0, 1.0, NOW)
    journal.close()
    assert path.stat().st_size <= 2**20


def test_a_hundred_thousand_alerts_slow_neither_start_nor_alert(
    path: Path, reported: Reports
) -> None:
    journal = Journal(path, reported)
    for first in range(0, 100_000, 5_000):
        batch = [
            entry(n, f"e{n // 2}", ("start", "end")[n % 2], 300) for n in range(first, first + 5000)
        ]
        write(journal, *batch)
    write(journal, entry(100_000, "last"))
    journal.close()
    again = Journal(path, reported)
    assert ids(again) == ["last"]
    assert again.next_n == 100_001
    assert numbers(again, since=99_999) == [99_999, 100_000]
    assert numbers(again, since=50_000, limit=3) == [50_000, 50_001, 50_002]
    plan = again._tables.database.execute if again._tables else pytest.fail("no ledger")
    for query in (
        "SELECT n, body FROM alerts WHERE n >= 5 ORDER BY n LIMIT 9",
        "SELECT at_ns FROM alerts ORDER BY n LIMIT 1",
        "SELECT min(n) FROM alerts",
    ):
        steps = [row[3] for row in plan(f"EXPLAIN QUERY PLAN {query}")]
        assert not any("TEMP B-TREE" in step for step in steps), steps
    again.close()
