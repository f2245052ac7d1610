"""The simulated ward tells what is lost, and of what is told by two what counts."""

from benchmarks.scale.simulation import Phase, run
from benchmarks.scale.stub_shards import Ward


def outcome(seconds: float, kill: list[str], cut_off: list[str]) -> tuple[Ward, Phase]:
    ward = Ward(streams=2000, shards=20, alerts_per_s=50, seed=3)

    def begin(ward: Ward) -> None:
        ward.kill(kill, None)
        for name in cut_off:
            ward.shards[name].cut_off = True

    return ward, Phase("", seconds, begin)


def test_what_dead_shards_had_is_unwatched_until_others_have_it() -> None:
    ward, phase = outcome(20, [f"shard-{n}" for n in range(10)], [])
    found = run(ward, phase)
    assert found.counts.moved == 130
    assert 5.0 < found.counts.longest_gap < 6.5
    assert found.counts.unwatched_s > 5.0 * 1000
    assert found.uneven_until < 6.5
    assert found.counts.none == found.counts.stale == 0


def test_of_a_shard_that_is_cut_off_what_it_tells_is_ignored() -> None:
    ward, phase = outcome(60, [], ["shard-3"])
    counts = run(ward, phase).counts
    assert counts.unwatched_s == 0
    assert counts.stale > 50
    assert counts.stale == counts.ignored + counts.twice
    assert counts.ignored > counts.twice  # told twice only until its successor told something
    assert counts.none == 0
