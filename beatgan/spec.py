"""How raw millivolts become the numbers a network sees. Travels inside every model file.

A daemon has no setting for any of it: what a model was trained on is what it is served.
"""

from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, Self

from beatgan.errors import ArtifactError

# What model files of format 2 call fields that have another name today.
FORMER_NAMES = {"reference_beats": "template_beats", "reference_bound": "template_bound"}


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """The preprocessing of one model; every field changes what the network sees.

    Lengths are in samples at ``rate`` unless a name says otherwise. ``scale`` says what a beat's
    amplitude is measured against: ``patient`` divides by the root mean square of the patient's
    own template, the running normal beat (amplitude stays visible); ``beat`` maps each beat's own
    minimum and maximum to -1 and 1, as BeatGAN (Zhou et al., IJCAI 2019) does.
    """

    rate: int = 360
    highpass_hz: float = 0.5
    lowpass_hz: float = 40.0
    before: int = 140
    after: int = 180
    align: int = 6  # the window may move this far from the R peak to match the template
    score_before: int = 90  # the samples whose reconstruction error counts: further out lie
    score_after: int = 130  # the neighbouring beats when the heart is fast
    template_beats: int = 30  # how many beats the template remembers
    template_bound: float = 0.5  # what one beat may pull, in standard deviations of the template
    rr_beats: int = 40  # how many RR intervals prematurity is computed from
    scale: Literal["patient", "beat"] = "patient"
    second_lead: float = 0.35  # its share in a beat's distance, where there is one; 0: never used
    leads: tuple[str, ...] = ("MLII", "II", "V5", "V2", "I", "V1")  # preferred, best first

    def __post_init__(self) -> None:
        if self.rate != 360:
            raise ArtifactError(f"spec: rate must be 360 (the detector's lengths), got {self.rate}")
        if not 0 < self.highpass_hz < self.lowpass_hz < self.rate / 2:
            raise ArtifactError(
                f"spec: need 0 < highpass_hz < lowpass_hz < rate/2, got {self.highpass_hz}, "
                f"{self.lowpass_hz}, {self.rate}"
            )
        if min(self.before, self.after) < 60 or not 0 <= self.align < 50:
            raise ArtifactError("spec: before and after must be >= 60 and align within 0..49")
        if not (0 < self.score_before <= self.before and 0 < self.score_after <= self.after):
            raise ArtifactError("spec: score_before and score_after must lie inside the window")
        if min(self.template_beats, self.rr_beats) < 1 or self.template_bound <= 0:
            raise ArtifactError("spec: template_beats, rr_beats, template_bound must be > 0")
        if not 0 <= self.second_lead < 1:
            raise ArtifactError(f"spec: second_lead must be within 0..1, got {self.second_lead}")
        if self.scale not in ("patient", "beat"):
            raise ArtifactError(f"spec: scale must be 'patient' or 'beat', got {self.scale!r}")

    @property
    def length(self) -> int:
        """Samples in a window."""
        return self.before + self.after

    @property
    def scored(self) -> slice:
        """The samples of a window whose reconstruction error counts."""
        return slice(self.before - self.score_before, self.before + self.score_after)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a model file."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The spec stored as ``values``, by today's field names or those of format 2.

        Raises ArtifactError on any key missing, unknown or given by both its names.
        """
        for old, new in FORMER_NAMES.items():
            if old in values and new not in values:
                values = {new if key == old else key: value for key, value in values.items()}
        names = [f.name for f in fields(cls)]
        for key in values:
            if key not in names:
                near = get_close_matches(str(key), names, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ArtifactError(f"spec: unknown key {key!r}{hint}")
        if missing := [name for name in names if name not in values]:
            raise ArtifactError(f"spec: missing key(s) {', '.join(missing)}")
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        try:
            return cls(**values)
        except TypeError as error:
            raise ArtifactError(f"spec: {error}") from None
