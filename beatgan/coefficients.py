"""What was fitted to recordings for the alarms, and to which preprocessing. Travels in model files.

Fitted by ``beatgan-train coefficients``; the core only applies them. Weights are those of natural
logarithms in a logistic regression, so that each weighted sum is in log odds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from math import isfinite
from typing import Any, Self, get_type_hints

from beatgan.errors import ArtifactError
from beatgan.spec import PreprocessSpec


@dataclass(frozen=True, slots=True)
class NoiseWeights:
    """Log odds that a beat is made by noise: see ``beatgan.beats.beat_quality``."""

    template_distance: float
    hf_noise: float
    baseline_wander: float
    amplitude_range: float
    offset: float


@dataclass(frozen=True, slots=True)
class NoiseCoefficients:
    """Log odds of noise with and without its high-frequency part, and where each grade begins.

    A grade is left later than it is entered, so that it does not flap.
    """

    with_hf_noise: NoiseWeights
    without_hf_noise: NoiseWeights
    poor_entered: float
    poor_left: float
    unusable_entered: float
    unusable_left: float


@dataclass(frozen=True, slots=True)
class VfCoefficients:
    """Log odds of ventricular fibrillation or flutter: see ``beatgan.signal.vf_features``."""

    peakedness: float
    leakage: float
    slope_peakedness: float
    slope_concentration: float
    offset: float


@dataclass(frozen=True, slots=True)
class VentricularRunCoefficients:
    """Log odds that beats are a ventricular run: ``beatgan.alarms.ventricular_classifier``."""

    least: float
    mean: float
    likeness: float
    unevenness: float
    poor: float
    distance: float
    slowness: float
    steepness: float
    hf_noise: float
    agreement: float
    own_beats: float
    offset: float


@dataclass(frozen=True, slots=True)
class AtrialFibrillationCoefficients:
    """Log odds of atrial fibrillation: see ``beatgan.alarms.irregularity``."""

    sample_entropy: float
    scatter: float
    trend: float
    recurrence: float
    rr: float
    normal_share: float
    p_wave: float
    offset: float


# The fields of the spec that each group's features depend on, by the group's name.
DEPENDS_ON: Mapping[str, tuple[str, ...]] = {
    "noise": ("rate", "highpass_hz", "lowpass_hz", "before", "after", "align"),
    "vf": ("rate", "highpass_hz", "lowpass_hz"),
    "ventricular_run": ("rate", "highpass_hz", "lowpass_hz", "before", "after", "scale"),
    "atrial_fibrillation": ("rate", "highpass_hz", "lowpass_hz", "before"),
}
GROUPS = tuple(DEPENDS_ON)


@dataclass(frozen=True, slots=True)
class AlarmCoefficients:
    """All fitted coefficients, and ``fitted_to``: the values of the spec's fields they belong to.

    Every other field is a group: a dataclass of numbers, or of such dataclasses. Raises
    ArtifactError where a number is not finite.
    """

    noise: NoiseCoefficients
    vf: VfCoefficients
    ventricular_run: VentricularRunCoefficients
    atrial_fibrillation: AtrialFibrillationCoefficients
    fitted_to: tuple[tuple[str, Any], ...]

    def __post_init__(self) -> None:
        for path, value in _numbers({name: asdict(getattr(self, name)) for name in GROUPS}):
            if not isfinite(value):
                raise ArtifactError(f"coefficients: {path} is not finite")

    def check_fits(self, spec: PreprocessSpec, groups: Iterable[str] = GROUPS) -> None:
        """Raise ArtifactError naming the field in which ``spec`` is not the one fitted to."""
        fitted = dict(self.fitted_to)
        for group in groups:
            for name in DEPENDS_ON[group]:
                if fitted.get(name) != getattr(spec, name):
                    raise ArtifactError(
                        f"coefficients: {group} was fitted to spec.{name} = {fitted.get(name)!r}, "
                        f"this spec has {getattr(spec, name)!r}; refit: beatgan-train coefficients"
                    )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a model file."""
        return {**asdict(self), "fitted_to": dict(self.fitted_to)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Coefficients stored as ``values``; raises ArtifactError on any key missing or unknown."""
        _check_keys("coefficients", cls, values)
        if not isinstance(values["fitted_to"], Mapping):
            raise ArtifactError("coefficients.fitted_to: expected a table")
        kinds = get_type_hints(cls)
        groups = {name: _made(f"coefficients.{name}", kinds[name], values[name]) for name in GROUPS}
        return cls(**groups, fitted_to=tuple(sorted(values["fitted_to"].items())))


def fitted_to(spec: PreprocessSpec) -> tuple[tuple[str, Any], ...]:
    """The ``fitted_to`` of coefficients fitted to recordings preprocessed as ``spec`` says."""
    names = sorted({name for names in DEPENDS_ON.values() for name in names})
    return tuple((name, getattr(spec, name)) for name in names)


def _made(path: str, kind: type[Any], values: Mapping[str, Any]) -> Any:
    """A dataclass of numbers and of such dataclasses, from the table at ``path``."""
    _check_keys(path, kind, values)
    kinds = get_type_hints(kind)
    made = {}
    for name, value in values.items():
        if is_dataclass(kinds[name]):
            made[name] = _made(f"{path}.{name}", kinds[name], value)
            continue
        try:
            made[name] = float(value)
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"{path}.{name}: {error}") from None
    return kind(**made)


def _check_keys(path: str, kind: type[Any], values: Mapping[str, Any]) -> None:
    if not isinstance(values, Mapping):
        raise ArtifactError(f"{path}: expected a table, got {type(values).__name__}")
    names = {field.name for field in fields(kind)}
    if wrong := names ^ set(values):
        raise ArtifactError(
            f"{path}: missing or unknown key(s) {', '.join(sorted(map(str, wrong)))}"
        )


def _numbers(table: Mapping[str, Any], path: str = "") -> list[tuple[str, float]]:
    """Every number of a nested table, with its dotted path."""
    found: list[tuple[str, float]] = []
    for key, value in table.items():
        where = f"{path}.{key}" if path else key
        if isinstance(value, Mapping):
            found += _numbers(value, where)
        elif isinstance(value, float | int):
            found.append((where, float(value)))
    return found
