"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def mitdb() -> Path:
    """The folder of the MIT-BIH Arrhythmia Database, or a skip that says where it was sought."""
    data = Path(os.environ.get("BEATGAN_DATA", ROOT.parent / "shared" / "data"))
    if not (data / "mitdb" / "208.hea").exists():
        pytest.skip(
            f"no MIT-BIH database in {data}/mitdb; set BEATGAN_DATA to a folder that has it"
        )
    return data / "mitdb"
