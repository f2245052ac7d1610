"""The bundled excerpts: as wfdb reads them, with their licence, and no larger than they may be."""

import numpy as np
import pytest

from beatgan.errors import RecordError
from beatgan.records import excerpt, read_recording
from beatgan.records.excerpt import EXCERPTS, FOLDER, SAMPLE


@pytest.mark.parametrize("name", EXCERPTS)
def test_an_excerpt_is_what_wfdb_reads(name: str) -> None:
    found, source, annotated = excerpt.read(name)
    expected = read_recording(FOLDER / name)
    assert (found.name, found.fs, found.leads) == (name, 360.0, expected.leads)
    assert found.samples.dtype == np.float32
    np.testing.assert_allclose(found.samples, expected.samples, atol=1e-6)
    assert found.samples.shape == ((108_000, 1) if name == SAMPLE else (43_200, 2))
    assert found.samples.min() < 0 < found.samples.max()  # both signs are read
    assert source.startswith("MIT-BIH record")
    assert annotated
    assert "#" not in source + annotated


def test_the_header_s_checksums_fit_the_samples() -> None:
    for name in EXCERPTS:
        found = excerpt.read(name).recording
        units = np.rint(found.samples * 200 + 1024).astype(int)
        lines = (FOLDER / f"{name}.hea").read_text().splitlines()[1:-2]
        for column, line in zip(units.T, lines, strict=True):
            first, checksum = map(int, line.split()[5:7])
            assert column[0] == first
            assert (column.sum() - checksum) % 2**16 == 0


def test_none_lies_there_unlisted_and_licence_and_citation_lie_beside_them() -> None:
    assert {file.stem for file in FOLDER.glob("*.hea")} == set(EXCERPTS)
    text = (FOLDER / "README.md").read_text()
    assert "Open Data Commons Attribution License" in text
    assert "Moody GB, Mark RG" in text
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 2e6


def test_one_that_is_missing_is_named() -> None:
    with pytest.raises(RecordError, match="nonesuch"):
        excerpt.read("nonesuch")
