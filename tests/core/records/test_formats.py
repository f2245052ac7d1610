"""Every format with a sample as its device writes it: whole, cut anywhere, with bytes changed."""

import gzip
import tracemalloc
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beatgan.errors import RecordError
from beatgan.records import Recording, files_of, gaps, read_recording, summary
from beatgan.types import Doubles
from tests.support import recordings as devices
from tests.support.recordings import PERSONAL, STANDARD, START, ecg, interrupted, twelve

START_NS = int(START.replace(tzinfo=UTC).timestamp()) * 10**9
SECONDS = 6
ALLOCATED = 150 << 20  # bytes at most that a small file may make a reader take


class Sample(NamedTuple):
    """A file's name and its writer; the rate it writes, its leads, how exact they are, in mV."""

    file: str
    format: str
    write: Callable[[Path], Path]
    fs: float
    leads: tuple[str, ...]
    exact: float


def one(fs: float) -> Doubles:
    return ecg(SECONDS, fs)


def write_wfdb(path: Path) -> Path:
    wfdb.wrsamp(
        path.stem, 250, ["mV"], ["II"], one(250)[:, None], fmt=["16"], write_dir=str(path.parent),
        base_datetime=START, comments=[" ".join(PERSONAL[:2])],
    )  # fmt: skip
    return path


SAMPLES = [
    Sample("r.hea", "WFDB", write_wfdb, 250, ("II",), 1e-3),
    Sample("a.csv", "Apple Watch CSV",
           lambda p: devices.write_apple_watch(p, one(511.422), 511.422), 511.422, ("I",), 1e-5),
    Sample("g.csv", "Apple Watch CSV",
           lambda p: devices.write_apple_watch(p, one(511.422), 511.422, german=True),
           511.422, ("I",), 1e-5),
    Sample("p.txt", "CSV", lambda p: devices.write_polar(p, one(130), 130), 130, ("ecg",), 6e-4),
    Sample("b.txt", "OpenSignals text (BITalino)",
           lambda p: devices.write_opensignals(p, one(1000), 1000), 1000, ("ECG",), 2e-3),
    Sample("x.txt", "OpenSignals text (biosignalsplux)",
           lambda p: devices.write_opensignals(p, one(1000), 1000, device="biosignalsplux"),
           1000, ("ECG",), 3e-5),
    Sample("s.txt", "BioSPPy text", lambda p: devices.write_biosppy(p, one(500), 500), 500,
           ("ECG",), np.inf),
    Sample("h.xml", "HL7 aECG", lambda p: devices.write_aecg(p, twelve(SECONDS, 500), 500), 500,
           STANDARD, 3e-3),
    Sample("m.xml", "GE MUSE XML", lambda p: devices.write_muse(p, twelve(SECONDS, 500), 500),
           500, STANDARD, 3e-3),
    Sample("q.xml", "Philips Sierra XML",
           lambda p: devices.write_sierra(p, twelve(SECONDS, 500), 500), 500, STANDARD, 3e-3),
    Sample("i.ecg", "ISHNE", lambda p: devices.write_ishne(p, twelve(SECONDS, 500), 500), 500,
           STANDARD, 6e-4),
    Sample("j.ecg", "ISHNE",
           lambda p: devices.write_ishne(p, twelve(SECONDS, 500), 500, per_lead=False), 500,
           STANDARD, 6e-4),
    Sample("d.dcm", "DICOM", lambda p: devices.write_dicom(p, twelve(SECONDS, 500), 500), 500,
           STANDARD, 2e-3),
    Sample("e.edf", "EDF+", lambda p: devices.write_edf(p, one(250), 250), 250, ("II",), 1e-3),
    Sample("k.bdf", "BDF+", lambda p: devices.write_edf(p, one(250), 250), 250, ("II",), 1e-5),
]  # fmt: skip
by_name = pytest.mark.parametrize("sample", SAMPLES, ids=[s.file for s in SAMPLES])


def told(found: Recording) -> str:
    """All that a recording says of itself in words."""
    return f"{found} {summary(found)} {files_of(found.name)}"


@by_name
def test_a_sample_is_read_as_it_was_recorded(sample: Sample, tmp_path: Path) -> None:
    path = sample.write(tmp_path / sample.file)
    found = read_recording(path)
    assert (found.format, found.fs, found.leads) == (sample.format, sample.fs, sample.leads)
    waves = (
        [one(sample.fs)] if len(sample.leads) == 1 else list(twelve(SECONDS, sample.fs).values())
    )
    assert found.samples.shape == (len(waves[0]), len(waves))
    assert found.start_ns == (0 if sample.format == "BioSPPy text" else START_NS)
    assert not gaps(found.samples)
    assert len(found.units) == len(found.leads)
    if np.isfinite(sample.exact):
        np.testing.assert_allclose(found.samples.T, waves, atol=sample.exact)
        assert not found.scaled
    assert path in files_of(path)


@by_name
def test_the_name_does_not_matter(sample: Sample, tmp_path: Path) -> None:
    if sample.format == "WFDB":
        pytest.skip("a record is named by its header")
    path = sample.write(tmp_path / sample.file)
    other = path.rename(tmp_path / "recording")
    assert read_recording(other).format == sample.format


@by_name
def test_nothing_personal_is_told(sample: Sample, tmp_path: Path) -> None:
    path = sample.write(tmp_path / sample.file)
    if sample.file not in ("p.txt", "s.txt"):  # these have no place for it
        assert any(word.encode() in path.read_bytes() for word in PERSONAL)
    assert not any(word in told(read_recording(path)) for word in PERSONAL)


@by_name
def test_a_cut_file_or_a_changed_byte_is_refused_or_read(
    sample: Sample, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Never another error, never a word about a patient, never much memory for a small file."""
    folder = tmp_path_factory.mktemp("whole")
    content = sample.write(folder / sample.file).read_bytes()
    beside = {f.name: f.read_bytes() for f in folder.iterdir() if f.name != sample.file}
    head = min(len(content), 3000)

    @settings(
        max_examples=25, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        st.one_of(st.none(), st.integers(0, len(content))),
        st.lists(
            st.tuples(
                st.one_of(st.integers(0, head - 1), st.integers(0, len(content) - 1)),
                st.integers(0, 255),
            ),
            max_size=3,
        ),
    )
    def damaged(end: int | None, changes: list[tuple[int, int]]) -> None:
        altered = bytearray(content)
        for at, value in changes:
            altered[at] = value
        path = tmp_path_factory.mktemp("damaged") / sample.file
        for name, whole in beside.items():
            (path.parent / name).write_bytes(whole)
        path.write_bytes(altered[:end])
        try:
            found = told(read_recording(path))
        except RecordError as error:
            found = str(error)
            assert sample.file.partition(".")[0] in found
        assert not any(word in found for word in PERSONAL)

    tracemalloc.start()
    try:
        damaged()
        assert tracemalloc.get_traced_memory()[1] < ALLOCATED
    finally:
        tracemalloc.stop()


# --- what is not read, by name


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (b"\x12\x34" + bytes(12) + b"\x0d\x0dSCPECG" + bytes(99), "SCP-ECG"),
        (b"MATLAB 5.0 MAT-file, Platform" + bytes(99), "MATLAB"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
        (gzip.compress(b"0       ", mtime=0), "gzip.*gunzip"),
        (b"PK\x03\x04" + bytes(99), "ZIP"),
        (b'<?xml version="1.0"?><!-- x --><StressTest xmlns="y"></StressTest>', "XML .StressTest"),
        (b"ANN  1.0" + bytes(600), "ISHNE annotations"),
        (bytes(range(256)) * 4, "format is not known"),
    ],
)  # fmt: skip
def test_another_format_is_named(tmp_path: Path, content: bytes, format: str) -> None:
    path = tmp_path / "recording.xyz"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=rf"recording\.xyz.*{format}.*read are WFDB"):
        read_recording(path)


@pytest.mark.parametrize("suffix", ["scp", "xml", "dcm", "bdf", "edf", "mat", "edf.gz"])
def test_a_name_that_promises_another_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(b"0123456789" * 100)
    with pytest.raises(RecordError, match="damaged, or of another format"):
        read_recording(path)


def test_a_folder_an_empty_file_and_a_signal_file(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is a folder"):
        read_recording(tmp_path)
    (tmp_path / "empty.dcm").touch()
    with pytest.raises(RecordError, match="the file is empty"):
        read_recording(tmp_path / "empty.dcm")
    write_wfdb(tmp_path / "r.hea")
    with pytest.raises(RecordError, match="the signal file of a WFDB record; name the record"):
        read_recording(tmp_path / "r.dat")
    (tmp_path / "r.hea").rename(tmp_path / "other.hea")
    with pytest.raises(RecordError, match=r"whose header r\.hea is not beside it"):
        read_recording(tmp_path / "r.dat")


def test_the_files_of_anything_are_asked_without_an_error(tmp_path: Path) -> None:
    names = b"/ 16\n. 16\n.. 16\n\x00x 16\nb/c 16\n"
    (tmp_path / "a.hea").write_bytes(b"a 5 250 10\n" + names)
    assert files_of(tmp_path / "a") == [tmp_path / "a.hea"]
    assert files_of(tmp_path) == files_of(tmp_path / "nowhere.csv") == files_of("sample") == []


def test_xml_that_would_grow_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xml"
    entities = '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">'
    path.write_text(f"<!DOCTYPE AnnotatedECG [{entities}]><AnnotatedECG>&b;</AnnotatedECG>")
    with pytest.raises(RecordError, match=r"bomb\.xml"):
        read_recording(path)


# --- one format each


def test_pauses_of_an_interrupted_edf_are_lost_samples(tmp_path: Path) -> None:
    lead = one(250)
    found = read_recording(devices.write_edf(tmp_path / "d.edf", lead, 250, pause_s=30))
    assert (found.format, gaps(found.samples)) == ("EDF+D", [(750, 7500)])
    np.testing.assert_allclose(found.samples[8250:, 0], lead[750:], atol=1e-3)
    with pytest.raises(RecordError, match=r"data record 4 begins before the one ahead"):
        read_recording(interrupted(tmp_path / "d.edf", -31))


def test_an_edf_may_not_pause_for_years(tmp_path: Path) -> None:
    path = devices.write_edf(tmp_path / "d.edf", one(250), 250, pause_s=30)
    content = path.read_bytes().replace(b"+35\x14\x14", b"+9999999\x14\x14")
    path.write_bytes(content[: path.stat().st_size])
    with pytest.raises(RecordError, match="hours without samples"):
        read_recording(path)


def test_series_of_an_aecg_are_laid_out_in_time(tmp_path: Path) -> None:
    path = devices.write_aecg(tmp_path / "a.xml", {"II": one(500)}, 500)
    text = path.read_text()
    first, last = text.index("<component><series>"), text.rindex("</AnnotatedECG>")
    later = text[first:last].replace("120000.000", "120010.000")
    path.write_text(text[:last] + later + text[last:])
    assert gaps(read_recording(path).samples) == [(3000, 2000)]
    path.write_text(text[:last] + later.replace('value="0.002"', 'value="0.001"') + text[last:])
    with pytest.raises(RecordError, match="several rates, 500, 1000 Hz"):
        read_recording(path)


def test_an_aecgs_origin_and_units(tmp_path: Path) -> None:
    path = devices.write_aecg(tmp_path / "a.xml", {"II": one(500)}, 500)
    text = path.read_text()
    path.write_text(text.replace('origin value="0" unit="uV"', 'origin value="1" unit="mV"'))
    np.testing.assert_allclose(read_recording(path).samples[:, 0], one(500) + 1, atol=3e-3)
    path.write_text(text.replace('scale value="5" unit="uV"', 'scale value="5" unit="mmHg"'))
    with pytest.raises(RecordError, match="unit mmHg, no voltage"):
        read_recording(path)


def test_a_muse_lead_of_fewer_samples_is_cut_short(tmp_path: Path) -> None:
    path = devices.write_muse(tmp_path / "m.xml", {"I": one(500)}, 500)
    text = path.read_text(encoding="latin-1").replace("Total>3000<", "Total>5000<")
    path.write_text(text, encoding="latin-1")
    with pytest.raises(RecordError, match="cut short: lead I has 3000 of 5000 samples"):
        read_recording(path)


def test_sierra_waveforms_that_are_not_packed_are_refused(tmp_path: Path) -> None:
    path = devices.write_sierra(tmp_path / "s.xml", twelve(SECONDS, 500), 500)
    path.write_text(path.read_text().replace('compression="XLI" ', ""))
    with pytest.raises(RecordError, match="not packed by XLI"):
        read_recording(path)


def test_ishne_is_refused_where_cut_and_a_wrong_checksum_is_told(tmp_path: Path) -> None:
    path = devices.write_ishne(tmp_path / "i.ecg", {"II": one(500), "V1": one(500)}, 500)
    content = path.read_bytes()
    path.write_bytes(content[:-2])
    with pytest.raises(RecordError, match="cut short: 5999 of 6000 samples are there"):
        read_recording(path)
    path.write_bytes(content[:8] + b"xx" + content[10:])
    assert read_recording(path).notes == ("the header's checksum is wrong",)


def test_dicom_of_no_ecg(tmp_path: Path) -> None:
    path = devices.write_dicom(tmp_path / "d.dcm", {"II": one(500)}, 500)
    from pydicom import dcmread

    dataset = dcmread(path)
    group = dataset.WaveformSequence[0]
    group.ChannelDefinitionSequence[0].ChannelSensitivityUnitsSequence[0].CodeValue = "mm[Hg]"
    dataset.save_as(path)
    with pytest.raises(RecordError, match=r"unit mm\[Hg\], no voltage"):
        read_recording(path)
    group.WaveformOriginality = "DERIVED"
    dataset.save_as(path)
    with pytest.raises(RecordError, match="only waveforms computed from others"):
        read_recording(path)
    del dataset.WaveformSequence
    dataset.save_as(path)
    with pytest.raises(RecordError, match="a DICOM file without waveforms"):
        read_recording(path)


def test_a_real_dicom_of_twelve_leads() -> None:
    """The one that pydicom brings, with the preamble that files have and without it."""
    from pydicom.data import get_testdata_file

    path = get_testdata_file("waveform_ecg.dcm", download=False)
    if path is None:
        pytest.skip("this pydicom brings no ECG")
    found = read_recording(str(path))
    assert (found.fs, found.leads, len(found.samples)) == (1000, STANDARD, 10_000)
    assert found.notes == ("not read: 1.2 s of another group",)
    limbs = dict(zip(found.leads, found.samples.T, strict=True))
    np.testing.assert_allclose(limbs["III"], limbs["II"] - limbs["I"], atol=0.01)
    assert 1 < np.ptp(limbs["II"]) < 3


def test_dicom_without_a_preamble(tmp_path: Path) -> None:
    path = devices.write_dicom(tmp_path / "d.dcm", {"II": one(500)}, 500)
    path.write_bytes(path.read_bytes()[132:])
    assert read_recording(path).leads == ("II",)


def test_dicom_padding_is_lost_and_the_clock_has_its_zone(tmp_path: Path) -> None:
    path = devices.write_dicom(tmp_path / "d.dcm", {"II": one(500)}, 500)
    from pydicom import dcmread

    dataset = dcmread(path)
    group = dataset.WaveformSequence[0]
    steps = np.frombuffer(group.WaveformData, "<i2").copy()
    steps[100:200] = -32768
    group.WaveformData = steps.tobytes()
    group.add_new(0x5400100A, "OW", b"\x00\x80")
    dataset.TimezoneOffsetFromUTC = "+0100"
    dataset.save_as(path)
    found = read_recording(path)
    assert gaps(found.samples) == [(100, 100)]
    assert found.start_ns == START_NS - 3600 * 10**9


@pytest.mark.parametrize("device", ["bitalino", "plux"])
def test_opensignals_counts_what_is_lost(tmp_path: Path, device: str) -> None:
    path = devices.write_opensignals(tmp_path / "o.txt", one(1000), 1000, device=device)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1003] + lines[1006:]))
    assert gaps(read_recording(path).samples) == [(1000, 3)]


def test_opensignals_of_an_unknown_device_and_without_an_ecg(tmp_path: Path) -> None:
    path = devices.write_opensignals(tmp_path / "o.txt", one(1000), 1000, device="plux")
    text = path.read_text()
    path.write_text(text.replace('"device": "biosignalsplux"', '"device": "lsl_stream"'))
    found = read_recording(path)
    assert (found.scaled, found.notes) == (
        ("ECG",), ("the device's supply and gain are not known",)
    )  # fmt: skip
    path.write_text(text.replace('"ECG"', '"RAW"'))
    with pytest.raises(RecordError, match="no sensor is named ECG; found EDA, RAW"):
        read_recording(path)
    path.write_text(text.replace("[16, 16]", "[12, 12]"))
    with pytest.raises(RecordError, match="column 4 is not in counts of 0 to 4095"):
        read_recording(path)
