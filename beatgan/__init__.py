"""The pure core of beatgan: samples in, beats, scores and alerts out. No socket and no clock.

The names below are the public ones. Each is imported when it is first used, so that
``import beatgan`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beatgan.alarms.irregularity import Irregularity
    from beatgan.alarms.limits import AlarmLimits
    from beatgan.alarms.policy import EpisodePolicy
    from beatgan.alarms.ventricular_classifier import VentricularClassifier
    from beatgan.errors import BeatganError
    from beatgan.frontend import Frontend
    from beatgan.records import read_recording
    from beatgan.spec import PreprocessSpec
    from beatgan.types import Alert, Beat, RhythmStatus, Score, SignalChange

__all__ = [
    "AlarmLimits",
    "Alert",
    "Beat",
    "BeatganError",
    "EpisodePolicy",
    "Frontend",
    "Irregularity",
    "PreprocessSpec",
    "RhythmStatus",
    "Score",
    "SignalChange",
    "VentricularClassifier",
    "read_recording",
]

_MODULES = {
    "AlarmLimits": "beatgan.alarms.limits",
    "Alert": "beatgan.types",
    "Beat": "beatgan.types",
    "BeatganError": "beatgan.errors",
    "EpisodePolicy": "beatgan.alarms.policy",
    "Frontend": "beatgan.frontend",
    "Irregularity": "beatgan.alarms.irregularity",
    "PreprocessSpec": "beatgan.spec",
    "RhythmStatus": "beatgan.types",
    "Score": "beatgan.types",
    "SignalChange": "beatgan.types",
    "VentricularClassifier": "beatgan.alarms.ventricular_classifier",
    "read_recording": "beatgan.records",
}


def __getattr__(name: str) -> Any:
    """A public name, imported on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'beatgan' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
