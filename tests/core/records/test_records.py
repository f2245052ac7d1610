"""WFDB and EDF, and what all formats have in common: units, leads, what is said when it fails."""

import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from edfio import Edf, EdfAnnotation, EdfSignal

from beatgan.errors import RecordError
from beatgan.lead_names import lead_name
from beatgan.records import SAMPLE, Recording, only, read_recording
from beatgan.records.recording import SWING_MV, Signal, choose
from beatgan.types import Doubles

N = 1000
TIME = np.arange(N) / 250
WAVE = np.sin(TIME)


def write_wfdb(
    folder: Path,
    names: list[str],
    units: list[str],
    columns: list[Doubles],
    start: datetime | None = None,
) -> Path:
    wfdb.wrsamp(
        "toy",
        fs=250,
        sig_name=names,
        units=units,
        p_signal=np.stack(columns, axis=1),
        fmt=["16"] * len(names),
        write_dir=str(folder),
        base_datetime=start,
    )
    return folder / "toy"


def write_raw(folder: Path, names: list[str], counts: np.ndarray[Any, np.dtype[np.int16]]) -> Path:
    """A record as its bytes: for what wfdb's own writer refuses to write."""
    counts.astype("<i2").tofile(folder / "raw.dat")
    lines = "".join(f"raw.dat 16 200(0)/mV 16 0 0 0 0 {name}\n" for name in names)
    (folder / "raw.hea").write_text(f"raw {len(names)} 250 {len(counts)}\n{lines}")
    return folder / "raw"


# --- WFDB


def test_wfdb_with_and_without_suffix_gives_the_same(tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, ["MLII", "V1"], ["mV", "mV"], [WAVE, -WAVE])
    plain, suffixed = read_recording(path), read_recording(str(path) + ".hea")
    assert plain.name == suffixed.name == "toy"
    assert plain.fs == 250
    assert plain.leads == ("MLII", "V1")
    assert plain.samples.shape == (N, 2)
    assert plain.samples.dtype == np.float32
    np.testing.assert_allclose(plain.samples[:, 0], WAVE, atol=1e-4)
    np.testing.assert_array_equal(plain.samples, suffixed.samples)
    assert plain.start_ns == 0
    assert plain.left_out == ()


def test_units_become_millivolt_and_other_signals_are_left_out(tmp_path: Path) -> None:
    path = write_wfdb(
        tmp_path,
        ["V5", "RESP", "II", "ABP", "EEG C3"],
        ["uV", "pm", "V", "mmHg", "uV"],
        [1000 * WAVE, WAVE, WAVE / 1000, WAVE, WAVE],
    )
    found = read_recording(path)
    assert found.leads == ("V5", "II")
    np.testing.assert_allclose(found.samples, np.stack([WAVE, WAVE], axis=1), atol=1e-3)
    assert [text.split(" (")[0] for text in found.left_out] == ["RESP", "ABP", "EEG C3"]


def test_invalid_samples_become_nan_and_dead_leads_are_left_out(tmp_path: Path) -> None:
    counts = np.full((N, 2), 20, np.int16)
    counts[:, 0] = -32768  # WFDB's mark of an invalid sample
    counts[100:200, 1] = -32768
    found = read_recording(write_raw(tmp_path, ["I", "II"], counts))
    assert found.leads == ("II",)
    expected = np.full(N, 0.1, np.float32)
    expected[100:200] = np.nan
    np.testing.assert_array_equal(found.samples[:, 0], expected)
    assert found.left_out == ("I (no valid sample)",)


def test_wfdb_start_time_is_read_as_utc(tmp_path: Path) -> None:
    start = datetime(2024, 5, 6, 7, 8, 9)
    found = read_recording(write_wfdb(tmp_path, ["II"], ["mV"], [WAVE], start))
    assert found.start_ns == int(start.replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize("year", [1600, 2262, 2704])
def test_a_time_beyond_64_bits_is_a_record_error(tmp_path: Path, year: int) -> None:
    path = write_wfdb(tmp_path, ["II"], ["mV"], [WAVE], datetime(year, 5, 1, 8, 30))
    with pytest.raises(RecordError, match=f"toy.hea: begins in the year {year}; .* 1678 to 2261"):
        read_recording(path)


def test_fast_leads_of_a_frame_are_not_averaged_down(tmp_path: Path) -> None:
    # Four ECG samples and one of a pulse wave in each frame of 62.5 Hz, as in MIMIC.
    frames = np.zeros((N // 4, 5), dtype="<i2")
    frames[:, :4] = np.round(200 * WAVE).reshape(-1, 4)
    frames.tofile(tmp_path / "fast.dat")
    (tmp_path / "fast.hea").write_text(
        f"fast 2 62.5 {N // 4}\n"
        "fast.dat 16x4 200(0)/mV 16 0 0 0 0 II\n"
        "fast.dat 16 200(0)/mV 16 0 0 0 0 V1\n"
    )
    found = read_recording(tmp_path / "fast")
    assert (found.fs, found.leads, len(found.samples)) == (250, ("II",), N)
    np.testing.assert_allclose(found.samples[:, 0], WAVE, atol=0.003)
    assert found.left_out == ("V1 (62.5 Hz)",)


def test_segments_are_joined_and_the_gap_between_them_is_nan(tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, ["II"], ["mV"], [WAVE])
    (tmp_path / "long.hea").write_text(f"long/3 1 250 {2 * N + 50}\ntoy {N}\n~ 50\ntoy {N}\n")
    found = read_recording(tmp_path / "long")
    one = read_recording(path).samples
    expected = np.concatenate([one, np.full((50, 1), np.nan, np.float32), one])
    np.testing.assert_array_equal(found.samples, expected)


def test_segments_may_have_other_signals_in_another_order(tmp_path: Path) -> None:
    two = np.stack([np.arange(N), np.arange(N) + 1000], axis=1).astype("<i2")
    write_raw(tmp_path, ["II", "V1"], two)
    (tmp_path / "swapped.hea").write_text(
        (tmp_path / "raw.hea").read_text().replace(" II", " x").replace("V1", "II")
        .replace(" x", " RESP").replace("raw 2", "swapped 2")
    )  # fmt: skip
    (tmp_path / "layout.hea").write_text(
        "layout 2 250 0\n~ 0 200(0)/mV 16 0 0 0 0 II\n~ 0 200(0)/mV 16 0 0 0 0 V1\n"
    )
    (tmp_path / "mixed.hea").write_text(f"mixed/3 2 250 {2 * N}\nlayout 0\nraw {N}\nswapped {N}\n")
    found = read_recording(tmp_path / "mixed")
    assert found.leads == ("II", "V1")
    np.testing.assert_allclose(found.samples[:N], two / 200)
    np.testing.assert_allclose(found.samples[N:, 0], two[:, 1] / 200)
    assert np.isnan(found.samples[N:, 1]).all()


def test_a_dot_in_the_name_is_no_suffix(tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, ["II"], ["mV"], [WAVE])
    (tmp_path / "a.b.hea").write_text(path.with_suffix(".hea").read_text().replace("toy 1", "x 1"))
    assert read_recording(tmp_path / "a.b").name == "a.b"


def test_no_such_record_names_it(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"nowhere: no such record.*nowhere\.hea"):
        read_recording(tmp_path / "nowhere")


def test_missing_signal_file_is_named(tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, ["II"], ["mV"], [WAVE])
    path.with_suffix(".dat").unlink()
    with pytest.raises(RecordError, match=r"toy\.dat: the signal file is missing"):
        read_recording(path)


@pytest.mark.parametrize("kept", [0, 1, 999, 2 * N - 1])
def test_truncated_signal_file_is_named_with_its_length(tmp_path: Path, kept: int) -> None:
    path = write_wfdb(tmp_path, ["II"], ["mV"], [WAVE])
    dat = path.with_suffix(".dat")
    dat.write_bytes(dat.read_bytes()[:kept])
    with pytest.raises(RecordError, match=rf"toy\.dat: cut short, {kept} of the {2 * N} bytes"):
        read_recording(path)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "# only a comment\n",
        "toy 1\n",
        "toy 2 250 1000\ntoy.dat 16 200 16 0 0 0 0 II\n",
        "toy 1 250 1000\ntoy.dat 999 200 16 0 0 0 0 II\n",
        "toy 1 0 1000\ntoy.dat 16 200 16 0 0 0 0 II\n",
        "toy 0 250 1000\n",
        "toy 1 250 1000\n\x00\x01\x02\x03\n",
        "toy/2 1 250 2000\nmissing 1000\ntoy2 1000\n",
    ],
)
def test_bad_header_is_a_record_error(tmp_path: Path, header: str) -> None:
    path = write_wfdb(tmp_path, ["II"], ["mV"], [WAVE])
    path.with_suffix(".hea").write_text(header)
    with pytest.raises(RecordError, match="toy"):
        read_recording(path)


def test_random_bytes_for_a_header_are_a_record_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        (tmp_path / "toy.hea").write_bytes(rng.bytes(200))
        with pytest.raises(RecordError, match="toy"):
            read_recording(tmp_path / "toy")


def test_no_usable_lead_tells_what_was_found(tmp_path: Path) -> None:
    path = write_wfdb(tmp_path, ["RESP", "ABP"], ["pm", "mmHg"], [WAVE, WAVE])
    with pytest.raises(RecordError, match=r"toy.*no usable ECG lead.*RESP \(unit pm.*ABP"):
        read_recording(path)


def test_noise_records_are_no_ecg(mitdb: Path) -> None:
    noise = mitdb.parent / "nstdb" / "bw"
    if not noise.with_suffix(".hea").exists():
        pytest.skip(f"no noise stress test database in {noise.parent}")
    with pytest.raises(RecordError, match="noise1"):
        read_recording(noise)


def test_mit_bih_record(mitdb: Path) -> None:
    found = read_recording(mitdb / "114")
    assert (found.name, found.fs, found.leads) == ("114", 360, ("V5", "MLII"))
    assert found.samples.shape == (650_000, 2)
    np.testing.assert_allclose(found.samples[0], [(1015 - 1024) / 200, (1027 - 1024) / 200], 1e-5)


@pytest.mark.parametrize("sign", ["µ", "μ", "u"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-8-sig"])
def test_the_sign_of_micro_in_a_header(tmp_path: Path, sign: str, encoding: str) -> None:
    if sign == "μ" and encoding == "latin-1":
        pytest.skip("Latin-1 has no such letter")
    np.rint(1000 * WAVE).astype("<i2").tofile(tmp_path / "u.dat")
    header = f"u 1 250 {N}\nu.dat 16 1/{sign}V 16 0 0 0 0 II\n"
    (tmp_path / "u.hea").write_text(header, encoding=encoding)
    found = read_recording(tmp_path / "u")
    np.testing.assert_allclose(found.samples[:, 0], WAVE, atol=1e-3)
    assert found.units == (f"{sign}V",)


def write_segments(folder: Path, second: str, layout: str = "a 1000\nb 1000\n") -> Path:
    """Two segments of one lead, the second one's header as given."""
    for name in ("a", "b"):
        np.rint(200 * WAVE).astype("<i2").tofile(folder / f"{name}.dat")
    (folder / "a.hea").write_text("a 1 250 1000\na.dat 16 200/mV 16 0 0 0 0 II\n")
    (folder / "b.hea").write_text(second)
    (folder / "m.hea").write_text(f"m/{layout.count(chr(10))} 1 250 2000\n{layout}")
    return folder / "m"


def test_a_segment_in_another_voltage_is_converted(tmp_path: Path) -> None:
    path = write_segments(tmp_path, "b 1 250 1000\nb.dat 16 0.2/uV 16 0 0 0 0 II\n")
    np.testing.assert_allclose(read_recording(path).samples[:, 0], np.tile(WAVE, 2), atol=0.003)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ("b 1 250 1000\nb.dat 16 200/mmHg 16 0 0 0 0 II\n", "II changes its unit in b, from mV"),
        ("b 1 500 1000\nb.dat 16 200 16 0 0 0 0 II\n", "segment b has 500 Hz, the record 250 Hz"),
        ("b 1 250 900\nb.dat 16 200 16 0 0 0 0 II\n", "its own header says 900"),
        ("b 1 250 500\nb.dat 16x2 200 16 0 0 0 0 II\n", "its own header says 500"),
        ("b/1 1 250 1000\na 1000\n", "segment b has segments itself"),
    ],
)
def test_segments_that_do_not_fit_are_refused(tmp_path: Path, second: str, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        read_recording(write_segments(tmp_path, second))


def test_a_gap_without_end_fills_no_memory(tmp_path: Path) -> None:
    path = write_segments(tmp_path, "", "a 1000\n~ 999999999999\n")
    path.with_suffix(".hea").write_text("m/2 1 250 1000000000999\na 1000\n~ 999999999999\n")
    with pytest.raises(RecordError, match="hours without samples"):
        read_recording(path)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "the header is empty"),
        ("toy 2 250 1000\ntoy.dat 16 200 16 0 0 0 0 II\n", "promises 2 signals and describes 1"),
        ("toy 1 250 1000\ntoy.dat 999 200 16 0 0 0 0 II\n", "line 2: format 999 is not known"),
        ("toy/3 1 250 2000\ntoy 1000\ntoy 1000\n", "3 segments promised, 2 named"),
        ("toy 1 250 0\ntoy.dat 16 200 16 0 0 0 0 II\n", "the record is 0 samples long"),
        ("toy one 250\ntoy.dat 16\n", "line 1: expected the record's name"),
        ("# c\ntoy 1 250 1000\ntoy.dat x 200 16\n", "line 3: expected a signal's file and format"),
        ("toy 1 250 1000\ntoy.dat 16:9999 200 16\n", "a skew of 9999 in 1000 samples"),
        ("toy/1 1 250 1000\ntoy x\n", "line 2: expected a segment's name and length"),
        ("toy/1 1 250 1000\na/b 1000\n", "line 2: expected a segment's name and length"),
    ],
)
def test_what_is_wrong_with_a_header_is_said_in_words(
    tmp_path: Path, header: str, reason: str
) -> None:
    path = write_wfdb(tmp_path, ["II"], ["mV"], [WAVE])
    path.with_suffix(".hea").write_text(header)
    with pytest.raises(RecordError, match=reason) as caught:
        read_recording(path)
    assert "toy.hea" in str(caught.value) or "toy.dat" in str(caught.value)


# --- EDF


def write_edf(path: Path, signals: list[EdfSignal], start: datetime | None = None) -> Path:
    edf = Edf(signals) if start is None else Edf(signals, starttime=start.time())
    if start is not None:
        edf.startdate = start.date()
    edf.write(path)
    return path


def test_edf_in_microvolt(tmp_path: Path) -> None:
    start = datetime(2020, 2, 3, 4, 5, 6)
    path = write_edf(
        tmp_path / "night.edf",
        [
            EdfSignal(50 * WAVE, 250, label="EEG C3-A2", physical_dimension="uV"),
            EdfSignal(1000 * WAVE, 250, label="ECG II", physical_dimension="uV"),
            EdfSignal(WAVE[::2], 125, label="ECG V5", physical_dimension="mV"),
        ],
        start,
    )
    found = read_recording(path)
    assert (found.name, found.fs, found.leads) == ("night", 250, ("II",))
    np.testing.assert_allclose(found.samples[:, 0], WAVE, atol=1e-3)
    assert found.start_ns == int(start.replace(tzinfo=UTC).timestamp()) * 10**9
    assert found.left_out == ("EEG C3-A2 (not an ECG, by its name)", "ECG V5 (125 Hz)")


def test_edf_without_a_date_has_no_start(tmp_path: Path) -> None:
    signal = EdfSignal(WAVE, 250, label="ECG", physical_dimension="mV")
    assert read_recording(write_edf(tmp_path / "a.edf", [signal])).start_ns == 0


@pytest.mark.parametrize("content", [b"", b"0       ", b"\x00" * 1000, b"not an edf file" * 100])
def test_bad_edf_is_a_record_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.edf").write_bytes(content)
    with pytest.raises(RecordError, match=r"bad\.edf"):
        read_recording(tmp_path / "bad.edf")


def test_truncated_edf_is_a_record_error(tmp_path: Path) -> None:
    signal = EdfSignal(WAVE, 250, label="ECG", physical_dimension="mV")
    path = write_edf(tmp_path / "cut.edf", [signal])
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(RecordError, match=r"cut\.edf"):
        read_recording(path)


@pytest.mark.parametrize("whole", [True, False])
def test_half_an_edf_is_refused_and_what_is_missing_told(tmp_path: Path, whole: bool) -> None:
    """Also where it was cut between two data records, so that every record is whole."""
    signal = EdfSignal(np.tile(WAVE, 10), 250, label="ECG", physical_dimension="mV")
    path = write_edf(tmp_path / "cut.edf", [signal])
    content = path.read_bytes()
    records = int(content[236:244])
    length = (len(content) - 512) // records
    path.write_bytes(content[: 512 + records // 2 * length + (0 if whole else 12)])
    rate = length // 2  # samples in a record of one second
    missing = (records - records // 2) * rate - (0 if whole else 6)
    expected = (
        rf"{records // 2} of {records} data records are there, "
        rf"{missing} of {records * rate} samples of a lead are missing"
    )
    with pytest.raises(RecordError, match=expected):
        read_recording(path)


def test_an_edf_that_was_never_finished_ends_with_a_whole_record(tmp_path: Path) -> None:
    signal = EdfSignal(np.tile(WAVE, 10), 250, label="ECG", physical_dimension="mV")
    path = write_edf(tmp_path / "crashed.edf", [signal])
    content = path.read_bytes()
    path.write_bytes(content[:236] + b"-1      " + content[244:-100])
    with pytest.raises(RecordError, match=r"crashed\.edf: cut short within data record"):
        read_recording(path)


@pytest.mark.parametrize("records", [0.1, 3])
def test_what_follows_an_edfs_last_record_is_not_taken_for_ecg(
    tmp_path: Path, records: float
) -> None:
    signal = EdfSignal(np.tile(WAVE, 10), 250, label="ECG", physical_dimension="mV")
    path = tmp_path / "more.edf"
    Edf([signal], annotations=[EdfAnnotation(0, None, "before the ECG")]).write(path)
    whole = read_recording(path)
    assert whole.left_out == ()
    content = path.read_bytes()
    junk = round((len(content) - 768) // int(content[236:244]) * records)
    path.write_bytes(content + bytes(junk))
    with warnings.catch_warnings(action="error"):
        again = read_recording(path)
    assert np.array_equal(again.samples, whole.samples)
    assert again.left_out == (f"{junk} bytes behind the last data record",)


def test_missing_files(tmp_path: Path) -> None:
    for name in ("no.edf", "no.csv", "no.dcm"):
        with pytest.raises(RecordError, match=rf"{name}: no such file"):
            read_recording(tmp_path / name)


# --- what all have in common


def test_the_bundled_sample() -> None:
    found = read_recording(SAMPLE)
    assert (found.name, found.fs, found.leads) == ("sample", 360, ("MLII",))
    assert found.samples.shape == (108_000, 1)
    assert found.samples.dtype == np.float32


def test_leads_of_one_name_are_told_apart(tmp_path: Path) -> None:
    path = write_raw(tmp_path, ["ECG", "ECG"], np.zeros((N, 2), np.int16))
    assert read_recording(path).leads == ("ECG", "ECG-2")


@pytest.mark.parametrize(
    "name",
    ["MLII", "II", "aVR", "V1", "V5", "MCL1", "MCL", "CM5", "D3", "ECG1", "ekg", "ECG LA-RA", "VX",
     "lead AVF", "modified lead II", "mod.V1", "III+", "-aVR", "Lead_II"],
)  # fmt: skip
def test_names_of_ecg_leads_win_over_other_voltages(name: str) -> None:
    chosen, left_out = choose([Signal("C3-A2", "uV", 100), Signal(name, "mV", 250)])
    assert chosen == [1]
    assert left_out == ["C3-A2 (not an ECG lead's name)"]


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("ECG II", "II"),
        ("EKG_V5", "V5"),
        ("ECG Lead aVF", "aVF"),
        ("ii", "ii"),
        ("LEAD I", "I"),
        ("II-ECG", "II"),
        ("DIII", "III"),
        ("modified lead II", "MLII"),
        ("Mod. III", "MLIII"),
        ("mod.V1", "MV1"),
        (" MLIII ", "MLIII"),
        ("V2+", "V2"),
        ("ECG", "ECG"),
        ("ECG1", "ECG1"),
        ("ECG LA-RA", "ECG LA-RA"),
        ("Lead 1", "Lead 1"),
    ],
)
def test_a_lead_bears_its_bare_name(name: str, bare: str) -> None:
    assert lead_name(name) == bare


@pytest.mark.parametrize("unit", ["", "nu", "NU", "adu", "a.u."])
def test_an_ecg_lead_without_a_voltage_is_taken_unless_another_has_one(unit: str) -> None:
    bare = [Signal("ECG", unit, 250), Signal("SpO2", unit, 250), Signal("ch1", unit, 250)]
    assert choose(bare)[0] == [0]
    chosen, left_out = choose([*bare, Signal("II", "mV", 250)])
    assert chosen == [3]
    assert left_out[0] == "ECG (not calibrated, others are)"


def test_a_lead_without_a_voltage_gets_a_usual_size(tmp_path: Path) -> None:
    wave = np.sin(np.arange(5000) / 40)  # at 250 Hz a period of a second
    path = write_wfdb(tmp_path, ["II"], ["nu"], [700 + 90 * wave])
    found = read_recording(path)
    assert found.scaled == ("II",)
    assert np.ptp(found.samples) == pytest.approx(SWING_MV, rel=0.01)


def test_micro_in_latin_1_is_still_micro(tmp_path: Path) -> None:
    signal = EdfSignal(1000 * WAVE, 250, label="ECG", physical_dimension="uV")
    path = write_edf(tmp_path / "a.edf", [signal])
    path.write_bytes(path.read_bytes().replace(b"uV ", b"\xb5V ", 1))
    np.testing.assert_allclose(read_recording(path).samples[:, 0], WAVE, atol=1e-3)


def test_a_lead_that_never_changes_is_left_out_unless_all_are_so(tmp_path: Path) -> None:
    still = np.full(N, 0.25)
    found = read_recording(write_wfdb(tmp_path, ["II", "V1"], ["mV", "mV"], [still, WAVE]))
    assert (found.leads, found.left_out) == (("V1",), ("II (never changes)",))
    found = read_recording(write_wfdb(tmp_path, ["II", "V1"], ["mV", "mV"], [still, still]))
    assert found.leads == ("II", "V1")


def test_unknown_voltages_are_taken_where_nothing_is_named_ecg() -> None:
    assert choose([Signal("ch0", "uV", 100), Signal("ch1", "uV", 100)]) == ([0, 1], [])


@pytest.mark.parametrize(
    ("package", "suffix", "extra"),
    [("wfdb", ".hea", "records"), ("edfio", ".edf", "records")],
)
def test_a_reader_not_installed_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, suffix: str, extra: str
) -> None:
    path = tmp_path / f"x{suffix}"
    if suffix == ".hea":
        path = write_wfdb(tmp_path, ["II"], ["mV"], [WAVE])
    elif suffix == ".edf":
        write_edf(path, [EdfSignal(WAVE, 250, label="ECG", physical_dimension="mV")])
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RecordError, match=rf"pip install 'beatgan\[{extra}\]'"):
        read_recording(path)


def test_one_lead_alone() -> None:
    two = Recording("r", 360.0, ("MLII", "V1"), np.arange(6, dtype=np.float32).reshape(3, 2))
    one = only(two, "v1")
    assert (one.leads, one.samples.tolist(), one.fs) == (("V1",), [[1], [3], [5]], 360.0)
    with pytest.raises(RecordError, match="r: there is no lead 'V5'; it has MLII, V1"):
        only(two, "V5")
