"""SIGHUP: new settings and a new model, all or nothing, made ready beside the pipeline.

What can fail fails in a thread of its own, where it delays no beat; what is left to the
pipeline is to swap, between two iterations. Knows no socket, no stream and no signal.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from threading import Thread
from typing import Any

from beatgan.errors import BeatganError
from beatgan_daemon import log
from beatgan_daemon.exit_codes import StartError, one_line
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.model_loading import Loaded, load_model
from beatgan_daemon.security.allow_list import AllowList, read_clients
from beatgan_daemon.settings import Settings, keys
from beatgan_daemon.systemd import Notifier

JOIN_S = 0.3  # for a reload that is under way when the daemon ends
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
    """All that a reload changes, loaded and tried: to install it cannot fail."""

    settings: Settings
    changes: Changes  # section.key: value before, value now
    loaded: Loaded | None  # a model that scores otherwise; None: the old one stays
    allow_list: AllowList | None  # None: without keys


class Reload:
    """Polled by the pipeline; one reload at a time, and one more if asked meanwhile."""

    def __init__(
        self,
        running: Settings,
        loaded: Loaded,
        read: Callable[[], Settings],
        apply: Callable[[Prepared], None],
        metrics: Metrics,
        notifier: Notifier,
        load: Callable[..., Loaded] = load_model,
    ) -> None:
        """``read`` finds the settings anew: file, environment and flags.

        ``apply`` installs what was prepared, in the pipeline's thread; it must not fail.
        """
        self._running, self._loaded = running, loaded
        self._read, self._apply, self._load = read, apply, load
        self._metrics, self._notifier = metrics, notifier
        self._wanted = False
        self._thread: Thread | None = None
        self._outcome: Prepared | None = None  # of a thread that ended
        self._result = ""  # of the latest: applied, refused or failed

    def poll(self, wanted: bool) -> None:
        """Begin a reload if one is ``wanted``, or install what has become ready."""
        self._wanted |= wanted
        if self._thread is not None:
            if not self._thread.is_alive():
                self._finish()
        elif self._wanted:
            self._start()

    def close(self) -> None:
        """Give one that is under way a moment to end; nothing comes of it any more."""
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def _start(self) -> None:
        self._wanted = False
        self._notifier.reloading()
        self._thread = Thread(target=self._prepare, name="reload", daemon=True)
        self._thread.start()

    def _prepare(self) -> None:
        logger = log.get()
        try:
            self._outcome = self._prepared()
            self._result = "applied"
        except BeatganError as error:
            logger.error("reload refused", why=one_line(error), now="as before")
            self._result = "refused"
        except Exception:  # a bug, but the old settings and model go on
            logger.exception("reload failed", now="as before")
            self._result = "failed"

    def _prepared(self) -> Prepared:
        settings = self._read()
        found = changes(self._running, settings)
        if fixed := [key for key in found if not LIVE & {key, key.split(".")[0]}]:
            raise StartError(f"needs a restart: {', '.join(_shown(found, fixed))}")
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
        clients = settings.security.clients
        allow_list = None if clients is None else read_clients(clients)
        return Prepared(settings, found, None if same else loaded, allow_list)

    def _finish(self) -> None:
        outcome, self._outcome, self._thread = self._outcome, None, None
        if outcome is not None:
            self._install(outcome)
        self._metrics.reloaded(self._result)
        self._notifier.send("READY=1", f"STATUS=reload {self._result}")

    def _install(self, prepared: Prepared) -> None:
        self._apply(prepared)
        self._running, self._loaded = prepared.settings, prepared.loaded or self._loaded
        changed = _shown(prepared.changes, prepared.changes)
        model = "unchanged" if prepared.loaded is None else prepared.loaded.digest
        log.get().info("reloaded", changed=changed, model=model)


def changes(before: Settings, after: Settings) -> Changes:
    """What differs, by ``section.key``: the value before and after."""
    pairs = {key: (attrgetter(key)(before), attrgetter(key)(after)) for key in keys()}
    return {key: (old, new) for key, (old, new) in pairs.items() if old != new}


def _shown(found: Changes, keys: Iterable[str]) -> list[str]:
    return [f"{key} = {found[key][1]} (was {found[key][0]})" for key in keys]
