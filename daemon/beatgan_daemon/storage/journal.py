"""Every alert on the disk before it is sent, and what is needed to go on after a restart.

A disk that fails is reported; alerts wait in memory, and are written once it works again. A slow
one delays no alert by more than WAIT_S and spool.SPOOL_S: alerts are then put into a spool beside
the journal, sent, and written into the journal when the disk takes them. Knows no socket and
nothing of what an alert means.
"""

import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic, monotonic_ns, time_ns
from typing import Any, NamedTuple

from beatgan.protocol.alert_journal import JournalEntry, JournalUnavailableError
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.storage.disk_thread import DiskThread
from beatgan_daemon.storage.journal_file import Found, JournalFile, Pruned, Written
from beatgan_daemon.storage.journal_tables import StoredState
from beatgan_daemon.storage.spool import Spool
from beatgan_daemon.storage.spool_file import Spooled

WAIT_S = 0.25  # for the disk, before an alert is sent that is not on it yet
STALLED_S = 2.0  # a call to the disk that takes longer: alerts cannot be written
CLOSE_S = 1.0  # for what waits in memory, at the end
BACKLOG_BYTES = 64 * 2**20  # of alerts that wait in memory for the disk; the oldest go first
AT_ONCE = 1_000  # alerts of the backlog in one transaction
READ_AT_ONCE = 200  # alerts
IN_MEMORY_MB = 16.0
DAY_NS = 86_400 * 10**9
MEBIBYTE = 2**20
_ABSENT = object()


class _Call(NamedTuple):
    """What the disk's thread was asked for, since when, and what is to be done with the result."""

    future: "Future[Any]"
    began: float
    settle: Callable[[Any], None]


class Unstored(NamedTuple):
    """Alerts that will never be on the disk: how many, and the first and last number of those that
    still waited for it."""

    alerts: int
    first: int | None
    last: int | None


class Journal:
    """The alerts of one daemon; used by one thread at a time.

    ``path`` None stores them in memory, as long as the daemon lives.
    """

    def __init__(
        self,
        path: Path | None,
        report: Callable[[str], None],
        now_ns: Callable[[], int] = time_ns,
        running_ns: Callable[[], int] = monotonic_ns,
        wait_s: float = WAIT_S,
    ) -> None:
        """``report`` is called, in any thread, with what an operator should know; ``now_ns`` is
        UNIX time, ``running_ns`` one that nobody sets.

        A damaged file is set aside. Raises StartError where the directory is not there or not to
        be written to, another daemon uses it, or the file is of another version.
        """
        self.trouble: str | None = None  # why alerts are not on the disk
        self.failures = 0  # attempts to write that failed
        self.unjournaled = 0  # alerts that never will be on the disk
        self.deleted: Counter[str] = Counter()  # alerts, by why: age or size
        self.bytes = 0  # on the disk
        self._path, self._report, self._now_ns, self._wait_s = path, report, now_ns, wait_s
        self._running_ns, self._began_ns = running_ns, running_ns()
        self._active: dict[str, JournalEntry] = {}
        self._oldest: int | None = None  # on the disk
        self._backlog: deque[JournalEntry] = deque()  # not known to be on the disk
        self._backlog_bytes = 0
        self._states: dict[str, bytes | None] = {}  # of the backlog
        self._active_is_wrong = False  # the table on the disk has missed something
        self._call: _Call | None = None  # of the disk's thread, not yet settled
        self._waited = False  # for that call, once
        self._number_reported = False  # that it cannot be put down
        self._closed = False
        self._file = JournalFile(path, report, now_ns)
        self._disk, self._spool = DiskThread("journal"), self._new_spool()
        self.next_n = 0
        try:
            self._start()
        except BaseException:
            self._file.close()
            self._close_threads()
            raise
        if self._file.sequence is not None:
            self.next_n = max(self.next_n, self._file.sequence.n)

    def _new_spool(self) -> Spool | None:
        """For what waits for a file; an in-memory journal has none to wait for."""
        if self._path is None or self._file.sequence is None:
            return None
        return Spool(self._path.with_suffix(".spool"), self._file.sequence)

    def _start(self) -> None:
        try:
            found = self._file.start()
            self.next_n, self._oldest = found.next_n, found.oldest
            self._active = {entry.id: entry for entry in found.active}
            self.bytes = self._file.size().bytes
        except sqlite3.Error as error:  # out of reach: monitoring begins all the same
            self._fail(error)
            found = None
        waited = self._spool.read() if self._spool else []
        if found is not None:
            self._report_missing(found, waited)
        for spooled in waited:
            self._take_in(spooled)
        if self.trouble is None and waited:
            self._write_spooled()

    def _report_missing(self, found: Found, waited: Iterable[Spooled]) -> None:
        """Say so where alerts were sent that are in no file: it was emptied or removed, or an
        older one lies in its place."""
        sent = 0 if self._file.sequence is None else self._file.sequence.n
        end = min((entry.n for spooled in waited for entry in spooled.entries), default=sent)
        if found.next_n < end and (found.new or found.next_n > 0):  # else their time was over
            self._report(
                f"{self._path} lacks the alerts {found.next_n} to {end - 1}, which were numbered: "
                "the disk did not take them, or the file was emptied, removed or replaced"
            )

    def _take_in(self, spooled: Spooled) -> None:
        """What waited for the disk when the daemon was killed, unless it is in the journal."""
        fresh = [entry for entry in spooled.entries if entry.n >= self.next_n]
        if fresh:
            self._add(fresh, spooled.states)

    def _write_spooled(self) -> None:
        written = self._next_to_write(self._now_ns())
        if written.entries:
            self._report(f"{len(written.entries)} alerts had waited for the disk: written now")
        try:
            self._file.write(written)
        except (sqlite3.Error, StartError) as error:
            self._fail(error)
        else:
            self._take_off(written)

    # --- what is written --------------------------------------------------------------------

    def append(
        self,
        entries: Sequence[JournalEntry],
        states: Mapping[str, bytes | None],
        now_ns: int,
        handed_over: Collection[str] = (),
    ) -> None:
        """Take in alerts, in order of ``n``, with the alarm states of streams after them.

        Returns when they are on the disk, or it takes too long, or fails; they wait in memory then
        (`retry_backlog`). A state of None forgets the stream's. ``handed_over``: ids of episodes
        that go on elsewhere; their streams' states are among the forgotten ones.
        """
        self._add(entries, states)
        for episode in handed_over:
            self._active_is_wrong |= self._active.pop(episode, None) is not None
        if self.trouble is None and self._settled() and self._has_backlog():
            self._begin_write(now_ns)
            self._settled()
        self._bound_backlog()
        if self._has_backlog() and self._spool is not None:
            self._spool.add(entries, states, self.next_n)
            self._report_number()

    def _add(self, entries: Sequence[JournalEntry], states: Mapping[str, bytes | None]) -> None:
        for entry in entries:
            self._update_active(entry)
        self._backlog.extend(entries)
        self._states.update(states)
        self._backlog_bytes += sum(len(entry.body) for entry in entries)

    def _update_active(self, entry: JournalEntry) -> None:
        self.next_n = entry.n + 1
        self._active.pop(entry.id, None)
        if not entry.ends_episode:
            self._active[entry.id] = entry  # at the end: they are in order of n

    def _has_backlog(self) -> bool:
        return bool(self._backlog or self._states)

    def _bound_backlog(self) -> None:
        while self._backlog_bytes > BACKLOG_BYTES:
            self._backlog_bytes -= len(self._backlog.popleft().body)
            self.unjournaled += 1
            self._active_is_wrong = True
            if self._spool is not None:
                self._spool.miss()

    def _next_to_write(self, now_ns: int) -> Written:
        """The oldest of what waits; after trouble, a part of it at a time."""
        most = len(self._backlog) if self.trouble is None else AT_ONCE
        entries = list(islice(self._backlog, most))
        whole = len(entries) == len(self._backlog)
        states = dict(self._states) if whole else {}
        active = tuple(self._active.values()) if whole and self._active_is_wrong else None
        return Written(entries, states, self.next_n, now_ns, active)

    def _begin_write(self, now_ns: int) -> None:
        written = self._next_to_write(now_ns)
        self._begin(partial(self._file.write, written), lambda _: self._take_off(written))

    def _take_off(self, written: Written) -> None:
        """What has been written waits no more."""
        if written.entries:
            if self._oldest is None:
                self._oldest = written.entries[0].n
            last = written.entries[-1].n
            while self._backlog and self._backlog[0].n <= last:
                self._backlog_bytes -= len(self._backlog.popleft().body)
        for stream, state in written.states.items():
            if self._states.get(stream, _ABSENT) is state:  # no later one has come
                del self._states[stream]
        if written.active is not None and written.active == tuple(self._active.values()):
            self._active_is_wrong = False
        if not self._has_backlog() and self._spool is not None:
            self._spool.clear()
        if self.trouble is not None and not self._has_backlog() and not self._active_is_wrong:
            missing = f", {self.unjournaled} alerts are missing in it" if self.unjournaled else ""
            self._report(
                f"the journal is written again{missing}; it was not, because: {self.trouble}"
            )
            self.trouble = None

    def _report_number(self) -> None:
        """Say, once, that the next number cannot be put down."""
        sequence = self._file.sequence
        if sequence is not None and sequence.trouble is not None and not self._number_reported:
            self._number_reported = True
            self._report(f"numbers of alerts may be used again: {sequence.trouble}")

    def retry_backlog(self, now_ns: int) -> bool:
        """Write some of what waits, if the disk takes it, and see whether the files are still
        there; to be called about once a second.

        Whether there is more to do at once.
        """
        failures = self.failures
        if self._call is None:
            written = self._next_to_write(now_ns) if self.trouble or self._has_backlog() else None
            work = partial(self._file.check_and_write, written)
            self._begin(work, partial(self._checked, written))
        if not self._settled():
            return True
        return self._has_backlog() and self.failures == failures

    def _checked(self, written: Written | None, displaced: bool) -> None:
        if displaced:
            self.failures += 1
        if written is not None:
            self._take_off(written)

    # --- the disk's thread --------------------------------------------------------------------

    def _begin(self, work: Callable[[], Any], settle: Callable[[Any], None]) -> None:
        """Let the disk's thread do something; only when it has settled what it did before."""
        self._call, self._waited = _Call(self._disk.submit(work), monotonic(), settle), False

    def _settled(self) -> bool:
        """Whether the disk's thread is at rest. A call is waited for once, and not for long."""
        call = self._call
        if call is None:
            return True
        wait([call.future], 0.0 if self._waited or self.trouble is not None else self._wait_s)
        self._waited = True
        if not call.future.done():
            if monotonic() > call.began + STALLED_S and self.trouble is None:
                self._fail(TimeoutError(f"the disk has not answered for {STALLED_S:g} s"))
            return False
        self._call = None
        error = call.future.exception()
        if error is None:
            call.settle(call.future.result())
        elif isinstance(error, sqlite3.Error | OSError | StartError):
            self._fail(error)
        else:
            raise error
        return True

    def _fail(self, error: Exception) -> None:
        """Say why, once."""
        self.failures += 1
        self._active_is_wrong = True
        if self.trouble is None:
            self._report(f"the journal cannot be written, alerts wait in memory: {error}")
        self.trouble = str(error)

    # --- what is read -------------------------------------------------------------------------

    def since(self, n: int, limit: int) -> Iterator[tuple[int, bytes]]:
        """Numbers and JSON of the alerts from ``n`` on, in order, at most ``limit``.

        To be used up before the journal is written to. Raises JournalUnavailableError where the
        disk does not answer in time, or the file is found to be damaged.
        """
        return islice(self._since(n, monotonic() + self._wait_s), limit)

    def _since(self, n: int, end: float) -> Iterator[tuple[int, bytes]]:
        first = self._backlog[0].n if self._backlog else self.next_n
        while n < first:
            stored = self._read(n, end)
            yield from ((number, body) for number, body in stored if number < first)
            if len(stored) < READ_AT_ONCE:
                break
            n = stored[-1][0] + 1
        yield from ((entry.n, entry.body) for entry in self._backlog if entry.n >= n)

    def _read(self, n: int, end: float) -> list[tuple[int, bytes]]:
        """Some alerts from ``n`` on, by the time ``end``; also where none can be written now."""
        found: list[tuple[int, bytes]] = []
        if self._at_rest(end):
            failures = self.failures
            self._begin(partial(self._file.since, n, READ_AT_ONCE), found.extend)
            if self._at_rest(end) and self.failures == failures:
                return found
        why = self.trouble or "the disk is slow"
        raise JournalUnavailableError(f"the journal cannot be read now: {why}")

    def _at_rest(self, end: float) -> bool:
        """Whether the disk's thread is; waits for it unless it hangs."""
        if self._call is not None and monotonic() < self._call.began + STALLED_S:
            wait([self._call.future], max(0.0, end - monotonic()))
        return self._settled()

    def active(self) -> Sequence[JournalEntry]:
        """The last alert of every episode under way, in order of ``n``."""
        return tuple(self._active.values())

    def find(self, episode: str) -> JournalEntry | None:
        """The last alert of one episode under way."""
        return self._active.get(episode)

    def states(self) -> list[StoredState]:
        """The last alarm state of every stream; asked for at the start, before anything else."""
        try:
            stored = self._file.states()
        except sqlite3.Error as error:
            self._fail(error)
            stored = []
        waiting = self._states.items()
        late = [StoredState(name, self.next_n, s) for name, s in waiting if s is not None]
        return [each for each in stored if each.stream not in self._states] + late

    @property
    def oldest(self) -> int:
        """The number of the oldest alert stored; the next one's where there is none."""
        if self._oldest is not None:
            return self._oldest
        return self._backlog[0].n if self._backlog else self.next_n

    @property
    def backlog(self) -> int:
        """Alerts that wait in memory for the disk."""
        return len(self._backlog)

    # --- what is given up ----------------------------------------------------------------------

    def retain(self, keep_days: float, keep_mb: float) -> bool:
        """Delete some of the alerts that are older than ``keep_days`` or beyond ``keep_mb`` MiB
        (in memory IN_MEMORY_MB at most).

        A day is one on which the daemon ran: the machine's clock may jump. The oldest first, a few
        at a time; whether there is more to do. Episodes under way keep their last alert, see
        `active`.
        """
        if self._path is None:
            keep_mb = min(keep_mb, IN_MEMORY_MB)
        if self.trouble is not None or not self._settled():
            return False
        keep_ns, most, more = round(keep_days * DAY_NS), keep_mb * MEBIBYTE, False

        def settle(pruned: Pruned) -> None:
            nonlocal more
            self._oldest, self.bytes = pruned.size
            self.deleted[pruned.reason] += pruned.deleted
            more = pruned.more

        work = partial(self._file.prune, keep_ns, most, self._ran_ns(), self._next_on_disk())
        self._begin(work, settle)
        return not self._settled() or more

    def _ran_ns(self) -> int:
        """How long the daemon has run, in all its lives."""
        return self._file.ran_ns + self._running_ns() - self._began_ns

    def _next_on_disk(self) -> int:
        return self._backlog[0].n if self._backlog else self.next_n

    # --- the end ------------------------------------------------------------------------------

    def unstored(self) -> Unstored:
        """What is not on the disk now; after `close`: what never will be."""
        waiting = self._backlog
        if not waiting or (self._spool is not None and self._spool.complete):
            return Unstored(self.unjournaled, None, None)
        return Unstored(self.unjournaled + len(waiting), waiting[0].n, waiting[-1].n)

    def close(self) -> None:
        """Try once more, for CLOSE_S at most, to write what waits; then free the files.

        Again does nothing. Files on a disk that hangs stay open until the process ends.
        """
        if self._closed:
            return
        self._closed = True
        end = monotonic() + CLOSE_S
        self._flush(end)
        if self._has_backlog() and self._spool is not None:
            self._spool_at_the_end(self._spool, end)
        if self._call is None:
            future = self._disk.submit(self._file.close)
            wait([future], max(0.0, end - monotonic()))
        self._close_threads()

    def _close_threads(self) -> None:
        self._disk.close()
        if self._spool is not None:
            self._spool.close()

    def _spool_at_the_end(self, spool: Spool, end: float) -> None:
        """What the journal did not take goes into the spool."""
        spool.settle(end)
        spool.write(self.next_n)
        self._report_number()
        if spool.complete and self._backlog:
            self._report(
                f"{len(self._backlog)} alerts that the journal did not take wait in "
                f"{spool.path}; the next start writes them"
            )

    def _flush(self, end: float) -> None:
        """Write what waits, until that fails or the time is over."""
        self._await(end)
        while self._has_backlog() and self._call is None and monotonic() < end:
            failures = self.failures
            self._begin_write(self._now_ns())
            self._await(end)
            if self.failures > failures:
                return

    def _await(self, end: float) -> None:
        if self._call is not None:
            wait([self._call.future], max(0.0, end - monotonic()))
            self._settled()
