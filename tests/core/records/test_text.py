"""ECG as text: what is told from the file, what is refused because it would have to be guessed."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from beatgan.errors import RecordError
from beatgan.records import Recording, gaps, read_recording, summary
from beatgan.types import Doubles
from tests.support.recordings import START, ecg

START_NS = int(START.replace(tzinfo=UTC).timestamp()) * 10**9
FS = 250
WAVE = ecg(20, FS)
TIME = np.arange(len(WAVE)) / FS


def write(tmp_path: Path, text: str, encoding: str = "utf-8", newline: str = "\n") -> Path:
    path = tmp_path / "ward.csv"
    path.write_bytes(text.replace("\n", newline).encode(encoding))
    return path


def read(tmp_path: Path, text: str) -> Recording:
    return read_recording(write(tmp_path, text))


def rows(*columns: Iterable[object], sep: str = ",") -> str:
    return "".join(sep.join(map(str, row)) + "\n" for row in zip(*columns, strict=True))


def fixed(values: Doubles, digits: int = 4) -> list[str]:
    return [f"{value:.{digits}f}" for value in values]


def comma(values: Doubles) -> list[str]:
    return [text.replace(".", ",") for text in fixed(values)]


def near(found: Recording, wave: Doubles = WAVE, k: int = 0) -> None:
    """The lead is the wave, where nothing is lost, and nothing is lost."""
    assert found.samples.shape[0] == len(wave)
    np.testing.assert_allclose(found.samples[:, k], wave, atol=1e-4)


# --- the plain layout


def test_rate_units_and_holes(tmp_path: Path) -> None:
    text = (
        "# fs=360 start=2026-01-31T12:00:00+00:00\n# some remark\n"
        "MLII, V5 (uV),Pleth [V]\n1,2000,5\n,nan,5\n3,4000,5\n"
    )
    found = read(tmp_path, text)
    assert (found.name, found.fs, found.leads) == ("ward", 360, ("MLII", "V5"))
    np.testing.assert_array_equal(found.samples, np.array([[1, 2], [np.nan] * 2, [3, 4]], "f4"))
    assert found.start_ns == START_NS
    assert (found.format, found.rate_from, found.units) == ("CSV", "header", ("mV", "uV"))


def test_what_was_understood_is_one_line(tmp_path: Path) -> None:
    late = TIME + np.where(np.arange(len(TIME)) < 2500, 0, 5)
    text = "# start=2026-01-31 12:00:00\ntime,II (uV)\n" + rows(fixed(late), fixed(1000 * WAVE))
    assert summary(read(tmp_path, text)) == (
        "CSV, 250 Hz (column 'time'), II in uV, 25 s from 2026-01-31 12:00:00 UTC, "
        "1 gap: 5 s at 10 s"
    )


@pytest.mark.parametrize(
    "start",
    ["2026-01-31T12:00:00Z", "2026-01-31 12:00:00", "2026-01-31 13:00:00 +0100",
     "2026-01-31 12:00", "31.01.2026 12:00:00.000"],
)  # fmt: skip
def test_a_start_keeps_its_time_of_day(tmp_path: Path, start: str) -> None:
    assert read(tmp_path, f"# fs=250 start={start} x=1\nII\n0.1\n0.2\n").start_ns == START_NS


def test_the_same_bits_as_numpy_reads(tmp_path: Path) -> None:
    text = [repr(float(value)) for value in WAVE]
    found = read(tmp_path, "# fs=250\nII\n" + "\n".join(text) + "\n")
    np.testing.assert_array_equal(found.samples[:, 0], np.array(text, float).astype(np.float32))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("# fs=360\n", "empty"),
        ("# fs=360\nII\n", "no samples"),
        ("II\n1\n2\n", "no sampling rate; begin the file with a line like '# fs=360'"),
        ("# fs=fast\nII\n1\n", "fs=fast"),
        ("# fs=0\nII\n1\n", "0 Hz"),
        ("# fs=360 start=noon\nII\n1\n", "start=noon"),
        ("# fs=360\nII,V1\n1,2\n3\n", "line 4 has 1 cells; expected 2"),
        ("# fs=360\nII\n1\nx\n", "line 4, column 1 (II): not a number"),
        ("# fs=360\nII\nnan\n\n", "no valid sample"),
        ("# fs=360\nRESP (ohm)\n1\n", "unit ohm"),
        ("time,II\n0,1\n0,1\n", "column 'time' stand still"),
        ("time (s),II\n,1\n1,1\n", "fewer than two times in column 'time'"),
        ("time (min),II\n0,1\n1,1\n", "in s, ms, us or ns, not in 'min'"),
        ("# fs=360\n0.1,-1e3\n0.2,1\n", "line 2 has no names of leads"),
        ("# fs=360\nI,II,V1\n1;2\n1;2\n", "line 2 names 3 columns, line 3 has 2 cells"),
        ("# fs=250\n0,12\n0,13\n0,11\n", "a decimal comma; begin the table with a line"),
        (
            "# fs=250\nII," + ",".join(["1"] * 300) + "\n",
            "line 2 has 301 cells; where a line holds",
        ),
        ("a (s),time (s),Time (ms),II\n" + rows(TIME, TIME, TIME, WAVE), "contradict one another"),
        ("time,II\n12 AM,1\n1 PM,2\n", "column 'time' is not understood as times"),
        ("time,II\n01/02/2026 12:00,1\n01/02/2026 12:01,2\n", "line 2, column 1 (time): day and"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        read(tmp_path, text)
    assert "ward.csv" in str(caught.value)
    assert reason in str(caught.value)


def test_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "ward.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match=r"ward\.csv"):
        read_recording(path)


# --- how cells are told apart


@pytest.mark.parametrize(
    "text",
    [
        "II;V5\n" + rows(comma(WAVE), comma(2 * WAVE), sep=";"),
        "II;V5\n" + rows(fixed(WAVE), fixed(2 * WAVE), sep=";"),
        "II\tV5\n" + rows(comma(WAVE), comma(2 * WAVE), sep="\t"),
        "II   V5\n" + rows(comma(WAVE), comma(2 * WAVE), sep="   "),
        "II V5\n" + rows(fixed(WAVE), fixed(2 * WAVE), sep=" "),
        "II;V5;\n" + rows(comma(WAVE), comma(2 * WAVE), [""] * len(WAVE), sep=";"),
        '"II","V5"\n' + rows(*([f'"{x}"' for x in comma(s * WAVE)] for s in (1, 2))),
        "'II'|'V5'\n" + rows(fixed(WAVE), fixed(2 * WAVE), sep=" | "),
    ],
    ids=["semicolon-comma", "semicolon", "tab-comma", "blanks-comma", "blank", "one-too-many",
         "quoted-commas", "bars"],
)  # fmt: skip
def test_delimiter_and_decimal_mark(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, "# fs=250\n" + text)
    assert (found.leads, found.fs) == (("II", "V5"), 250)
    near(found)
    near(found, 2 * WAVE, 1)


def test_one_column_with_decimal_commas(tmp_path: Path) -> None:
    near(read(tmp_path, "# fs=250\nII\n" + rows(comma(WAVE))))


@pytest.mark.parametrize(
    ("encoding", "newline"),
    [("utf-8-sig", "\n"), ("utf-16", "\n"), ("latin-1", "\r\n"), ("utf-8", "\r"),
     ("cp1252", "\r\r\n")],
)  # fmt: skip
def test_encodings_and_ends_of_lines(tmp_path: Path, encoding: str, newline: str) -> None:
    text = "# fs=250\nII (µV)\n" + rows(fixed(1000 * WAVE))
    near(read_recording(write(tmp_path, text, encoding, newline)))


def test_a_line_of_units_below_the_names(tmp_path: Path) -> None:
    """As rdsamp and PhysioNet's page write it."""
    text = "'Elapsed time','MLII','V5'\n'seconds','mV','uV'\n"
    found = read(tmp_path, text + rows(fixed(TIME, 3), fixed(WAVE), fixed(2000 * WAVE)))
    assert (found.leads, found.units, found.fs) == (("MLII", "V5"), ("mV", "uV"), 250)
    near(found, 2 * WAVE, 1)
    text = "   Elapsed time    MLII      V5\n   (seconds)       (mV)     (mV)\n"
    table = "".join(f"{t:10.3f}  {x:8.4f} {x:8.4f}\n" for t, x in zip(TIME, WAVE, strict=True))
    assert read(tmp_path, text + table).leads == ("MLII", "V5")


# --- lost samples


@pytest.mark.parametrize("lost", ["", "nan", "NaN", "NA", "null", "!", "-"])
def test_an_empty_line_or_cell_is_a_lost_sample(tmp_path: Path, lost: str) -> None:
    text = fixed(WAVE)
    text[1000:1500] = [lost] * 500
    assert gaps(read(tmp_path, "# fs=250\nII\n" + rows(text)).samples) == [(1000, 500)]
    found = read(tmp_path, "# fs=250\nII,V1\n" + rows(text, fixed(WAVE)))
    assert np.isnan(found.samples[1000:1500, 0]).all()
    assert not np.isnan(found.samples[:, 1]).any()


def test_empty_lines_behind_the_last_sample_are_none(tmp_path: Path) -> None:
    near(read(tmp_path, "# fs=250\nII\n" + rows(fixed(WAVE)) + "\n\n\n"))


@pytest.mark.parametrize("lost", [1, 2, 250, 5000])
@pytest.mark.parametrize("digits", [3, 6])
def test_a_hole_in_the_times_is_lost_samples(tmp_path: Path, lost: int, digits: int) -> None:
    late = TIME + np.where(np.arange(len(TIME)) < 1000, 0, lost / FS)
    found = read(tmp_path, "# fs=250\ntime,II\n" + rows(fixed(late, digits), fixed(WAVE)))
    assert gaps(found.samples) == [(1000, lost)]
    np.testing.assert_allclose(found.samples[1000 + lost :, 0], WAVE[1000:], atol=1e-4)


def test_many_holes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    kept = np.ones(len(WAVE), bool)
    for first in range(400, 4800, 400):
        kept[first : first + int(rng.integers(1, 90))] = False
    found = read(tmp_path, "time,II\n" + rows(fixed(TIME[kept], 3), fixed(WAVE[kept])))
    assert (np.isnan(found.samples[:, 0]) == ~kept).all()


@pytest.mark.parametrize("digits", [3, 6])
def test_single_samples_are_lost_here_and_there(tmp_path: Path, digits: int) -> None:
    rng = np.random.default_rng(3)
    kept = rng.random(len(WAVE)) > 0.03
    kept[[0, -1]] = True
    found = read(tmp_path, "time,II\n" + rows(fixed(TIME[kept], digits), fixed(WAVE[kept])))
    assert found.fs == 250
    assert (np.isnan(found.samples[:, 0]) != kept).mean() > 0.99


def test_a_sample_that_is_told_late_is_not_a_hole(tmp_path: Path) -> None:
    late = TIME.copy()
    late[500::500] += 0.0035
    found = read(tmp_path, "time,II\n" + rows(fixed(late), fixed(WAVE)))
    assert (found.fs, gaps(found.samples)) == (250, [])


def test_a_counter_tells_what_is_lost_and_is_no_lead(tmp_path: Path) -> None:
    numbers = np.arange(len(WAVE)) % 256
    kept = ~np.isin(np.arange(len(WAVE)), range(1000, 1010))
    text = "# fs=250\nSample Index,II\n" + rows(numbers[kept], fixed(WAVE[kept]))
    found = read(tmp_path, text)
    assert (found.leads, gaps(found.samples)) == (("II",), [(1000, 10)])
    again = numbers.copy()
    again[2003:] -= 100
    text = "# fs=250\nnSeq,II\n" + rows(again, fixed(WAVE))
    with pytest.raises(RecordError, match=r"line \d+: the counter in column 'nSeq' does not go on"):
        read(tmp_path, text)


@pytest.mark.parametrize("name", ["sample #", "nSeq", "seq", "index", "", "Unnamed: 0", "counter"])
def test_a_column_of_numbers_is_no_lead(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, f"# fs=250\n{name},II\n" + rows(range(len(WAVE)), fixed(WAVE)))
    assert found.leads == ("II",)
    assert found.left_out == (f"{name or 'unnamed'} (a counter)",)


def test_holes_beyond_reason_are_refused(tmp_path: Path) -> None:
    late = TIME + np.where(np.arange(len(TIME)) < 1000, 0, 1e8)
    with pytest.raises(RecordError, match="27778 hours without samples"):
        read(tmp_path, "time,II\n" + rows(fixed(late), fixed(WAVE)))


# --- times


@pytest.mark.parametrize("fs", [50, 128, 130.62, 250, 360, 500, 511.68, 1000, 2000])
@pytest.mark.parametrize("digits", [3, 4, 6])
def test_the_rate_is_that_of_the_times_however_rounded(
    tmp_path: Path, fs: float, digits: int
) -> None:
    wave = ecg(20, fs)
    found = read(
        tmp_path, "time,II\n" + rows(fixed(np.arange(len(wave)) / fs, digits), fixed(wave))
    )
    assert found.fs == pytest.approx(fs, rel=2e-5)
    near(found, wave)
    assert "'time'" in found.rate_from


@pytest.mark.parametrize(
    ("name", "factor"),
    [("time (s)", 1), ("Time [sec]", 1), ("t", 1), ("time_ms", 1e3), ("Time (ms)", 1e3),
     ("timestamp (us)", 1e6), ("time (µs)", 1e6), ("micros", 1e6), ("millis", 1e3),
     ("time [ns]", 1e9), ("time", 1e3), ("timestamp", 1e6), ("Timestamp", 1e9)],
)  # fmt: skip
def test_units_of_times(tmp_path: Path, name: str, factor: float) -> None:
    times = [f"{t * factor:.0f}" if factor > 1 else f"{t:.3f}" for t in TIME]
    found = read(tmp_path, f"{name},II\n" + rows(times, fixed(WAVE)))
    assert found.fs == 250
    near(found)


@pytest.mark.parametrize(
    "layout",
    ["%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y/%m/%d %H:%M:%S.%f",
     "%d.%m.%Y %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S,%f", "[%Y-%m-%d %H:%M:%S.%f]"],
)  # fmt: skip
@pytest.mark.parametrize("sep", [",", ";", " ", "\t"])
def test_dates(tmp_path: Path, layout: str, sep: str) -> None:
    if sep in ", " and "," in layout:
        pytest.skip("nobody could tell such cells apart")
    times = [(START + timedelta(seconds=float(t))).strftime(layout) for t in TIME]
    found = read(tmp_path, sep.join(("time", "II")) + "\n" + rows(times, fixed(WAVE), sep=sep))
    assert (found.fs, found.start_ns) == (250, START_NS)
    near(found)


def test_a_date_beside_a_time_of_the_day(tmp_path: Path) -> None:
    clock = [f"{START + timedelta(seconds=float(t)):%H:%M:%S.%f}" for t in TIME]
    date = [f"{START:%Y-%m-%d}"] * len(TIME)
    found = read(tmp_path, "Date,Time,II\n" + rows(date, clock, fixed(WAVE)))
    assert (found.fs, found.start_ns) == (250, START_NS)


def test_midnight_is_no_step_back(tmp_path: Path) -> None:
    late = datetime(2026, 1, 31, 23, 59, 50)
    clock = [f"{late + timedelta(seconds=float(t)):%H:%M:%S.%f}" for t in TIME]
    found = read(tmp_path, "Time,II\n" + rows(clock, fixed(WAVE)))
    assert (found.fs, found.start_ns) == (250, 0)
    near(found)


@pytest.mark.parametrize("factor", [1, 1e3, 1e6])
def test_a_clock_since_1970(tmp_path: Path, factor: float) -> None:
    times = [f"{(START_NS / 1e9 + t) * factor:.3f}" for t in TIME]
    found = read(tmp_path, "timestamp,II\n" + rows(times, fixed(WAVE)))
    assert (found.fs, found.start_ns // 10**6) == (250, START_NS // 10**6)


def test_jitter_is_measured_and_glues_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    times = TIME + rng.normal(0, 0.0005, len(TIME))
    times[2000:] += 5
    times[3000:] -= 0.08
    found = read(tmp_path, "time,II\n" + rows(fixed(times, 6), fixed(WAVE)))
    assert (found.fs, gaps(found.samples)) == (250, [(2000, 1250)])
    assert found.notes[0].startswith("times jitter by 0.5")
    assert re.fullmatch(r"the clock was set back by 0\.0[78]\d+ s at line 3002", found.notes[1])


@pytest.mark.parametrize("size", [10, 73])
def test_packets_with_one_stamp_each(tmp_path: Path, size: int) -> None:
    """As a chest strap's log has them; one packet is lost."""
    fs, wave = 130, ecg(60, 130)
    packet = np.arange(len(wave)) // size
    kept = packet != 20
    stamps = (packet + 1) * size / fs
    found = read(tmp_path, "time,II\n" + rows(fixed(stamps[kept], 3), fixed(wave[kept])))
    assert found.fs == pytest.approx(fs, rel=1e-3)
    assert gaps(found.samples) == [(20 * size, size)]


def test_a_rate_that_contradicts_the_times_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RecordError, match="says 500 Hz, but column 'time' has 250 samples a second"
    ):
        read(tmp_path, "# fs=500\ntime,II\n" + rows(fixed(TIME), fixed(WAVE)))
    near_by = read(tmp_path, "# fs=250\ntime,II\n" + rows(fixed(TIME * 1.003), fixed(WAVE)))
    assert near_by.fs == pytest.approx(250 / 1.003, rel=1e-5)
    assert "said to be 250 Hz" in near_by.notes


def test_a_long_step_back_names_its_line(tmp_path: Path) -> None:
    times = np.concatenate([TIME[:2000], TIME[:3000]])
    with pytest.raises(RecordError, match=r"line 2002: the time in column 'time' goes back by 8 s"):
        read(tmp_path, "time,II\n" + rows(fixed(times), fixed(WAVE)))


def test_lines_out_of_order_are_refused(tmp_path: Path) -> None:
    order = np.r_[:1000, 1100:1200, 1000:1100, 1200 : len(TIME)]
    with pytest.raises(RecordError, match="line 1102 belongs behind line 1001"):
        read(tmp_path, "time,II\n" + rows(fixed(TIME[order]), fixed(WAVE[order])))


def test_a_microcontrollers_clock_begins_again(tmp_path: Path) -> None:
    micros = [(4_294_000_000 + round(t * 1e6)) % 2**32 for t in TIME]
    found = read(tmp_path, "micros,II\n" + rows(micros, fixed(WAVE)))
    assert found.fs == 250
    near(found)


def test_rdsamps_dates(tmp_path: Path) -> None:
    stamps = [f"{START + timedelta(seconds=float(t)):'[%H:%M:%S.%f %d/%m/%Y]'}" for t in TIME]
    text = "'Time and date','II'\n'[hh:mm:ss.mmm dd/mm/yyyy]','mV'\n"
    assert read(tmp_path, text + rows(stamps, fixed(WAVE))).start_ns == START_NS


def test_rate_and_unit_above_the_table(tmp_path: Path) -> None:
    near(read(tmp_path, "Sampling Rate,250 Hz\nUnits,uV\n\nECG\n" + rows(fixed(1000 * WAVE))))
    with pytest.raises(RecordError, match="says 250 and 500 Hz"):
        read(tmp_path, "# fs=250\n# sampling rate: 500\nECG (mV)\n" + rows(fixed(WAVE)))


def test_the_steadiest_clock_is_used(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    phone = TIME + rng.uniform(0, 0.02, len(TIME))
    stamps = [(START + timedelta(seconds=float(t))).isoformat() for t in phone]
    text = "Phone time,sensor time (ms),zero (s),II\n"
    found = read(tmp_path, text + rows(stamps, fixed(1000 * TIME), [0] * len(TIME), fixed(WAVE)))
    assert (found.fs, found.rate_from) == (250, "column 'sensor time'")
    assert abs(found.start_ns - START_NS) < 20_000_000


# --- units


def test_units_are_in_the_heading(tmp_path: Path) -> None:
    for name, factor in {"ECG (uV)": 1e3, "ecg_uV": 1e3, "ECG [mV]": 1, "ecg (V)": 1e-3,
                         "ECG µV": 1e3, "EKG (Microvolts)": 1e3}.items():  # fmt: skip
        near(read(tmp_path, f"# fs=250\n{name}\n" + rows(fixed(factor * WAVE, 7))))


def test_a_unit_that_nothing_names_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"'ECG' names no unit.*name the column 'ECG \(uV\)'"):
        read(tmp_path, "# fs=250\nECG\n" + rows(fixed(1000 * WAVE)))
    with pytest.raises(RecordError, match="names no unit"):
        read(tmp_path, "# fs=250\nECG\n" + rows(fixed(WAVE / 1000, 7)))


@pytest.mark.parametrize("name", ["II", "value", "ECG (adu)", "sensorValue", None])
def test_counts_are_scaled_and_that_is_said(tmp_path: Path, name: str | None) -> None:
    counts = np.rint(512 + 150 * WAVE).astype(int)
    text = "# fs=250\n" + (f"{name}\n" if name else "") + rows(counts)
    found = read(tmp_path, text)
    assert found.scaled == found.leads
    assert found.units[0] == "adu"
    assert 1 < np.ptp(found.samples) < 3


# --- logs without headings


def test_a_microcontrollers_log(tmp_path: Path) -> None:
    """AD8232: counts of 10 bits, "!" while an electrode is off, with milliseconds or without."""
    counts = [str(round(512 + 150 * x)) for x in WAVE]
    counts[1000:1100] = ["!"] * 100
    ms = [round(1000 * t) for t in TIME]
    for text in ("# fs=250\n" + rows(counts), rows(ms, counts), rows(ms, counts, sep="\t")):
        found = read(tmp_path, text)
        assert (found.fs, found.leads, found.units) == (250, ("ECG",), ("adu",))
        assert gaps(found.samples) == [(1000, 100)]
    clock = [f"{START + timedelta(seconds=float(t)):%H:%M:%S.%f}"[:12] for t in TIME]
    found = read(tmp_path, rows(clock, counts, sep=" -> "))
    assert (found.fs, gaps(found.samples)) == (250, [(1000, 100)])


def test_counting_by_ones_may_be_ms_or_samples(tmp_path: Path) -> None:
    counts = [round(512 + 150 * x) for x in WAVE]
    with pytest.raises(RecordError, match="the first column counts by ones"):
        read(tmp_path, rows(range(len(counts)), counts))
    assert read(tmp_path, "# fs=250\n" + rows(range(len(counts)), counts)).fs == 250


def test_columns_of_text_are_no_leads(tmp_path: Path) -> None:
    text = "# fs=250\nII,label\n" + rows(fixed(WAVE), ["N"] * len(WAVE))
    found = read(tmp_path, text)
    assert (found.leads, found.left_out) == (("II",), ("label (text)",))


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("Erika Mustermann\n", ("ECG",)),
        ("Patient;Erika Mustermann\n", None),
        ("Patient;Erika Mustermann\n\nECG;V1\n", ("ECG", "V1")),
    ],
)
def test_a_line_that_may_be_a_persons_is_no_heading(
    tmp_path: Path, head: str, told: tuple[str, ...] | None
) -> None:
    columns = [fixed(WAVE)] * (1 if told == ("ECG",) else 2)
    text = "# fs=250\n" + head + rows(*columns, sep=";")
    try:
        found = read(tmp_path, text)
        assert told is None or found.leads == told
        shown = f"{found} {summary(found)}"
    except RecordError as error:
        shown = str(error)
    assert "Mustermann" not in shown


def test_nothing_in_a_cell_is_quoted(tmp_path: Path) -> None:
    text = "# fs=250\nII\n0.1\n0.2\nErika Mustermann\n0.3\n"
    with pytest.raises(RecordError, match="line 5") as caught:
        read(tmp_path, text)
    assert "Mustermann" not in str(caught.value)
