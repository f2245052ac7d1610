"""A record's dtype and the Protocol by which a type checker sees it have the same fields."""

from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from beatgan.beats import beat_quality, emit, lead_pipeline
from beatgan.signal import (
    latest_beat,
    mains_hum,
    matched_filter,
    pacing_spikes,
    qrs_detector,
    rhythm_status,
    signal_quality,
    vf_features,
)
from beatgan.spec import PreprocessSpec
from beatgan.types import Records

SPEC = PreprocessSpec()
PAIRS = [
    (signal_quality.STATE, signal_quality.State),
    (signal_quality.CHANGE, signal_quality.Change),
    (matched_filter.STATE, matched_filter.State),
    (qrs_detector.STATE, qrs_detector.State),
    (qrs_detector.DETECTION, qrs_detector.Detection),
    (vf_features.STATE, vf_features.State),
    (latest_beat.STATE, latest_beat.State),
    (mains_hum.STATE, mains_hum.State),
    (pacing_spikes.STATE, pacing_spikes.State),
    (rhythm_status.STATE, rhythm_status.State),
    (rhythm_status.STATUS, rhythm_status.Status),
    (beat_quality.STATE, beat_quality.State),
    (beat_quality.COEFFICIENTS, beat_quality.Coefficients),
    (lead_pipeline.PLAN, lead_pipeline.Plan),
    (lead_pipeline.layout(SPEC), lead_pipeline.Lead),
    (emit.EVENT, emit.Event),
    (emit.layout(SPEC), emit.Stream),
]
SCALARS = {"i8": int, "f8": float}


def fits(field: np.dtype[Any], hint: Any) -> bool:
    """Whether ``hint`` is the type of ``field``: a number, an array, a record or records."""
    if field.base.names is not None:
        nested = next(view for dtype, view in PAIRS if dtype == field.base)
        if field.shape:
            return get_origin(hint) is Records and get_args(hint) == (nested,)
        return hint is nested
    if not field.shape:
        return SCALARS[field.str[1:]] is hint
    return get_origin(hint) is np.ndarray and get_args(get_args(hint)[1]) == (field.base.type,)


@pytest.mark.parametrize(("dtype", "view"), PAIRS, ids=lambda each: str(each)[:40])
def test_a_record_has_the_fields_of_its_protocol(dtype: np.dtype[Any], view: type) -> None:
    hints = get_type_hints(view)
    assert tuple(hints) == dtype.names
    assert [name for name in hints if not fits(dtype[name], hints[name])] == []
