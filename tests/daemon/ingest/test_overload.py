"""When the daemon is too far behind, and which streams it serves then."""

import pytest

from beatgan_daemon.ingest.overload import MAX_PROBATION_S, PROBATION_S, OverloadPolicy

BEDS = [f"bed-{k}" for k in range(20)]


def calm(overload: OverloadPolicy, since: float, seconds: float = PROBATION_S) -> float:
    """Let time pass in which half is idle; the time then."""
    overload.record_iteration(0.1, seconds / 2, caught_up=True)
    return since + seconds


# --- who is served ----------------------------------------------------------------------------


def test_the_newest_quarter_of_those_served_is_shed_whole() -> None:
    overload = OverloadPolicy(0.5, 100, now=0.0)
    assert not any(overload.refuses(bed) for bed in [*BEDS, "new"])
    assert overload.shed_more(BEDS, 1.0) == BEDS[15:]
    assert overload.shed_more(BEDS, 2.0) == BEDS[11:15]
    assert [bed for bed in BEDS if overload.refuses(bed)] == BEDS[11:]
    assert overload.refuses("new")


def test_after_a_pause_no_stream_is_shed() -> None:
    overload = OverloadPolicy(0.5, 100, now=0.0)
    overload.record_iteration(60.0, 0.0, caught_up=False)
    overload.record_iteration(0.1, 0.0, caught_up=False)
    assert overload.shed_more(BEDS, 61.0) == []
    overload.record_iteration(0.1, 0.0, caught_up=True)
    overload.record_iteration(0.1, 0.0, caught_up=False)
    assert len(overload.shed_more(BEDS, 62.0)) == 5


def test_without_a_limit_no_wait_is_too_long() -> None:
    assert not OverloadPolicy(0.0, 100, now=0.0).too_far_behind(1e9)
    assert OverloadPolicy(0.5, 100, now=0.0).too_far_behind(0.51)


@pytest.mark.parametrize(("known", "shed"), [(0, 0), (1, 0), (2, 1), (3, 1), (5, 2)])
def test_the_last_one_is_never_shed(known: int, shed: int) -> None:
    overload = OverloadPolicy(0.5, 100, now=0.0)
    assert len(overload.shed_more(BEDS[:known], 1.0)) == shed
    for again in range(20):
        overload.shed_more(BEDS[:known], 2.0 + again)
    assert len(overload.shed) == max(0, known - 1)


def test_the_oldest_return_first_a_tenth_at_a_time() -> None:
    overload = OverloadPolicy(0.5, 100, now=0.0)
    for _ in range(3):
        overload.shed_more(BEDS, 0.0)
    now, back = 0.0, []
    while overload.shed:
        assert not overload.probation_over(now + 0.9 * PROBATION_S)
        now = calm(overload, now)
        assert overload.probation_over(now)
        back.append(overload.readmit(now))
    assert [len(each) for each in back] == [2] * 6
    assert [bed for each in back for bed in each] == BEDS[8:]
    assert not overload.refuses("new")


def test_without_time_left_none_returns() -> None:
    overload = OverloadPolicy(0.5, 100, now=0.0)
    overload.shed_more(BEDS, 0.0)
    overload.record_iteration(0.1, 0.29 * PROBATION_S, caught_up=True)
    assert overload.readmit(PROBATION_S) == []
    assert overload.refuses(BEDS[-1])


def test_new_ones_stand_in_line_behind_those_that_are_shed() -> None:
    overload = OverloadPolicy(0.5, len(BEDS) + 2, now=0.0)
    overload.shed_more(BEDS[:4], 0.0)
    new = ["new-1", "new-2", *BEDS[4:]]
    assert all(overload.refuses(each) for each in new)
    overload.shed_more(BEDS[:4], 1.0)
    assert list(overload.shed) == [*BEDS[2:4], *new]
    now, back = 1.0, []
    while overload.shed:
        now = calm(overload, now)
        back += overload.readmit(now)
        assert not any(overload.refuses(each) for each in back)
    assert back == [*BEDS[2:4], *new]


def test_new_ones_of_a_sender_without_part_in_it_are_served() -> None:
    overload = OverloadPolicy(0.5, len(BEDS) + 1, now=0.0)
    overload.shed_more(BEDS, 0.0, spared=BEDS[15:])
    assert list(overload.shed) == BEDS[11:15]
    assert not overload.refuses("new", new_ones=False)
    assert not overload.refuses("new")
    assert overload.refuses(BEDS[11], new_ones=False)
    assert overload.refuses("one too many", new_ones=False)


def test_of_names_without_end_no_more_are_kept_than_there_may_be_streams() -> None:
    overload = OverloadPolicy(0.5, 100, now=0.0)
    overload.shed_more(BEDS, 0.0)
    assert all(overload.refuses(f"new-{k}") for k in range(10_000))
    assert len(overload.shed) == 100 - 15


def probation(overload: OverloadPolicy, now: float) -> float:
    """How long it is from ``now``, when a measurement began, until streams may return."""
    seconds = PROBATION_S
    while not overload.probation_over(now + seconds):
        seconds *= 2
    return seconds


def test_who_overloads_it_again_waits_twice_as_long() -> None:
    overload = OverloadPolicy(0.5, 100, now=0.0)
    now = 0.0
    overload.shed_more(BEDS, now)
    waits = []
    for _ in range(9):
        waits.append(probation(overload, now))
        now = calm(overload, now, waits[-1])
        assert overload.readmit(now)
        overload.shed_more(BEDS, now)
    doubled = [PROBATION_S * 2**k for k in range(7)]
    assert waits == [*doubled, MAX_PROBATION_S, MAX_PROBATION_S]


def test_an_overload_that_the_readmitted_did_not_make_costs_no_patience() -> None:
    overload = OverloadPolicy(0.5, 100, now=0.0)
    overload.shed_more(BEDS, 0.0)
    now = calm(overload, 0.0)
    assert overload.readmit(now)
    now = calm(overload, now)  # the trial is over and went well
    assert overload.readmit(now)
    now = calm(overload, now)
    overload.readmit(now)
    assert not overload.shed
    now = calm(overload, now)
    overload.readmit(now)
    overload.shed_more(BEDS, now)
    assert probation(overload, now) == PROBATION_S


def test_once_all_are_served_patience_is_as_in_the_beginning() -> None:
    overload = OverloadPolicy(0.5, 100, now=0.0)
    now = 0.0
    overload.shed_more(BEDS, now)
    for _ in range(3):
        now = calm(overload, now, probation(overload, now))
        overload.readmit(now)
        overload.shed_more(BEDS, now)
    assert probation(overload, now) == 8 * PROBATION_S
    while overload.shed:
        now = calm(overload, now, 8 * PROBATION_S)
        overload.readmit(now)
    now = calm(overload, now, 8 * PROBATION_S)
    overload.readmit(now)
    overload.shed_more(BEDS, now)
    assert probation(overload, now) == PROBATION_S
