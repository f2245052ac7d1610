"""A strip of ECG as an HL7 FHIR Observation with SampledData, one component a lead. Pure.

R4 (and R4B, which is the same here) and R5 differ in how they say the rate. docs/bridges.md has
every element.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import numpy as np
from msgspec import UNSET

from beatgan.explain.episode import NO_DATE_S
from beatgan.explain.strip import FINEST_MV, STEPS, EcgStrip
from beatgan.protocol.messages import AlertMessage
from beatgan.types import Doubles
from beatgan_daemon.bridges.bed_map import Bed
from beatgan_daemon.bridges.nomenclature import Term, alarm_name, lead_term, term

MDC: Final = "urn:iso:std:iso:11073:10101"
UCUM: Final = "http://unitsofmeasure.org"
CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
LOST: Final = "E"  # what SampledData writes for a sample without a value
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Json = dict[str, Any]


class Release(StrEnum):
    """Of FHIR."""

    R4 = "r4"
    R5 = "r5"


def observation(alert: AlertMessage, strip: EcgStrip, bed: Bed, release: Release) -> Json:
    """The Observation of an alarm's strip, as JSON values.

    The patient is in it only where ``bed`` says who. Its times are the source's; a recording
    without a date has none.
    """
    first_ns = alert.onset_ns + round((strip.first - alert.onset_sample) / strip.fs * 1e9)
    last_ns = first_ns + round((len(strip.millivolt) - 1) / strip.fs * 1e9)
    period = {"start": _time(first_ns), "end": _time(last_ns)}
    name = alarm_name(alert.code)
    resource: Json = {
        "resourceType": "Observation",
        "identifier": [{"value": alert.id}],
        "status": "preliminary",  # seen by nobody yet
        "category": [{"coding": [{"system": CATEGORY, "code": "procedure"}]}],
        "code": _concept(term("ecg"), "ECG strip of an alarm"),
        "subject": _subject(bed),
        "effectivePeriod": None if 0 <= alert.onset_ns < NO_DATE_S * 10**9 else period,
        "device": {"identifier": {"value": alert.stream}, "display": f"beatgan: {alert.stream}"},
        "note": [{"text": name.text if alert.text is UNSET else alert.text}],
        "component": [
            {
                "code": _concept(lead_term(lead), lead),
                "valueSampledData": _sampled(strip.millivolt[:, column], strip.fs, release),
            }
            for column, lead in enumerate(strip.leads)
        ],
    }
    return {key: value for key, value in resource.items() if value is not None}


def _subject(bed: Bed) -> Json | None:
    if bed.patient_id is None:
        return None
    identifier: Json = {"value": bed.patient_id}
    if bed.patient_id_authority is not None:
        identifier["assigner"] = {"display": bed.patient_id_authority}
    return {"type": "Patient", "identifier": identifier}


def _concept(known: Term | None, text: str) -> Json:
    if known is None:
        return {"text": text}
    coding = {"system": MDC, "code": str(known.code), "display": known.name}
    return {"coding": [coding], "text": text}


def _sampled(millivolt: Doubles, fs: float, release: Release) -> Json:
    """A lead's samples in whole steps of ``factor`` mV: 1 microvolt unless it takes larger ones."""
    known = ~np.isnan(millivolt)
    factor = max(FINEST_MV, float(np.abs(millivolt[known]).max(initial=0.0)) / STEPS)
    steps = np.rint(np.where(known, millivolt, 0.0) / factor).astype(np.int64)
    words = [str(step) if there else LOST for step, there in zip(steps, known, strict=True)]
    origin = {"value": 0, "unit": "mV", "system": UCUM, "code": "mV"}
    return {
        "origin": origin,
        **_interval(fs, release),
        "factor": factor,
        "dimensions": 1,
        "data": " ".join(words),
    }


def _interval(fs: float, release: Release) -> Mapping[str, Any]:
    interval_ms = round(1000 / fs, 9)
    if release is Release.R4:
        return {"period": interval_ms}
    return {"interval": interval_ms, "intervalUnit": "ms"}


def _time(ns: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=round(ns / 1e6))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
