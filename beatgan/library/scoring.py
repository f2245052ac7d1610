"""From a signal to its beats, in one call."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from beatgan.alarms.limits import AlarmLimits
from beatgan.library import student
from beatgan.library.array_input import recording_of
from beatgan.library.result import Result
from beatgan.playback.offline import score_recordings


def score(
    ecg: Any,
    fs: float | None = None,
    leads: Sequence[str] | str | None = None,
    *,
    name: str | None = None,
    start: datetime | None = None,
    model: str | Path | None = None,
    device: str = "auto",
    limits: AlarmLimits | None = None,
) -> Result:
    """Every beat of ``ecg``, scored, and the alerts that the daemon would have raised.

    Args:
        ecg: in millivolt, of shape (n,) or (n, leads); NaN is a lost sample. An array, whatever
            becomes one (a list, a table whose columns are leads), or a `Recording` from `read`.
        fs: samples a second, 50 to 2000. Not for a recording, as the next three.
        leads: their names, as "II" or ("MLII", "V5"); the best two by name are used. ECG, ECG-2
            and so on where they are not given.
        name: what the messages call the stream.
        start: when the first sample was taken; without a zone it is UTC. 1970 if not given.
        model: a model file; the shipped student if not given.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        limits: of the alarms; the daemon's defaults if not given.

    The same beats and alerts, to the bit, as `beatgan-daemon score` writes and as a daemon
    publishes live. The very first call on a machine compiles for a minute, and says so on stderr.

    Raises UsageError or RecordError, saying what was expected, where the signal cannot be taken as
    it is, and ArtifactError where the model cannot.
    """
    recording = recording_of(ecg, fs, leads, name, start)
    loaded = student.load(model, device)
    limits = limits or AlarmLimits()
    with student.compiling_is_told():
        messages = score_recordings(
            [recording], loaded.spec, loaded.coefficients, loaded.scorer, limits
        )
        return Result(recording, tuple(messages))
