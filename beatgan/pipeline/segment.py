"""An unbroken part of a stream: one epoch, one rate, one set of leads, one front end, one policy.

Knows what of it goes on after a restart; not what is expected next, nor what was counted.
"""

from functools import partial

import numpy as np

from beatgan.alarms.irregularity import Irregularity
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.policy import EpisodePolicy
from beatgan.alarms.ventricular_classifier import VentricularClassifier
from beatgan.coefficients import AlarmCoefficients
from beatgan.errors import ArtifactError
from beatgan.frontend import Event, Frontend
from beatgan.pipeline.recent_ecg import RecentEcg
from beatgan.pipeline.snapshot import BeatPlace, Snapshot
from beatgan.pipeline.source_clock import SourceClock
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Chunk, RhythmStatus, SignalChange

NO_VF_LOG_ODDS = -1.0  # log odds of fibrillation where nothing speaks for it
BEHIND_S = 600.0  # of signal that a source may send again after a restart; for more none is waited
SAME_NS = 1_000_000_000  # a frame sent again has the times that its samples had, but for this


class Segment:
    """The state of one segment, which begins with ``chunk``."""

    def __init__(
        self,
        chunk: Chunk,
        spec: PreprocessSpec,
        coefficients: AlarmCoefficients,
        limits: AlarmLimits,
    ) -> None:
        self.stream, self.epoch = chunk.stream, chunk.epoch
        self.fs, self.leads = chunk.fs, chunk.leads
        self.first = chunk.first  # sample that it begins with
        self.restarts = 0  # how often the source began anew under this epoch
        self._new_frontend = partial(Frontend, spec, coefficients, chunk.fs, chunk.leads)
        self.frontend = self._new_frontend(chunk.first)
        self.behind: int | None = None  # the sample that the front end expects, if it is behind the
        # stream since a restart
        self._fresh = False  # such a front end has seen nothing yet
        ventricular = VentricularClassifier(spec, coefficients.ventricular_run)
        irregularity = Irregularity(spec, coefficients.atrial_fibrillation)
        self.policy = EpisodePolicy(limits, ventricular, chunk.fs, irregularity)
        self.source_clock = SourceClock(chunk.fs, chunk.first, chunk.t_ns)
        self.preferred_leads = spec.leads  # by their names, best first
        self.recent: RecentEcg | None = None  # for strips, where alerts are to have some
        self.set_strip(limits.strip_s, chunk.first)
        self.latest_beat: BeatPlace | None = None  # of those that became messages
        self.beats_before = 0  # beats of this epoch in earlier segments, or before a restart

    def set_strip(self, seconds: float, start: int) -> None:
        """From sample ``start`` on, keep as much ECG as a strip of ``seconds`` needs; 0: none."""
        if not seconds:
            self.recent = None
        elif self.recent is None or self.recent.seconds != seconds:
            self.recent = RecentEcg(seconds, self.fs, len(self.leads), self.first, start)

    def episode_id(self, code: str, number: int) -> str:
        """The id of the segment's episode of ``code`` with ``number``, the same over restarts."""
        epoch = f"{self.epoch}+{self.restarts}" if self.restarts else self.epoch
        return f"{self.stream}/{epoch}/{self.first}/{code}/{number}"

    def episodes(self) -> set[str]:
        """The ids of the episodes that its policy has begun and will end."""
        active = self.policy.active.items()
        return {self.episode_id(key.partition("/")[0], number) for key, number in active}

    def restore(self, snapshot: Snapshot) -> bool:
        """Go on, under the same ids, with what ``snapshot`` remembers of this segment.

        Whether front end and policy are of the same moment, or will be once `rerun` has seen all
        that the front end has not. If not, `reconcile` them once the signal's conditions have had
        time to be found again.
        """
        self.first, self.restarts = snapshot.first, snapshot.restarts
        self.source_clock.restore(snapshot.clock)
        self.policy.restore(snapshot.policy)
        self.latest_beat = snapshot.latest_beat
        at = self._restore_frontend(snapshot)
        if self.recent is not None:  # no checkpoint has ECG
            seconds, self.recent = self.recent.seconds, None
            self.set_strip(seconds, at)
        if at == snapshot.expected:
            return True
        if snapshot.expected - at > BEHIND_S * self.fs:
            self._skip(at, snapshot.expected)
            return False
        self.behind = at
        return True

    def _restore_frontend(self, snapshot: Snapshot) -> int:
        """The sample that the front end expects then."""
        saved = snapshot.frontend
        try:
            if saved is not None:
                self.frontend.restore(saved.state)
                self.beats_before = snapshot.beats - saved.beats
                return saved.expected
        except ArtifactError:  # of no use here
            pass
        self._fresh = True
        self.frontend = self._new_frontend(snapshot.first)
        self.beats_before = snapshot.beats
        return snapshot.first

    def is_repeat(self, chunk: Chunk, expected: int) -> bool:
        """Whether ``chunk`` has samples before ``expected``, sent again after a restart, that the
        front end, which is behind, has not seen."""
        if self.behind is None or (chunk.epoch, chunk.leads) != (self.epoch, self.leads):
            return False
        if not self.behind - len(chunk.samples) < chunk.first <= expected:
            return False
        return abs(chunk.t_ns - self.source_clock.times.reckoned(chunk.first)) <= SAME_NS

    def rerun(self, chunk: Chunk | None, expected: int) -> bool:
        """Let the front end, which is behind, see what ``chunk`` has of the samples before
        ``expected``. What lies before ``chunk``, or all if it is None, it will never see.

        Whether it has seen all so far. What it finds came out before the restart.
        """
        assert self.behind is not None
        first = expected if chunk is None else min(chunk.first, expected)
        if skipped := first > self.behind:
            self._skip(self.behind, first)
            self.behind = first
        if chunk is not None and first < expected:
            samples = chunk.samples[self.behind - chunk.first : expected - chunk.first]
            self._count_known(self.frontend.push(samples))
            self.behind += len(samples)
            self._fresh = False
        if self.behind == expected:
            self.behind = None
        return not skipped

    def _skip(self, at: int, to: int) -> None:
        """The front end, which expects ``at``, will not see what lies before ``to``."""
        if self._fresh:
            self.frontend = self._new_frontend(to)
        else:
            self._count_known(self.frontend.skip(to - at))

    def _count_known(self, events: list[Event]) -> None:
        """Their beats came out before the restart."""
        self.beats_before -= sum(isinstance(event, Beat) for event in events)

    def reconcile(self, sample: int) -> list[Event]:
        """At ``sample``, the end of what holds for the policy but not for the front end.

        The front end reports changes alone, and does not know of those since the snapshot.
        """
        held = self.policy.signal_conditions
        suspended = self.frontend.suspended
        over: list[Event] = [
            SignalChange(condition, False, lead, sample, sample, suspended)
            for condition, lead in sorted(held - self.frontend.conditions())
        ]
        if not self.frontend.reports_status:
            normal = RhythmStatus(
                sample=sample,
                known_at=sample,
                samples_since_beat=0,
                signal_ok=not suspended,
                vf_log_odds=NO_VF_LOG_ODDS,
            )
            over.append(normal)
        return over


def empty_chunk(snapshot: Snapshot) -> Chunk:
    """A chunk without samples where the stream of ``snapshot`` goes on."""
    samples = np.empty((0, len(snapshot.leads)), np.float32)
    first, leads = snapshot.expected, snapshot.leads
    return Chunk(snapshot.stream, snapshot.epoch, 0, first, 0, snapshot.fs, leads, samples)
