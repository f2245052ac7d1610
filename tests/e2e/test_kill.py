"""Killed at random moments, under load: no alert is lost, told twice or left open.

A few kills, for every change; a hundred are benchmarks/robustness/kills.py's.
"""

from pathlib import Path

import pytest

from benchmarks.robustness.kills import SubscriberLog, check, kill_repeatedly

MODEL = Path(__file__).parents[2] / "models" / "student.pt"


@pytest.mark.timeout(1200)  # six starts, on a machine that has more to do
def test_a_killed_daemon_goes_on_where_it_was() -> None:
    codes = {"rhythm.asystole", "rhythm.ventricular-fibrillation", "signal.flat", "beat.anomalous"}

    def enough(seen: SubscriberLog) -> bool:
        return len(seen.alerts) > 100 and codes <= seen.codes()

    result = kill_repeatedly(MODEL, kills=4, streams=4, seed=1, enough=enough)
    assert result.faults == []
    assert result.alerts > 100
    assert result.seen > 50
    assert result.resumed > 0
    assert codes <= result.ended.keys()


def alert(n: int, phase: str, episode: str = "a") -> bytes:
    return b'{"id":"%s","n":%d,"code":"x","phase":"%s"}' % (episode.encode(), n, phase.encode())


def test_the_judge_finds_what_is_wrong() -> None:
    good = [alert(0, "start"), alert(1, "update"), alert(2, "end")]
    seen = SubscriberLog()
    for body in good:
        seen.add(body)
        seen.add(body[:-1] + b',"repeat":true}')
    assert check(good, seen)[1] == []
    assert check(good[:2], SubscriberLog())[1] == ["a: start update"]
    assert check([alert(0, "start"), alert(1, "start"), alert(2, "end")], SubscriberLog())[1]
    assert check([alert(0, "start"), alert(1, "end"), alert(2, "update")], SubscriberLog())[1]
    assert check([alert(0, "start"), alert(2, "end")], SubscriberLog())[1]
    assert check(good[:1], seen)[1]
    seen.add(alert(1, "end"))
    assert "alert 1 was seen with two contents" in check(good, seen)[1]
