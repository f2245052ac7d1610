"""SIGHUP, or the command `reload`: new settings and a new model, made ready beside the pipeline.

What can fail, or hang, does so in a thread of its own, where it delays no beat; what is left to the
pipeline is to swap, between two iterations. The allow-list comes first and by itself: a key is
revoked whatever else is wrong. Settings and model are all or nothing. Knows no socket, no stream
and no signal.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

from beatgan.errors import BeatganError
from beatgan.model.loading import Loaded
from beatgan_daemon import log
from beatgan_daemon.exit_codes import StartError, one_line
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.model_loading import load_model
from beatgan_daemon.reload_socket import Answer
from beatgan_daemon.security.allow_list import AllowList, read_clients
from beatgan_daemon.settings import Settings, keys
from beatgan_daemon.systemd import Notifier

JOIN_S = 0.3  # for a reload that is under way when the daemon ends
LONGEST_S = 40.0  # of a reload; one that hangs (a network file system) is then left to itself
HANGING = 8  # reloads that may be left so; then settings and model need a restart
# What may change while the daemon runs, by key or by section. Everything else is bound to a socket,
# a thread or a file that is open, and needs a restart.
LIVE = {
    *("model", "batch", "streams", "overload", "alarms"),
    *("ingest.frames_per_s", "security.clients", "log.level", "log.status_s"),
    *("state.keep_days", "state.keep_mb"),
}
Changes = dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Settings and what belongs to them, loaded and tried: to install it cannot fail."""

    settings: Settings
    changes: Changes  # section.key: value before, value now
    loaded: Loaded | None  # a model that scores otherwise; None: the old one stays
    allow_list: AllowList | None  # of another file than before; None: that stays, or without keys


@dataclass(slots=True)
class _Attempt:
    """One reload; its thread writes, the pipeline reads."""

    deadline: float
    answers: Sequence[Answer]
    allow_lists: SimpleQueue[AllowList] = field(default_factory=SimpleQueue)  # read, one at most
    outcome: Prepared | None = None
    result: str = "failed"  # or applied, refused
    why: str = "see the log"
    now: str = "as before"
    abandoned: bool = False  # what its thread still finds is of no interest
    thread: Thread | None = None


class Reload:
    """Polled by the pipeline; one reload at a time, and one more if asked meanwhile."""

    def __init__(
        self,
        running: Settings,
        loaded: Loaded,
        read: Callable[[], Settings],
        apply: Callable[[Prepared], None],
        admit: Callable[[AllowList], None],
        metrics: Metrics,
        notifier: Notifier,
        load: Callable[..., Loaded] = load_model,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """``read`` finds the settings anew: file, environment and flags.

        ``apply`` installs what was prepared and ``admit`` an allow-list, in the pipeline's thread;
        they must not fail.
        """
        self._running, self._loaded = running, loaded
        self._read, self._apply, self._admit, self._load = read, apply, admit, load
        self._metrics, self._notifier, self._clock = metrics, notifier, clock
        self._wanted = False
        self._answers: list[Answer] = []  # to those who asked since the latest began
        self._attempt: _Attempt | None = None  # under way
        self._hanging: list[Thread] = []

    def poll(self, wanted: bool, answers: Sequence[Answer] = ()) -> None:
        """Begin a reload if one is ``wanted``, or install what has become ready.

        Each of the ``answers`` wants one as well, and is told what came of it.
        """
        self._wanted |= wanted or bool(answers)
        self._answers += answers
        attempt = self._attempt
        if attempt is None:
            if self._wanted:
                self._start()
            return
        self._take_allow_list(attempt)
        if attempt.thread is None or not attempt.thread.is_alive():
            self._take_allow_list(attempt)  # it may have come since
            self._finish(attempt)
        elif self._clock() > attempt.deadline:
            self._give_up(attempt, attempt.thread)

    def close(self) -> None:
        """Give one that is under way a moment to end; nothing comes of it any more."""
        if self._attempt is not None and self._attempt.thread is not None:
            self._attempt.thread.join(JOIN_S)

    def _start(self) -> None:
        self._wanted = False
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        self._notifier.reloading()
        attempt = _Attempt(self._clock() + LONGEST_S, tuple(self._answers))
        self._answers.clear()
        self._attempt = attempt
        attempt.thread = Thread(target=self._prepare, args=(attempt,), name="reload", daemon=True)
        attempt.thread.start()

    def _take_allow_list(self, attempt: _Attempt) -> None:
        with suppress(Empty):
            self._admit(attempt.allow_lists.get_nowait())

    # --- in the reload's own thread -----------------------------------------------------------

    def _prepare(self, attempt: _Attempt) -> None:
        logger, clients = log.get(), self._running.security.clients
        try:
            if clients is not None:
                attempt.allow_lists.put(_allow_list(clients))
                attempt.now = "as before; the allow-list is as its file says"
            attempt.outcome = self._prepared(clients)
            attempt.result, attempt.why = "applied", ""
        except BeatganError as error:
            if not attempt.abandoned:
                attempt.result, attempt.why = "refused", one_line(error)
                logger.error("reload refused", why=attempt.why, now=attempt.now)
        except Exception:  # a bug, but the old settings and model go on
            logger.exception("reload failed", now=attempt.now)

    def _prepared(self, clients: Path | None) -> Prepared:
        """``clients``: the allow-list that has been read already."""
        if len(self._hanging) >= HANGING:
            raise StartError(f"needs a restart: {HANGING} reloads hang already")
        settings = self._read()
        found = changes(self._running, settings)
        if fixed := [key for key in found if not LIVE & {key, key.split(".")[0]}]:
            raise StartError(f"needs a restart: {', '.join(_shown(found, fixed))}")
        new = settings.security.clients
        allow_list = _allow_list(new) if new is not None and new != clients else None
        loaded = self._load(settings.model.path, settings.model.device)
        if loaded.spec != self._loaded.spec:
            raise StartError(
                f"needs a restart: {settings.model.path} wants the signal preprocessed otherwise "
                "than the model that is running"
            )
        if loaded.coefficients != self._loaded.coefficients:
            raise StartError(
                f"needs a restart: {settings.model.path} has other alarm coefficients than the "
                "model that is running"
            )
        same = (loaded.digest, loaded.device) == (self._loaded.digest, self._loaded.device)
        return Prepared(settings, found, None if same else loaded, allow_list)

    # --- in the pipeline's --------------------------------------------------------------------

    def _give_up(self, attempt: _Attempt, thread: Thread) -> None:
        """Leave one that hangs to itself: nothing comes of it any more."""
        self._hanging.append(thread)
        attempt.abandoned = True
        attempt.result, attempt.outcome = "failed", None
        attempt.why = f"not ready within {LONGEST_S:g} s: does a file system hang?"
        log.get().error("reload failed", why=attempt.why, now=attempt.now)
        self._end(attempt)

    def _finish(self, attempt: _Attempt) -> None:
        if attempt.outcome is not None:
            self._install(attempt.outcome)
        self._end(attempt)

    def _end(self, attempt: _Attempt) -> None:
        self._attempt = None
        self._metrics.reloaded(attempt.result)
        self._notifier.send("READY=1", f"STATUS=reload {attempt.result}")
        for answer in attempt.answers:
            answer(f"{attempt.result}: {attempt.why}" if attempt.why else attempt.result)

    def _install(self, prepared: Prepared) -> None:
        if prepared.allow_list is not None:
            self._admit(prepared.allow_list)
        self._apply(prepared)
        self._running, self._loaded = prepared.settings, prepared.loaded or self._loaded
        changed = _shown(prepared.changes, prepared.changes)
        model = "unchanged" if prepared.loaded is None else prepared.loaded.digest
        log.get().info("reloaded", changed=changed, model=model)


def _allow_list(path: Path) -> AllowList:
    """The list, if it is whole and names anybody: one that was cut short must neither lock
    everybody out nor give anybody other rights."""
    allow_list = read_clients(path)
    if allow_list.cut_short:
        raise StartError(f"{path}: its last line does not end: was it cut short?")
    if not allow_list.clients:
        raise StartError(f"{path}: names no client: nobody could connect any more")
    for text in allow_list.warnings:
        log.get().warning("allow-list", why=text)
    return allow_list


def changes(before: Settings, after: Settings) -> Changes:
    """What differs, by ``section.key``: the value before and after."""
    pairs = {key: (attrgetter(key)(before), attrgetter(key)(after)) for key in keys()}
    return {key: (old, new) for key, (old, new) in pairs.items() if old != new}


def _shown(found: Changes, keys: Iterable[str]) -> list[str]:
    return [f"{key} = {found[key][1]} (was {found[key][0]})" for key in keys]
