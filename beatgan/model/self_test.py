"""A model's self-test: synthetic ECG, and the scores and alerts it gave when it was recorded.

It shows that the front end, the network and the alarms do here what they did there. Knows no file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Self

import numpy as np

from beatgan.alarms.irregularity import Irregularity
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.policy import EpisodePolicy
from beatgan.alarms.ventricular_classifier import VentricularClassifier
from beatgan.coefficients import AlarmCoefficients
from beatgan.errors import ArtifactError
from beatgan.frontend import Event, Frontend
from beatgan.model.model import Model
from beatgan.model.revision import REVISE_WITHIN_S, revisable_until, revisions
from beatgan.model.synthetic_ecg import synthetic_alarms
from beatgan.spec import PreprocessSpec
from beatgan.types import Alert, Beat, Floats, Score

TOLERANCE = 1e-3  # of a self-test score: processors round differently, by about 1e-5
RecordedAlert = tuple[str, str, int]  # code, phase, onset in samples


@dataclass(frozen=True, slots=True, eq=False)
class SelfTest:
    """Raw ECG, and the scores and alerts it gave when the file was written.

    ``ecg`` (n,) counts in units of ``scale`` millivolt at ``fs`` Hz, synthetic: no patient's
    signal is inside a model. ``r_peaks`` and ``scores`` are those of the scored beats. ``alerts``
    are those under default limits; None where none were recorded, as in format 2.
    """

    ecg: np.ndarray[tuple[int], np.dtype[np.int16]]
    fs: float
    scale: float
    r_peaks: tuple[int, ...]
    scores: tuple[float, ...]
    alerts: tuple[RecordedAlert, ...] | None

    @classmethod
    def record(cls, spec: PreprocessSpec, coefficients: AlarmCoefficients, model: Model) -> Self:
        """Record what ``model`` makes of a synthetic ECG with an alarm of each family."""
        fs, scale = 250.0, 1 / 200
        counts = np.round(synthetic_alarms(fs, seed=1) / scale).astype(np.int16)
        unfinished = cls(counts, fs, scale, (), (), None)
        r_peaks, scores, alerts = unfinished.run(spec, coefficients, model)
        return replace(unfinished, r_peaks=r_peaks, scores=scores, alerts=alerts)

    def run(
        self, spec: PreprocessSpec, coefficients: AlarmCoefficients, model: Model
    ) -> tuple[tuple[int, ...], tuple[float, ...], tuple[RecordedAlert, ...]]:
        """(R peaks, scores) of the beats that can be scored in ``ecg``, and the alerts."""
        millivolt: Floats = (self.ecg.astype(np.float32) * np.float32(self.scale))[:, np.newaxis]
        frontend = Frontend(spec, coefficients, self.fs, ["ECG"])
        events = [*frontend.push(millivolt), *frontend.close()]
        beats = [event for event in events if isinstance(event, Beat)]
        scores = model.score(beats)
        revised = revisions(model, scores, [*beats[1:], None], REVISE_WITHIN_S)
        alerts = self._alerts(spec, coefficients, model, events, scores, revised)
        last = [a if b is None else b for a, b in zip(scores, revised, strict=True)]
        found = [(score.beat.sample, score.value) for score in last if score.value is not None]
        return (
            tuple(sample for sample, _ in found),
            tuple(value for _, value in found),
            tuple((str(each.code), str(each.phase), each.onset) for each in alerts),
        )

    def _alerts(
        self,
        spec: PreprocessSpec,
        coefficients: AlarmCoefficients,
        model: Model,
        events: Sequence[Event],
        scores: Sequence[Score],
        revised: Sequence[Score | None],
    ) -> list[Alert]:
        """Those of ``events``, whose beats have these ``scores``, each ``revised`` or not."""
        ventricular = VentricularClassifier(spec, coefficients.ventricular_run)
        irregularity = Irregularity(spec, coefficients.atrial_fibrillation)
        policy = EpisodePolicy(AlarmLimits(), ventricular, self.fs, irregularity)
        scored = zip(scores, [None, *revised], strict=False)
        alerts: list[Alert] = []
        for event in events:
            if not isinstance(event, Beat):
                alerts += policy.push(event)
                continue
            score, before = next(scored)
            alerts += policy.settle(before, event.known_at)
            until = revisable_until(model, score, self.fs, REVISE_WITHIN_S)
            alerts += policy.push(score, until)
        return alerts + policy.close(self.ecg.size)

    def to_dict(self) -> dict[str, Any]:
        """Plain values and an array, as stored in a model file."""
        return {
            "ecg": self.ecg,
            "fs": self.fs,
            "scale": self.scale,
            "r_peaks": list(self.r_peaks),
            "scores": list(self.scores),
            "alerts": None if self.alerts is None else [list(alert) for alert in self.alerts],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The self-test stored as ``values``; raises ArtifactError on what is not one."""
        try:
            alerts = values["alerts"]
            return cls(
                ecg=_counts(values["ecg"]),
                fs=float(values["fs"]),
                scale=float(values["scale"]),
                r_peaks=tuple(int(r_peak) for r_peak in values["r_peaks"]),
                scores=tuple(float(score) for score in values["scores"]),
                alerts=None
                if alerts is None
                else tuple((str(code), str(phase), int(onset)) for code, phase, onset in alerts),
            )
        except KeyError as error:
            raise ArtifactError(f"self_test: missing {error}") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(f"self_test: {error}") from None

    def differences(
        self, spec: PreprocessSpec, coefficients: AlarmCoefficients, model: Model
    ) -> list[str]:
        """What ``model`` makes of ``ecg`` otherwise than recorded: the first of each kind."""
        r_peaks, scores, alerts = self.run(spec, coefficients, model)
        return [
            *_beat_difference(r_peaks, scores, self),
            *([] if self.alerts is None else _alert_difference(alerts, self.alerts)),
        ]

    def beats_found_again(
        self, spec: PreprocessSpec, coefficients: AlarmCoefficients, model: Model
    ) -> float:
        """The share of the recorded beats that ``model`` scores as recorded.

        Another release may find some others, and the score of a beat goes by those before it, too.
        """
        r_peaks, scores, _ = self.run(spec, coefficients, model)
        found = dict(zip(r_peaks, scores, strict=True))
        again = sum(
            abs(found.get(r_peak, np.inf) - wanted) <= TOLERANCE
            for r_peak, wanted in zip(self.r_peaks, self.scores, strict=True)
        )
        return again / max(1, len(self.r_peaks))


def _counts(ecg: Any) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    if not isinstance(ecg, np.ndarray) or ecg.dtype != np.int16 or ecg.ndim != 1:
        raise TypeError("ecg is no array of int16")
    return ecg


def _beat_difference(
    r_peaks: Sequence[int], scores: Sequence[float], test: SelfTest
) -> Iterator[str]:
    """The first R peak, else the number of beats, else the first score that is not as recorded."""
    for index, (got, expected) in enumerate(zip(r_peaks, test.r_peaks, strict=False)):
        if got != expected:
            yield f"R peak {index}: got {got}, expected {expected}"
            return
    if len(r_peaks) != len(test.r_peaks):
        yield f"got {len(r_peaks)} beats, expected {len(test.r_peaks)}"
        return
    for index, (value, wanted) in enumerate(zip(scores, test.scores, strict=True)):
        if not abs(value - wanted) <= TOLERANCE:
            yield f"score {index}: got {value:.6f}, expected {wanted:.6f}"
            return


def _alert_difference(
    alerts: Sequence[RecordedAlert], recorded: Sequence[RecordedAlert]
) -> Iterator[str]:
    """The first alert that is not as recorded."""
    for index, (got, expected) in enumerate(zip_longest(alerts, recorded)):
        if got != expected:
            yield f"alert {index}: got {_text(got)}, expected {_text(expected)}"
            return


def _text(alert: RecordedAlert | None) -> str:
    return "none" if alert is None else "{} {} (onset at sample {})".format(*alert)
