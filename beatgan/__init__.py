"""ECG in, beats, scores and alerts out.

    import beatgan
    ecg, fs = beatgan.sample()
    print(beatgan.score(ecg, fs))

The names below are the public ones. Each is imported when it is first used, so that
``import beatgan`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beatgan.alarms.limits import AlarmLimits
    from beatgan.errors import BeatganError
    from beatgan.library.comparison import Comparison, compare
    from beatgan.library.episodes import Episode
    from beatgan.library.recordings import read, sample
    from beatgan.library.result import Result
    from beatgan.library.scoring import score
    from beatgan.library.stream import Stream
    from beatgan.protocol.messages import AlertMessage, BeatMessage
    from beatgan.records.recording import Recording
    from beatgan_daemon.clients.library import Client

__all__ = [
    "AlarmLimits",
    "AlertMessage",
    "BeatMessage",
    "BeatganError",
    "Client",
    "Comparison",
    "Episode",
    "Recording",
    "Result",
    "Stream",
    "compare",
    "read",
    "sample",
    "score",
]

_MODULES = {
    "AlarmLimits": "beatgan.alarms.limits",
    "AlertMessage": "beatgan.protocol.messages",
    "BeatMessage": "beatgan.protocol.messages",
    "BeatganError": "beatgan.errors",
    "Client": "beatgan_daemon.clients.library",
    "Comparison": "beatgan.library.comparison",
    "Episode": "beatgan.library.episodes",
    "Recording": "beatgan.records.recording",
    "Result": "beatgan.library.result",
    "Stream": "beatgan.library.stream",
    "compare": "beatgan.library.comparison",
    "read": "beatgan.library.recordings",
    "sample": "beatgan.library.recordings",
    "score": "beatgan.library.scoring",
}


def __getattr__(name: str) -> Any:
    """A public name, imported on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'beatgan' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
