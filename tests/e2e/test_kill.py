"""Killed at random moments, under load: no alert is lost, told twice or left open.

A few kills, for every change; a hundred are benchmarks/robustness/kills.py's.
"""

from pathlib import Path

from benchmarks.robustness.kills import Seen, besiege, judge

MODEL = Path(__file__).parents[2] / "models" / "student.pt"


def test_a_killed_daemon_goes_on_where_it_was() -> None:
    verdict = besiege(MODEL, kills=4, streams=4, seed=1)
    assert verdict.faults == []
    assert verdict.alerts > 100
    assert verdict.seen > 50
    assert verdict.resumed > 0
    codes = {"rhythm.asystole", "rhythm.fibrillation", "signal.flat", "beat.anomalous"}
    assert codes <= verdict.ended.keys()


def alert(n: int, phase: str, episode: str = "a") -> bytes:
    return b'{"id":"%s","n":%d,"code":"x","phase":"%s"}' % (episode.encode(), n, phase.encode())


def test_the_judge_finds_what_is_wrong() -> None:
    good = [alert(0, "start"), alert(1, "update"), alert(2, "end")]
    seen = Seen()
    for body in good:
        seen.hear(body)
        seen.hear(body[:-1] + b',"repeat":true}')
    assert judge(good, seen)[1] == []
    assert judge(good[:2], Seen())[1] == ["a: start update"]
    assert judge([alert(0, "start"), alert(1, "start"), alert(2, "end")], Seen())[1]
    assert judge([alert(0, "start"), alert(1, "end"), alert(2, "update")], Seen())[1]
    assert judge([alert(0, "start"), alert(2, "end")], Seen())[1]
    assert judge(good[:1], seen)[1]
    seen.hear(alert(1, "end"))
    assert "alert 1 was seen with two contents" in judge(good, seen)[1]
