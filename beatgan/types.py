"""The frozen values that flow through the system: Chunk -> Beat -> Score -> Alert.

Times are sample indices of the source unless a name says otherwise (``_ns``, ``_ms``).
Nothing here knows a socket, a file or a clock.
"""

from collections.abc import Iterator
from enum import StrEnum
from math import inf, log
from typing import Any, Protocol, Self, TypeVar, overload

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from beatgan.beat_classes import CLASSES, BeatClass

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
PerClass = tuple[float, float, float, float, float]  # a number for each of `CLASSES`
RecordT = TypeVar("RecordT", covariant=True)
MIN_FS, MAX_FS = 50.0, 2000.0  # samples per second and lead that a stream may have
MAX_LEADS = 16  # that a stream may have
MAX_FIRST = 2**53 - 1  # index of a frame's first sample: exact in a double, so in any JSON reader
MAX_SAMPLE = 2**54  # no index of a source's sample reaches it: the last frame begins at MAX_FIRST
RHYTHM_INTERVALS = 32  # RR intervals that a beat's rhythm tells ...
RHYTHM_SIZE = RHYTHM_INTERVALS + 2  # ... and two numbers more, see Beat
MIN_TIME_NS, MAX_TIME_NS = -(2**63), 2**63 - 1  # UNIX times: the years 1677 to 2262


def _constant(values: list[float]) -> Floats:
    array = np.array(values, np.float32)
    array.setflags(write=False)
    return array


ASSUMED_RR_S = 0.8  # the long RR interval of a patient of whom none is known
UNKNOWN_RHYTHM = _constant([0.0] * RHYTHM_INTERVALS + [log(ASSUMED_RR_S), 1.0])  # see Beat
EMPTY = _constant([])


class Records(Protocol[RecordT]):
    """An array of NumPy records, of one or two dimensions, as compiled code sees it.

    NumPy has no type for a record's fields. So beside each dtype stands a Protocol with the same
    fields: annotations of compiled code name it, and a type checker finds a misspelt field.
    """

    @property
    def size(self) -> int:
        """How many records."""
        ...

    @property
    def dtype(self) -> Any:
        """That of a record."""
        ...

    @overload
    def __getitem__(self, index: int, /) -> RecordT: ...
    @overload
    def __getitem__(self, index: tuple[int, int], /) -> RecordT: ...
    @overload
    def __getitem__(self, index: slice | tuple[slice, int], /) -> "Records[RecordT]": ...
    def __setitem__(self, index: int, record: Any, /) -> None: ...
    def __iter__(self) -> Iterator[RecordT]: ...


class Quality(StrEnum):
    """How far a beat's signal can be trusted."""

    GOOD = "good"
    POOR = "poor"  # scored, but with noise, or before the filters had settled
    UNUSABLE = "unusable"  # not scored: lost samples or a flat line in the window, or all noise


class Condition(StrEnum):
    """What ails a signal while it lasts."""

    GAP = "gap"
    FLAT = "flat"
    SATURATED = "saturated"
    NOISE = "noise"


class Chunk(Struct, frozen=True, eq=False, gc=False):
    """Consecutive samples of one stream, as one frame of the wire carries them.

    ``first`` is the index of the first sample counted from the start of the source's ``epoch``;
    ``samples`` has shape (n, len(leads)), millivolt, NaN where the source lost a sample.
    """

    stream: str
    epoch: int
    seq: int
    first: int
    t_ns: int
    fs: float
    leads: tuple[str, ...]
    samples: Floats


class Beat(Struct, frozen=True, eq=False, gc=False):
    """One heartbeat in its patient's context, ready to be scored.

    ``window`` and ``template`` have ``spec.length`` samples at ``spec.rate`` Hz, normalised as the
    spec says; ``template`` is the patient's own running normal beat *before* this beat was seen
    (a stream's first beat has none and is its own). Both are empty when ``quality`` is unusable.
    ``second_window`` and ``second_template`` are those of the other lead in use, in units of its
    own template, at the same samples; empty where it had no share in ``distance``, too.

    ``distance``: natural log of the squared distance to the template relative to the template's
    energy, less a share of this patient's usual distance; of two leads where there are two; None
    where there is nothing yet to compare with. ``lead_distances``: that of ``lead`` alone and that
    of the other lead, None where it has no share. ``leads_agree``: whether another lead has found a
    beat within 100 ms of this one, by the time this one is known; None where no other lead carries
    signal. ``prematurity``: how much shorter the RR interval is than a long one of this patient, as
    a logarithm, relative to the patient's irregularity; 0 where no RR is known (see
    ``beatgan.beats.rr``).

    ``rhythm``, of shape (RHYTHM_SIZE,), is all finite. First the natural logarithms of the
    latest RR intervals, in order, this beat's own last, each less that of the patient's long RR
    interval before this beat and within -1.5 to 1.5. Only known intervals stand in it, so that a
    loss of signal leaves no hole; what is not there yet, or this beat's own where ``rr_ms`` is
    None, is 0: as if on time. Then the logarithm of the long RR in seconds, and the share that is
    still unknown of the ``spec.rr_beats`` intervals before this one that it is taken from. Where
    none of them is known, this beat's own RR counts as the long one, or else ASSUMED_RR_S.
    """

    n: int
    sample: int  # R apex, in the source's own samples
    known_at: int  # first source sample count at which everything this beat needs had arrived
    lead: str
    rr_ms: float | None
    quality: Quality
    window: Floats
    template: Floats
    distance: float | None
    prematurity: float
    # An alarm state of an earlier version may lack what follows.
    rhythm: Floats = UNKNOWN_RHYTHM
    second_window: Floats = EMPTY
    second_template: Floats = EMPTY
    lead_distances: tuple[float | None, float | None] = (None, None)
    leads_agree: bool | None = None


class SignalChange(Struct, frozen=True, gc=False):
    """A lead's signal became unusable (``begins``) or usable again."""

    condition: Condition
    begins: bool
    lead: str
    sample: int  # where the condition itself began or ended
    known_at: int
    suspended: bool  # whether from then on no lead is usable, so that no beat can be scored


class RhythmStatus(Struct, frozen=True, gc=False):
    """The rhythm over the latest seconds; reported while no beat comes or VF is likely.

    ``samples_since_beat``: source samples since the latest beat that any lead had, or since signal
    arrived, if that is later. ``signal_ok``: whether a beat would have been seen: some lead carries
    signal (a flat line counts) that is neither lost nor saturated, nor moves so much that a beat
    could be hidden in it. ``vf_log_odds``: running log odds of ventricular fibrillation, on the
    lead that looks least like it.
    """

    sample: int
    known_at: int
    samples_since_beat: int
    signal_ok: bool
    vf_log_odds: float


class Unrevised(Struct, frozen=True, gc=False):
    """What a score keeps for its revision: all but what the next RR interval changes.

    ``value``: the score without its part by class; ``shape_logits``: what the beat's shape says of
    each of `CLASSES`; ``model``: a name of the model's content, since only that model can go on.
    """

    value: float
    shape_logits: PerClass
    model: str


class Score(Struct, frozen=True, eq=False, gc=False):
    """What the model says of one beat: higher is more anomalous; None where it cannot say.

    ``reconstruction`` is the beat as the network reconstructs it, in the window's shape and units.
    ``saliency`` says where the beat is unusual: for each sample, the squared difference from the
    patient's template, in units of what is usual for that sample in normal beats; where there is no
    template yet, and with ``scale="beat"``, the squared difference from ``reconstruction``. Both
    are empty when ``value`` is None. ``probabilities``: of each of `CLASSES`, in their order, with
    sum 1; None where the model knows no classes, and when ``value`` is None. ``spread``: how far
    the samples of normal beats lie from ``reconstruction``, as a standard deviation; empty where
    the model does not say. ``unrevised``: what a revision begins with; None where none comes.
    ``terms``: what each of the model's components adds to ``value``, that by class left out (see
    `beatgan.model.calibration.shares`), NaN for one that the model has not; empty where unknown.
    """

    beat: Beat
    value: float | None
    threshold: float
    reconstruction: Floats
    saliency: Floats
    probabilities: PerClass | None = None
    spread: Floats = EMPTY
    unrevised: Unrevised | None = None
    terms: Floats = EMPTY

    @property
    def beat_class(self) -> BeatClass | None:
        """The most probable class, of several the first; None without probabilities."""
        if self.probabilities is None:
            return None
        return CLASSES[self.probabilities.index(max(self.probabilities))]

    @property
    def anomalous(self) -> bool:
        """Whether the beat was scored and lies above the threshold."""
        return self.value is not None and self.value > self.threshold

    @property
    def known_at(self) -> int:
        """As of the beat: a score needs nothing more."""
        return self.beat.known_at

    @property
    def value_or_neginf(self) -> float:
        """The value, by which scores are ordered; -inf where there is none."""
        return -inf if self.value is None else self.value

    def with_own_arrays(self) -> Self:
        """The same with arrays of its own: as scored, they are parts of a whole batch's."""
        first, second = self.reconstruction.base, self.saliency.base
        if first is second is self.spread.base is self.terms.base is None:
            return self
        return replace(
            self,
            reconstruction=self.reconstruction.copy(),
            saliency=self.saliency.copy(),
            spread=self.spread.copy(),
            terms=self.terms.copy(),
        )


class Kind(StrEnum):
    """Whether an alert is about the patient or about equipment."""

    PHYSIOLOGICAL = "physiological"
    TECHNICAL = "technical"


class Priority(StrEnum):
    """How soon somebody must respond (IEC 60601-1-8)."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Phase(StrEnum):
    """Where in its life an episode is."""

    START = "start"
    UPDATE = "update"
    END = "end"


class Alert(Struct, frozen=True, kw_only=True):
    """One message about one episode; ``episode`` counts the stream's episodes from 0.

    ``code``: see ``beatgan.alarms.codes``. ``beats``: R peaks (source samples) of the episode's
    beats since the last message. ``worst``: the highest score among them; None for technical
    alerts. It explains the episode if ``explains``: it is the highest so far. The message is true
    from sample ``at`` on; ``condition_ms``: from there to the moment it could be known. ``lead``:
    the one that it is about, None for all or none. ``suspended``: whether no lead is usable, so
    that no beat can be scored. ``suppressed``: how many episodes of this code were held back since
    the last message of this code. ``text``: the same for people, in a sentence; empty where the
    code says it all. ``heart_rate``: in beats a minute, None where unknown.
    """

    episode: int
    kind: Kind
    code: str
    priority: Priority
    phase: Phase
    onset: int
    end: int | None
    at: int
    lead: str | None
    suspended: bool
    beats: tuple[int, ...]
    worst: Score | None
    explains: bool
    condition_ms: float
    suppressed: int = 0
    text: str = ""
    heart_rate: float | None = None
