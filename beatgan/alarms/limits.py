"""When alarms begin, are updated and end, and how much ECG their alerts show: every limit there is.

The defaults were chosen on DS1 and, for fibrillation, on the odd records of cudb
(docs/operations.md says what each means). Knows no alarm's logic.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from beatgan.errors import UsageError

# Whether a beat could be hidden is decided by the range of the latest 3 s of signal (latest_beat),
# in which the beat before must not lie: an asystole is known half a second later at the earliest.
MIN_ASYSTOLE_S = 3.5
MAX_STRIP_S = 30.0  # of two leads at 2 kHz: 320 kB of JSON


@dataclass(frozen=True, slots=True)
class AlarmLimits:
    """The limits of one stream's alarms; lengths of time in seconds, rates in beats a minute.

    Raises UsageError where they are impossible.
    """

    anomalous_beats: int = 5  # this many anomalous beats of good signal ...
    among_beats: int = 10  # ... among this many scored beats in a row begin an episode
    clear_beats: int = 10  # this many normal beats in a row end it
    vt_beats: int = 3  # this many ventricular beats in a row ...
    vt_rate: float = 100.0  # ... this fast are a run
    asystole_s: float = 3.6  # without a beat
    pause_s: float = 3.0  # from one beat to the next; shorter than an asystole
    vf_log_odds_limit: float = 1.75  # log odds that begin an episode; it ends at 0
    af_log_odds_limit: float = 0.75  # log odds that begin an episode; it ends at -1
    tachycardia_rate: float = 130.0  # a faster heart raises an alarm
    bradycardia_rate: float = 45.0  # and so does a slower one
    # A faster or slower one raises an alarm of high priority at once; never nearer than the above.
    extreme_tachycardia_rate: float = 140.0
    extreme_bradycardia_rate: float = 43.0
    heart_rate_delay_s: float = 10.0  # for how long it must be so
    couplets_per_hour: int = 5  # so many ventricular couplets in the latest hour raise an alarm
    bigeminy_per_hour: int = 1  # and so many stretches of ventricular bigeminy
    update_s: float = 10.0  # an episode is updated at most this often, while it has news
    technical_delay_s: float = 60.0  # for how long a lead must fail while another is usable
    refractory_s: float = 60.0  # after an episode, until the next of its code may begin
    burst: int = 10  # so many episodes of one code may begin at once, ...
    max_per_hour: float = 30.0  # ... and in the long run so many an hour
    strip_s: float = 0.0  # seconds of ECG in a patient's alert when an episode begins; 0: none
    latch: bool = True  # an episode of high priority does not end before it is acknowledged

    def __post_init__(self) -> None:
        if not 0 <= self.strip_s <= MAX_STRIP_S:
            raise UsageError(f"alarms: strip_s must be 0 to {MAX_STRIP_S:g}, got {self.strip_s:g}")
        if not 1 <= self.anomalous_beats <= self.among_beats:
            raise UsageError(
                "alarms: need 1 <= anomalous_beats <= among_beats, "
                f"got {self.anomalous_beats} and {self.among_beats}"
            )
        if self.bradycardia_rate >= self.tachycardia_rate:
            raise UsageError(
                "alarms: need bradycardia_rate < tachycardia_rate, "
                f"got {self.bradycardia_rate:g} and {self.tachycardia_rate:g}"
            )
        counts = "clear_beats", "vt_beats", "burst", "couplets_per_hour", "bigeminy_per_hour"
        for name in counts:
            if getattr(self, name) < 1:
                raise UsageError(f"alarms: {name} must be 1 or more, got {getattr(self, name)}")
        if not self.asystole_s >= MIN_ASYSTOLE_S:
            raise UsageError(
                f"alarms: asystole_s must be {MIN_ASYSTOLE_S:g} or more, got {self.asystole_s:g}"
            )
        if not 0 < self.pause_s <= self.asystole_s:
            raise UsageError(
                "alarms: need 0 < pause_s <= asystole_s, "
                f"got {self.pause_s:g} and {self.asystole_s:g}"
            )
        for name in (
            "vt_rate",
            "vf_log_odds_limit",
            "af_log_odds_limit",
            "bradycardia_rate",
            "extreme_bradycardia_rate",
            "max_per_hour",
        ):
            if not getattr(self, name) > 0:
                raise UsageError(f"alarms: {name} must be above 0, got {getattr(self, name):g}")
        for name in ("heart_rate_delay_s", "update_s", "technical_delay_s", "refractory_s"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"alarms: {name} must be 0 or more, got {getattr(self, name):g}")


# What limits were called in the release before, and what they are called now.
FORMER_NAMES: Mapping[str, str] = {
    "run_beats": "vt_beats",
    "run_rate": "vt_rate",
    "fibrillation_odds": "vf_log_odds_limit",
    "rate_s": "heart_rate_delay_s",
    "patience_s": "technical_delay_s",
    "most_per_hour": "max_per_hour",
}
