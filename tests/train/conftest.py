"""Fixtures shared by the tests of the training shell."""

from pathlib import Path

import numpy as np
import pytest
import wfdb

from beatgan.model.synthetic_ecg import beat_times, synthetic_ecg
from beatgan_train.data.mitdb import DS1, DS2

SECONDS, FS, EVERY = 60.0, 360, 9


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ``mitdb`` of synthetic patients: the 44 records of DS1 and DS2, 60 s each.

    Every ninth beat is ventricular (V); a few beats that look normal are called A, F and Q.
    """
    data = tmp_path_factory.mktemp("data")
    folder = data / "mitdb"
    folder.mkdir()
    for seed, name in enumerate(DS1 + DS2):
        write_patient(folder, name, seed)
    return data


def write_patient(folder: Path, name: str, seed: int) -> None:
    """One synthetic record with its annotation."""
    bpm = 62.0 + seed
    ecg = synthetic_ecg(SECONDS, FS, seed, bpm, EVERY)
    apexes = np.round(beat_times(SECONDS, seed, bpm, EVERY) * FS).astype(np.int64)
    symbols = np.full(len(apexes), "N")
    symbols[[10, 19, 37]] = ["A", "F", "Q"]
    symbols[EVERY - 1 :: EVERY] = "V"
    wfdb.wrsamp(
        name,
        fs=FS,
        sig_name=["MLII"],
        units=["mV"],
        p_signal=ecg[:, None].astype(np.float64),
        fmt=["16"],
        write_dir=str(folder),
    )
    wfdb.wrann(name, "atr", sample=apexes, symbol=symbols.tolist(), write_dir=str(folder))
