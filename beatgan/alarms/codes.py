"""Every alarm code that beatgan knows, with its kind and its priority."""

from collections.abc import Mapping
from enum import StrEnum

from beatgan.types import Kind, Priority


class AlarmCode(StrEnum):
    """What an alarm is about. The word before the dot says whose fault it is: ``kind``."""

    ANOMALOUS_BEATS = "beat.anomalous"
    VENTRICULAR_FIBRILLATION = "rhythm.ventricular-fibrillation"  # or ventricular flutter
    ASYSTOLE = "rhythm.asystole"
    PAUSE = "rhythm.pause"
    VENTRICULAR_RUN = "rhythm.ventricular-run"  # ventricular tachycardia, sustained or not
    TACHYCARDIA = "rhythm.tachycardia"
    BRADYCARDIA = "rhythm.bradycardia"
    ATRIAL_FIBRILLATION = "rhythm.atrial-fibrillation"  # suspected
    IDIOVENTRICULAR = "rhythm.idioventricular"  # ventricular beats, slower than a run
    VENTRICULAR_COUPLET = "rhythm.ventricular-couplet"  # so many an hour
    VENTRICULAR_BIGEMINY = "rhythm.ventricular-bigeminy"  # so many an hour
    GAP = "signal.gap"
    FLAT = "signal.flat"
    SATURATED = "signal.saturated"
    NOISE = "signal.noise"
    # Raised by the daemon, not by a stream's samples:
    NO_DATA = "signal.no-data"  # a source has gone silent
    SOURCE_CONFLICT = "signal.source-conflict"  # two sources send under one name
    RATE_MISMATCH = "signal.rate-mismatch"  # samples arrive at another rate than fs
    REJECTED = "signal.rejected"  # frames come, but all are refused: nobody is watched
    DISCHARGED = "signal.discharged"  # somebody ended the watch over a stream
    JOURNAL = "daemon.journal"  # alerts cannot be written to the disk

    @property
    def kind(self) -> Kind:
        """Whether it is about the patient or about equipment."""
        return Kind.TECHNICAL if self in _TECHNICAL else Kind.PHYSIOLOGICAL

    @property
    def priority(self) -> Priority:
        """How soon somebody must respond; medium for any of a lead's while none is usable."""
        return _PRIORITIES[self]


# Codes that were renamed, and what they were called in the release before.
FORMER: Mapping[str, str] = {AlarmCode.VENTRICULAR_FIBRILLATION: "rhythm.fibrillation"}

PRESENT: Mapping[str, str] = {former: code for code, former in FORMER.items()}

_TECHNICAL = {code for code in AlarmCode if code.startswith(("signal.", "daemon."))}
_PRIORITIES = {
    AlarmCode.ANOMALOUS_BEATS: Priority.MEDIUM,
    AlarmCode.VENTRICULAR_FIBRILLATION: Priority.HIGH,
    AlarmCode.ASYSTOLE: Priority.HIGH,
    AlarmCode.PAUSE: Priority.MEDIUM,
    AlarmCode.VENTRICULAR_RUN: Priority.HIGH,
    AlarmCode.TACHYCARDIA: Priority.MEDIUM,
    AlarmCode.BRADYCARDIA: Priority.MEDIUM,
    AlarmCode.ATRIAL_FIBRILLATION: Priority.LOW,
    AlarmCode.IDIOVENTRICULAR: Priority.LOW,
    AlarmCode.VENTRICULAR_COUPLET: Priority.LOW,
    AlarmCode.VENTRICULAR_BIGEMINY: Priority.LOW,
    AlarmCode.GAP: Priority.LOW,
    AlarmCode.FLAT: Priority.LOW,
    AlarmCode.SATURATED: Priority.LOW,
    AlarmCode.NOISE: Priority.LOW,
    AlarmCode.NO_DATA: Priority.MEDIUM,
    AlarmCode.DISCHARGED: Priority.LOW,
    AlarmCode.SOURCE_CONFLICT: Priority.MEDIUM,
    AlarmCode.RATE_MISMATCH: Priority.MEDIUM,
    AlarmCode.REJECTED: Priority.MEDIUM,
    AlarmCode.JOURNAL: Priority.MEDIUM,
}
