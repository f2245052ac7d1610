"""benchmarks/clinical/alarms: what it takes for true, false, early, late and missed.

No figure is judged here: how good the alarms are, is for the benchmark itself to say.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from beatgan.alarms.limits import AlarmLimits
from beatgan.ec57.episodes import (
    EpisodeComparison,
    RhythmReference,
    Span,
    common,
    length,
    read_rhythm,
    union,
    vf_detections,
    vf_is_true,
)
from beatgan.errors import BeatganError, UsageError
from beatgan.records import SAMPLE, Recording, read_recording
from benchmarks.clinical.alarms import (
    alarm_rates,
    annotated_fibrillation,
    asystole,
    atrial_fibrillation,
    cinc2015,
    hand_held,
    noise,
    normal_records,
    time_to_alarm,
    ventricular_fibrillation,
    ventricular_runs,
)
from benchmarks.clinical.alarms.__main__ import limits_of, read_fold_models
from benchmarks.clinical.alarms.alarm_episodes import (
    AF,
    ASYSTOLE,
    BRADYCARDIA,
    PAUSE,
    RUN,
    TACHYCARDIA,
    VF,
    AlarmEpisode,
    AlertLine,
    episodes,
    of,
)
from benchmarks.clinical.alarms.by_leads import ByLeads, by_leads
from benchmarks.clinical.alarms.copies import one_lead, written
from benchmarks.clinical.alarms.daemon_command import DaemonCommand, Source
from benchmarks.clinical.alarms.heart_rate_reference import FAST, SLOW, rate_events
from benchmarks.clinical.alarms.joined import joined
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import (
    ONE,
    TWO,
    Distribution,
    Figure,
    Section,
    clock,
    columns,
    markdown_table,
    rate,
)
from benchmarks.clinical.alarms.truth import not_right

FS = 100.0


def reference(symbols: str, every: float = 0.5, flutter: tuple[Span, ...] = ()) -> RhythmReference:
    """A beat each ``every`` seconds, from 0 on, and as long again after the last."""
    times = tuple(every * k for k in range(len(symbols)))
    return RhythmReference("r", every * len(symbols), times, tuple(symbols), flutter)


def alarm(
    code: str, raised: float, onset: float, end: float, priority: str = "high"
) -> AlarmEpisode:
    return AlarmEpisode("r", code, "physiological", priority, raised, onset, end)


def message(phase: str, sample: int, known: int, **changed: Any) -> AlertLine:
    """A message about an episode that began at sample 100; it left 0.25 s after it was known."""
    at_ns = 1_700_000_000 * 10**9  # when the recording began
    fields = {
        **{"id": "a", "n": 0, "stream": "r", "epoch": 1, "kind": "technical"},
        **{"code": "signal.noise", "priority": "low", "phase": phase, "onset_sample": 100},
        **{"onset_ns": at_ns + 10**9, "end_sample": None, "sample": sample, "lead": "II"},
        **{"suspended": False, "raised_ns": at_ns + known * 10**7 + 250_000_000},
        **{"score": None, "threshold": None, "beats": (), "explanation": None},
        "delay_ms": {"condition": (known - sample) * 10.0, "signal": 250.0},
    }
    return msgspec.convert({**fields, **changed}, AlertLine)


def test_three_v_in_a_row_are_a_run() -> None:
    runs = reference("VVNVVVNNVVVVFVVFVVV").runs()
    assert [(run.beats, run.begin, run.third, run.end) for run in runs] == [
        (3, 1.5, 2.5, 2.5),
        (4, 4.0, 5.0, 5.5),
        (3, 8.0, 9.0, 9.0),
    ]
    assert {run.rate for run in runs} == {120.0}


def test_a_pause_lies_between_two_beats_and_outside_flutter() -> None:
    assert reference("NNN", 5.0).pauses(4.0) == (Span(0, 5), Span(5, 10))
    assert reference("NNN", 5.0, (Span(6, 9),)).pauses(4.0) == (Span(0, 5),)
    assert reference("NNN", 3.9).pauses(4.0) == ()


def test_annotations_are_read_as_they_stand(tmp_path: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    samples = np.zeros((1000, 1))
    wfdb.wrsamp("x", 100, ["mV"], ["II"], samples, fmt=["16"], write_dir=str(tmp_path))
    marks = [(100, "N"), (200, "+"), (300, "V"), (400, "["), (450, "!"), (500, "]"), (600, "[")]
    places, symbols = zip(*marks, strict=True)
    wfdb.wrann("x", "atr", np.array(places), list(symbols), write_dir=str(tmp_path))
    found = read_rhythm(tmp_path / "x")
    assert (found.record, found.seconds) == ("x", 10.0)
    assert (found.time, found.symbol) == ((1.0, 3.0), ("N", "V"))
    assert found.flutter == (Span(4, 5), Span(6, 10))
    assert found.abnormal_share() == 0.5


def test_the_beats_around_an_alarm_are_shown() -> None:
    record = reference("NNNNNNNNVVNNNNNNNN")
    assert record.around(Span(4, 4.5)) == "NNNNNN<VV>NNNNNN"
    assert reference("N" * 100).around(Span(10, 30)) == f"NNNNNN<{'N' * 12}..{'N' * 12}>NNNNNN"


def test_spans_that_touch_become_one() -> None:
    spans = union([Span(5, 6), Span(0, 2), Span(1, 3), Span(3, 4)])
    assert spans == (Span(0, 4), Span(5, 6))
    assert length(spans) == 5
    assert common(spans, [Span(3, 5.5), Span(8, 9)]) == (Span(3, 4), Span(5, 5.5))


def test_an_episode_is_made_of_its_messages() -> None:
    messages = [
        message("start", 100, 150),
        message("update", 300, 320, priority="medium", suspended=True),
        message("start", 350, 360, id="b", onset_sample=350),
        message("update", 400, 440, suppressed=2),
        message("end", 500, 520, end_sample=500),
    ]
    first, second = episodes(messages, "r", FS, 9.0)
    assert (first.raised, first.onset, first.end, first.priority) == (1.5, 1.0, 5.0, "medium")
    assert first.silent == (Span(3, 4),)
    assert (first.suppressed, second.suppressed) == (2, 0)
    assert second.end == 9.0, "still under way when the record ends"


def test_an_alarm_that_latches_ends_where_its_condition_does() -> None:
    messages = [
        message("start", 100, 150),
        message("update", 300, 320, end_sample=300),
        message("end", 800, 800, end_sample=300),
    ]
    assert [each.end for each in episodes(messages, "r", FS, 9.0)] == [3.0]


def test_a_run_is_found_by_an_alarm_that_touches_it() -> None:
    (run,) = reference("NNNNNNNNNNVVVVNNNN").runs()
    assert ventricular_runs.detection(run, []).delay is None
    assert ventricular_runs.detection(run, [alarm(ASYSTOLE, 5.5, 5, 7)]).delay is None
    assert ventricular_runs.detection(run, [alarm(RUN, 9, 7.6, 9)]).delay is None
    late, early = alarm(RUN, 9.0, 7.4, 9), alarm(VF, 5.5, 3, 5.5)
    assert ventricular_runs.detection(run, [late]).delay == 3.0
    found = ventricular_runs.detection(run, [late, early])
    assert (found.code, found.delay) == (VF, 0.0)


def test_a_high_alarm_is_true_where_what_it_says_was_so() -> None:
    record = reference("NNVVVNNNN", 5.0, (Span(32, 38),))
    true = [alarm(RUN, 22, 12, 18), alarm(VF, 31, 31, 36), alarm(ASYSTOLE, 4, 0, 5)]
    assert ventricular_runs.false_alarms(record, true, AlarmLimits()) == []
    wrong = [alarm(ASYSTOLE, 36, 33, 33.5), alarm(RUN, 5, 2, 3), alarm(VF, 26, 25, 27)]
    assert [
        each.alarm
        for each in ventricular_runs.false_alarms(record, wrong, AlarmLimits(asystole_s=6.0))
    ] == wrong
    slow = ventricular_runs.false_alarms(
        record, [alarm(ASYSTOLE, 4, 0, 5)], AlarmLimits(asystole_s=6.0)
    )
    assert [each.beats for each in slow] == ["<NN>"]


def beats(*intervals: float, flutter: tuple[Span, ...] = ()) -> RhythmReference:
    """Normal beats so far apart, from 0 on."""
    times = tuple(np.cumsum((0.0, *intervals)).tolist())
    return RhythmReference("r", times[-1] + 1, times, ("N",) * len(times), flutter)


def test_an_event_of_the_rate_is_so_many_beats_beyond_the_limit() -> None:
    slow = beats(*[0.8] * 5, *[1.6] * 6, *[0.8] * 5, *[1.6] * 2, *[0.8] * 5)
    (event,) = rate_events(slow, SLOW)
    assert (event.span.begin, event.met, event.span.end) == pytest.approx((4.0, 10.4, 13.6))
    assert rate_events(beats(*[0.8] * 5, 7.0, *[0.8] * 5), SLOW) == [], "a pause"
    assert rate_events(slow, FAST) == []
    fast = beats(*[0.8] * 5, *[0.4] * 20, *[0.8] * 9)
    (event,) = rate_events(fast, FAST)
    assert (event.span.begin, event.span.end) == pytest.approx((4.0, 12.0))
    assert event.met == pytest.approx(4.0 + 0.4 * 15)
    assert rate_events(replace(fast, flutter=(Span(5, 11),)), FAST) == []


def test_a_rate_is_alarmed_so_long_after_its_first_beat() -> None:
    record = beats(*[0.8] * 50, *[1.6] * 20, *[0.8] * 50)
    (event,) = rate_events(record, SLOW)
    begin, end = event.span

    def outcome(*alarms: AlarmEpisode) -> Any:
        (found,) = time_to_alarm.timed(record, alarms)
        return found.outcome, found.delay

    assert outcome() == ("missed", None)
    assert outcome(alarm(TACHYCARDIA, begin + 5, begin, end)) == ("missed", None)
    late, early = (alarm(BRADYCARDIA, begin + s, begin, end) for s in (8.0, -3.0))
    assert outcome(late) == ("raised", pytest.approx(8.0))
    assert outcome(late, early) == ("raised", 0.0)
    assert outcome(alarm(ASYSTOLE, begin - 20, begin - 24, begin - 12)) == ("missed", None)
    assert outcome(alarm(BRADYCARDIA, begin - 20, begin - 24, end)) == ("standing", None)


def test_a_rate_alarm_is_true_where_beats_are_near_the_limit() -> None:
    slow, fast = beats(*[1.5] * 9), beats(*[0.44] * 9)
    bradycardia, tachycardia = (alarm(code, 5, 1, 5) for code in (BRADYCARDIA, TACHYCARDIA))
    assert not_right([bradycardia, tachycardia], slow, AlarmLimits()) == [tachycardia]
    assert not_right([bradycardia, tachycardia], fast, AlarmLimits()) == [bradycardia]
    run = reference("NNVVVNN")
    assert not_right([bradycardia, tachycardia, alarm(VF, 2, 1, 2)], run, AlarmLimits()) == [
        bradycardia
    ]
    pauses = [alarm(PAUSE, 4, 0, 4), alarm(ASYSTOLE, 4, 0, 4)]
    assert not_right(pauses, reference("NNN", 3.2), AlarmLimits()) == pauses[1:]
    other = alarm("beat.anomalous", 5, 1, 5)
    assert not_right([other], slow, AlarmLimits()) == [other]


def test_a_rhythm_lasts_until_the_next_one(tmp_path: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    samples = np.zeros((10_000, 1))
    wfdb.wrsamp("x", 100, ["mV"], ["II"], samples, fmt=["16"], write_dir=str(tmp_path))
    marks = [(10, "(N"), (2000, "(AFIB"), (6000, "(AFL"), (7000, "(N"), (9000, "(AFIB")]
    places, notes = zip(*marks, strict=True)
    symbols = ["+"] * len(marks)
    folder = str(tmp_path)
    wfdb.wrann("x", "atr", np.array(places), symbols, aux_note=list(notes), write_dir=folder)
    either = annotated_fibrillation.rhythms(tmp_path / "x", "(AFIB", "(AFL")
    assert either == (Span(20, 70), Span(90, 100))
    assert annotated_fibrillation.rhythms(tmp_path / "x", "(AFIB")[0] == Span(20, 60)


def test_fibrillation_of_the_atria_is_told_so_long_after_it_begins() -> None:
    code = AF
    delay = annotated_fibrillation.delay
    assert delay(Span(20, 70), []) is None
    assert delay(Span(20, 70), [alarm(code, 80, 20, 90)]) is None
    assert delay(Span(20, 70), [alarm(code, 10, 0, 90)]) == 0.0
    assert delay(Span(20, 70), [alarm(code, 60, 20, 90), alarm(code, 40, 20, 50)]) == 20.0


def test_false_alarms_and_runs_of_a_record() -> None:
    record = reference("N" * 100 + "VVV" + "N" * 100)
    true, false = alarm(RUN, 52, 50, 52), alarm(RUN, 12, 10, 12)
    technical = replace(false, kind="technical")
    medium = replace(false, priority="medium")
    found = alarm_rates.of_record(record, [true, false, technical, medium], AlarmLimits())
    assert (found.found, found.runs) == (1, 1)
    assert found.false == [false]
    assert found.alarms == [true, false, medium]


def test_a_section_is_measured_with_one_lead_too(tmp_path: Path, model_file: Path) -> None:
    pytest.importorskip("wfdb")
    samples = np.zeros((500, 2), np.float32)
    samples[::50] = 1.0
    for name, leads in (("a", ("V1", "MLII")), ("b", ("II",))):
        written(name, name, 250.0, leads, samples[:, : len(leads)], tmp_path)
    seen: list[set[tuple[str, ...]]] = []

    class Daemon(DaemonCommand):
        def alarms(self, sources: Sequence[Source]) -> dict[str, list[AlarmEpisode]]:
            seen.append({read_recording(source.path).leads for source in sources})
            return {
                each.name: [replace(alarm(VF, 1, 0, 1), record=each.record)] for each in sources
            }

    def evaluate(records: RecordSet) -> Section:
        alarms = records.alarms(["a", "b"])
        assert {name: x[0].record for name, x in alarms.items()} == {"a": "a", "b": "b"}
        return normal_records.NormalRecords("DS2", [], [], 1.0, [], [], [])

    copies = tmp_path / "copies"
    copies.mkdir()
    found = by_leads(evaluate)(RecordSet(tmp_path, Daemon(), AlarmLimits(), copies))
    assert seen == [{("V1", "MLII"), ("II",)}, {("MLII",)}], "what has one lead is streamed once"
    assert [figure.leads for figure in found.figures()] == [TWO, TWO, ONE, ONE]


def test_what_is_nearly_normal() -> None:
    assert normal_records.is_nearly_normal(reference("N" * 101 + "V"))
    assert not normal_records.is_nearly_normal(reference("N" * 98 + "V"))
    assert not normal_records.is_nearly_normal(reference("N" * 200, flutter=(Span(1, 2),)))


@pytest.mark.parametrize(
    ("raised", "outcome", "delay"),
    [
        ([89.9], "masked", None),
        ([90.1], "in time", 0.0),
        ([105.0, 92.0], "in time", 0.0),
        ([110.0], "in time", 10.0),
        ([110.1], "late", 10.1),
        ([131.0], "missed", None),
        ([], "missed", None),
    ],
)
def test_fibrillation_is_detected_in_time_or_not(
    raised: list[float], outcome: str, delay: float | None
) -> None:
    record = replace(reference("N" * 400), flutter=(Span(100, 130),))
    alarms = [alarm(VF, moment, moment, 140) for moment in raised]
    (found,) = vf_detections(record, alarms)
    assert found.outcome == outcome
    assert found.delay == (None if delay is None else pytest.approx(delay))


def test_an_alarm_of_the_episode_before_stands_but_does_not_count() -> None:
    record = replace(reference("N" * 400), flutter=(Span(100, 110), Span(121, 130)))
    standing, ended = alarm(VF, 105, 100, 135), alarm(VF, 105, 100, 118)
    for first, outcome in ((standing, "standing"), (ended, "missed")):
        found = vf_detections(record, [first])
        assert [each.outcome for each in found] == ["in time", outcome]
    wrong = alarm(VF, 60, 60, 135)
    found = vf_detections(record, [wrong])
    assert [each.outcome for each in found] == ["masked", "masked"]


def test_a_false_fibrillation_was_raised_far_from_any() -> None:
    spans = [Span(100, 110)]
    alarms = [alarm(VF, moment, moment, 150) for moment in (89, 91, 119, 121)]
    other = alarm(RUN, 50, 50, 60)
    vf_alarms = of([*alarms, other], VF)
    found = [each for each in vf_alarms if not vf_is_true(each, spans)]
    assert [each.raised for each in found] == [89, 121]


def test_a_record_is_cut_to_the_level_it_rested_at() -> None:
    samples = np.full((9000, 2), [0.3, -0.2], np.float32)
    samples[::50] = 1.0
    recording = Recording("r", FS, ("II", "V5"), samples)
    for noise_mv in (0.0, 0.01):
        cut = asystole.cut_off(recording, 70.0, noise_mv, np.random.default_rng(0)).samples
        assert np.array_equal(cut[:6000], samples[1000:7000])
        assert len(cut) == 7500
        assert np.abs(cut[6000:] - [0.3, -0.2]).max() == pytest.approx(noise_mv, rel=0.05, abs=1e-6)


def test_points_of_cuts_lie_beside_no_beat_and_are_the_same_at_every_run() -> None:
    record = reference("N" * 400)
    points, again = (asystole.draw(record, np.random.default_rng(3)) for _ in range(2))
    assert points == again
    apart = np.abs(np.array(points)[:, None] - np.array(record.time)).min(axis=1)
    assert (apart > asystole.CLEAR_S).all()


def test_the_delay_of_asystole_counts_from_the_last_beat() -> None:
    before, there = alarm(ASYSTOLE, 3, 0, 11), alarm(ASYSTOLE, 14, 10, 20)
    other = alarm(RUN, 12, 11, 13)
    assert asystole.delay_of([other, there], 10.0) == (4.0, False)
    assert asystole.delay_of([other, before], 10.0) == (None, True)
    assert asystole.delay_of([], 10.0) == (None, False)


def test_noise_lies_on_every_other_two_minutes() -> None:
    spans = noise.noisy_spans(900.0)
    assert spans == (Span(300, 420), Span(540, 660), Span(780, 900))
    assert noise.noisy_spans(200.0) == ()


def test_limits_come_from_the_command_line() -> None:
    limits = limits_of(["alarms.vt_beats=4", "alarms.vt_rate=110"])
    assert limits == replace(AlarmLimits(), vt_beats=4, vt_rate=110.0)
    for wrong in ("vt_beats=4", "alarms.vtbeats=4", "alarms.vt_beats=x", "alarms.vt_beats=0"):
        with pytest.raises(UsageError, match=r"vt_?beats"):
            limits_of([wrong])


def test_figures_as_text() -> None:
    assert (
        str(Distribution.of([3.0, 1.0, 2.0])) == "least 1.00, median 2.00, p90 3.00, most 3.00 (3)"
    )
    assert str(Distribution.of([])) == "none"
    assert columns(("a", "bb"), [("ccc", 1.0)]) == ["a      bb", "ccc  1.00"]
    assert clock(119.96) == "2:00.0"


@pytest.mark.parametrize(
    ("kind", "code", "raised", "end", "found"),
    [
        ("Asystole", ASYSTOLE, 170, 175, True),
        ("Asystole", ASYSTOLE, 100, 170, True),  # still under way
        ("Asystole", ASYSTOLE, 100, 160, False),
        ("Asystole", PAUSE, 170, 175, False),
        ("Bradycardia", BRADYCARDIA, 170, 175, True),
        ("Bradycardia", ASYSTOLE, 170, 175, True),
        ("Tachycardia", TACHYCARDIA, 170, 175, True),
        ("Tachycardia", RUN, 170, 175, True),
        ("Tachycardia", BRADYCARDIA, 170, 175, False),
        ("Ventricular_Flutter_Fib", RUN, 170, 175, True),
        ("Ventricular_Tachycardia", VF, 170, 175, True),
        ("Ventricular_Tachycardia", TACHYCARDIA, 170, 175, False),
    ],
)
def test_an_alarm_of_the_challenge_is_raised_by_what_can_mean_it(
    kind: str, code: str, raised: float, end: float, found: bool
) -> None:
    label = cinc2015.Label("r", kind, True)
    said = cinc2015.verdict(label, [alarm(code, raised, raised - 5, end)], 180.0)
    assert (said.raised, said.right) == (found, found)
    wrong = cinc2015.verdict(label._replace(true=False), [alarm(code, raised, 90, end)], 180.0)
    assert wrong.right is not found


def test_a_true_alarm_missed_counts_five_times() -> None:
    assert cinc2015.score(1, 1, 1, 0) == pytest.approx(200 / 3)
    assert cinc2015.score(1, 1, 0, 1) == pytest.approx(200 / 7)
    verdicts = [
        cinc2015.verdict(cinc2015.Label(str(k), "Asystole", k < 2), some, 180.0)
        for k, some in enumerate(([], [alarm(ASYSTOLE, 170, 166, 180)], [], []))
    ]
    result = cinc2015.LeadsResult("both", verdicts)
    assert result.outcomes().sum(axis=0).tolist() == [1, 2, 0, 1]
    assert result.score().startswith("37.5 (")


def test_a_short_recording_goes_on_from_beat_to_beat() -> None:
    fs, beats = 300.0, np.array([1.0, 1.9, 2.7, 3.7, 4.6, 5.2, 6.2, 7.0, 7.9])
    time = np.arange(0, 8.5, 1 / fs)
    signal = np.exp(-0.5 * ((time[:, None] - beats) / 0.012) ** 2).sum(axis=1)
    drifts = (signal + 0.05 * time).astype(np.float32)[:, None]
    long = joined(Recording("r", fs, ("I",), drifts), 40.0)
    assert long is not None
    assert len(long) == 40 * fs
    flat = long[:, 0] - np.median(long)
    found = np.flatnonzero((flat[1:-1] > 0.5) & (flat[1:-1] > flat[:-2]) & (flat[1:-1] >= flat[2:]))
    intervals = np.diff(found / fs)
    assert 0.55 < intervals.min() < intervals.max() < 1.05
    assert np.abs(np.diff(long[:, 0])).max() <= np.abs(np.diff(drifts[:, 0])).max() + 0.01
    assert np.ptp(long) < 1.5, "no drift piles up"
    assert joined(Recording("r", fs, ("I",), drifts[:900]), 40.0) is None


def test_copies_are_the_record_to_the_bit(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    samples = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    samples[100:120] = np.nan
    both = written("both", "r", 250.0, ("II", "V"), samples, tmp_path)
    again = read_recording(both.path)
    assert again.leads == ("II", "V")
    assert np.nanmax(np.abs(again.samples - samples)) <= 0.0003
    assert np.array_equal(np.isnan(again.samples), np.isnan(samples))
    second = one_lead(both.path, "r", "V", tmp_path)
    assert second.record == "r"
    assert second.form == (250.0, 2.0)
    assert np.array_equal(read_recording(second.path).samples[:, 0], again.samples[:, 1], True)


def test_each_fold_has_the_model_that_has_not_seen_it(tmp_path: Path, model_file: Path) -> None:
    (tmp_path / "1.pt").write_bytes(b"")
    table = tmp_path / "folds.json"
    table.write_text('{"100": "1.pt"}')
    assert read_fold_models(table) == {"100": tmp_path / "1.pt"}
    sources = [Source(tmp_path / name, record) for name, record in (("100-II", "100"), ("a", "a"))]
    daemon = DaemonCommand(model=model_file, fold_models=read_fold_models(table))
    assert {model: list(some) for model, some in daemon.jobs(sources)} == {
        tmp_path / "1.pt": sources[:1],
        model_file: sources[1:],
    }
    for wrong in ('{"100": "2.pt"}', '["1.pt"]', "{"):
        table.write_text(wrong)
        with pytest.raises(UsageError, match=str(table)):
            read_fold_models(table)


def test_rates_and_tables_as_text() -> None:
    assert rate([0, 2, 1], [1, 1, 1]).startswith("1.00 (0.")
    assert rate([], []) == "none"
    this = [Figure("a", "1"), Figure("b", "2"), Figure("a", "3", ONE)]
    table = markdown_table({"this": this, "other": [Figure("a", "4")]})
    assert table.splitlines() == [
        "|  | this, two leads | other, two leads | this, one lead |",
        "| --- | --- | --- | --- |",
        "| a | 1 | 4 | 3 |",
        "| b | 2 |  |  |",
    ]


def test_the_daemon_command_gives_the_alarms_of_each_recording(
    model_file: Path, tmp_path: Path
) -> None:
    pytest.importorskip("wfdb")
    sample = read_recording(SAMPLE)
    sources = [
        written(name, name, sample.fs, sample.leads, sample.samples[start:], tmp_path)
        for name, start in (("a", 0), ("b", 5000))
    ]
    found = DaemonCommand(model=model_file).alarms(sources)
    assert list(found) == ["a", "b"]
    for name, some in found.items():
        assert {each.record for each in some} == {name}
        assert "beat.anomalous" in {each.code for each in some}
        assert all(each.onset <= each.raised <= 301 for each in some)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"no model")
    with pytest.raises(BeatganError, match=r"broken\.pt"):
        DaemonCommand(model=broken).alarms(sources)


def test_every_section_reports_what_it_found() -> None:
    raised = [alarm("beat.anomalous", 5, 2, 30, "medium"), alarm(VF, 40, 30, 50)]
    record = replace(reference("N" * 400), flutter=(Span(10, 20),))
    detections = vf_detections(record, raised)
    ec57 = EpisodeComparison(2, 1, 3, 1, 20.0, 30.0, 10.0)
    sections: list[Section] = [
        ventricular_runs.VentricularRuns(
            "DS2",
            ["r"],
            1.0,
            [],
            ventricular_runs.false_alarms(record, raised, AlarmLimits()),
            ec57,
            0.0,
            0,
        ),
        normal_records.NormalRecords("DS2", ["r"], [0.0], 1.0, raised, ["<N>"] * 2, [True, False]),
        asystole.Asystole(4.0, [asystole.Cut("r", 1, 0.5, 1, 0.0, 4.4, False)]),
        ventricular_fibrillation.Database(
            "cudb", 1, detections, detections, ec57, 1.0, raised, [None] * len(raised)
        ),
        noise.Noise([noise.NoisyRecord("118e_6", 10, 5, 5, raised, [], [""] * len(raised))]),
        alarm_rates.AlarmRates({"DS2": [alarm_rates.RecordAlarms(1.0, raised, raised[1:], 0, 0)]}),
        time_to_alarm.TimeToAlarm({"svdb": time_to_alarm.timed(beats(*[1.6] * 9), raised)}),
        ByLeads({"one lead": asystole.Asystole(4.0, [])}),
        annotated_fibrillation.AnnotatedFibrillation(
            "mitdb",
            1.0,
            [annotated_fibrillation.Stretch("r", Span(0, 40), None)],
            raised,
            EpisodeComparison(),
        ),
        hand_held.HandHeld({"r": "N"}, {"r": 1.0}, {"r": raised}),
        atrial_fibrillation.AtrialFibrillation(
            {"A": {"r": raised}, "N": {"s": raised}}, {"A": 0, "N": 1}
        ),
        cinc2015.Cinc2015(
            [
                cinc2015.LeadsResult(
                    cinc2015.BOTH,
                    [cinc2015.verdict(cinc2015.Label("r", "Asystole", True), raised, 60.0)],
                )
            ]
        ),
    ]
    for section in sections:
        assert list(section.lines())
        assert list(section.details())
        assert all(figure.name and figure.text for figure in section.figures())
        assert msgspec.json.encode(section)
