"""benchmarks/scale: what it takes for a fault when buckets move and shards die, and what not."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from beatgan.protocol.messages import AlertMessage, Message, StatusMessage, Totals, encode_json
from benchmarks.scale import trial
from benchmarks.scale.continuity import Said, Truth, faults, said, truth
from benchmarks.scale.listener import Heard
from benchmarks.scale.reference import offline
from benchmarks.scale.shared_cores import Figures
from benchmarks.scale.throughput import largest, search, sure

FS = 360.0


@pytest.fixture(scope="module")
def messages(model_file: Path) -> list[Message]:
    return offline(trial.plan(4, 40.0), trial.real_ecg(), 1, model_file)


@pytest.fixture(scope="module")
def expected(messages: list[Message]) -> Truth:
    return truth(messages)


def heard(messages: list[Message]) -> Said:
    return said(Heard(at, 0, encode_json(m)) for at, m in enumerate(messages))


def without(messages: list[Message], kind: str, which: int) -> tuple[list[Message], Message]:
    place = [n for n, m in enumerate(messages) if m.type == kind][which]
    return messages[:place] + messages[place + 1 :], messages[place]


def gap(stream: str, first: int, lost: int) -> StatusMessage:
    totals = Totals(0, lost, 0)
    return StatusMessage(
        stream=stream, epoch=1, state="gap", sample=first, time_ns=0, fs=FS, leads=("II",),
        lead="II", lost=lost, totals=totals, text="",
    )  # fmt: skip


def test_all_that_was_expected_is_no_fault(messages: list[Message], expected: Truth) -> None:
    assert faults(heard(messages), expected, FS) == []


def test_a_beat_that_is_missing_or_came_twice(messages: list[Message], expected: Truth) -> None:
    fewer, beat = without(messages, "beat", 20)
    first = [m for m in messages if m.type == "beat" and m.sample == beat.sample]
    others = [m for m in messages if m not in first]
    assert "missing unsaid" in "".join(faults(heard(others), expected, FS))
    assert "came twice" in "".join(faults(heard([*messages, beat]), expected, FS))
    told = gap(beat.stream, beat.sample - 10, 20)
    assert not any("beats" in each for each in faults(heard([*others, told]), expected, FS))
    assert len(fewer) == len(messages) - 1


def test_an_alert_that_is_missing_twice_or_under_another_id(
    messages: list[Message], expected: Truth
) -> None:
    fewer, alert = without(messages, "alert", 0)
    assert isinstance(alert, AlertMessage)
    assert alert.phase == "start"
    assert "alerts are missing" in "".join(faults(heard(fewer), expected, FS))
    assert faults(heard([*fewer, replace(alert, repeat=True)]), expected, FS) == []
    assert "alerts came twice" in "".join(faults(heard([*messages, alert]), expected, FS))
    other = replace(alert, id=f"{alert.id}0")
    assert "two ids" in "".join(faults(heard([*messages, other]), expected, FS))
    journaled = [m for m in messages if isinstance(m, AlertMessage)]
    assert faults(heard(fewer), expected, FS, journaled) == []


def test_an_alert_of_who_has_the_bucket_no_more_does_not_count(messages: list[Message]) -> None:
    alert = next(m for m in messages if isinstance(m, AlertMessage))
    later = [replace(alert, fence=2), replace(alert, fence=1)]
    assert heard([*later]).ignored == 1
    assert len(heard([*later]).alerts) == 1


def carries(
    most: int, spoilt: Collection[int] = (), chance: Collection[int] = ()
) -> Callable[[int], Figures]:
    """A machine that carries so many streams, but in the tries that others spoil, and in those that
    fail by chance."""
    number: Iterator[int] = iter(range(100))

    def measure(streams: int) -> Figures:
        n = next(number)
        bad = n in spoilt
        failed = ["late"] if bad or n in chance or streams > most else []
        return Figures(
            cores=1, streams=streams, by_shard=[streams], p50=1.0, p99=2.0, longest=3.0, cost=200.0,
            beside=20.0, share=0.5, busy=streams / most, foreign=0.0, memory=1.0,
            stream_memory=1.0, written=1.0, failed=failed, void=["others"] if bad else [],
        )  # fmt: skip

    return measure


@pytest.mark.parametrize("most", [400, 1500, 3456, 9000])
def test_the_largest_load_is_found(most: int) -> None:
    for measure in (carries(most), carries(most, spoilt=(1, 3)), carries(most, chance=(0, 2))):
        tries = search(measure, 1000)
        found = largest(tries)
        assert found is not None
        assert 0.95 * most <= found.streams <= most
        assert sure(tries)
    assert not sure(search(carries(most, spoilt=range(99)), 1000))
