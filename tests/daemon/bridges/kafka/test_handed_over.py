"""What was handed over counts as arrived once it has lasted; before, it can come again."""

from beatgan_daemon.bridges.kafka.handed_over import HandedOver

A, B = ("t", 0), ("t", 1)


def handed() -> HandedOver:
    found = HandedOver(10.0)
    for second in range(8):
        found.add(A, 100 + second, float(second))
        found.add(B, 200 + second, float(second))
    return found


def test_offsets_settle_by_their_age() -> None:
    found = handed()
    assert found.settled(9.9) == {}
    assert found.settled(12.5) == {A: 103, B: 203}
    assert found.settled(12.5) == {}
    assert min(offset for place, offset in found.unsettled() if place == A) == 103


def test_a_partition_that_others_get_settles_by_another_age() -> None:
    found = handed()
    assert found.release([A], 5.0) == {A: 106}
    assert {place for place, _ in found.unsettled()} == {B}
    assert found.settled(99.0) == {B: 208}


def test_nothing_of_a_lost_one_settles() -> None:
    found = handed()
    assert found.release([A, B], -1.0) == {}
    assert found.settled(99.0) == {}


def test_what_is_cleared_does_not_settle() -> None:
    found = handed()
    found.clear()
    assert [*found.unsettled()] == []
    assert found.settled(99.0) == {}


def test_a_slice_of_time_settles_as_its_last_message_does() -> None:
    found = HandedOver(10.0)
    found.add(A, 1, 0.0)
    found.add(A, 2, 0.4)
    assert found.settled(10.3) == {}
    assert found.settled(10.5) == {A: 3}
