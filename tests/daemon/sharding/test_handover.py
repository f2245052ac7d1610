"""What a shard leaves for the next: whole, or refused by name."""

import tracemalloc
from pathlib import Path

import pytest

from beatgan_daemon.sharding.handover import (
    BucketState,
    BucketStateError,
    delete_handover,
    left_fences,
    read_handover,
    set_aside,
    write_handovers,
)


def handover(bucket: int = 7, fence: int = 3) -> BucketState:
    return BucketState(
        bucket=bucket,
        fence=fence,
        shard="a",
        released=True,
        states={"bed-1": b"\x00s"},
        checkpoints={"bed-1": b"\xffc", "bed-2": b""},
        alerts=[b"{}"],
    )


def test_it_is_read_as_written(tmp_path: Path) -> None:
    write_handovers(tmp_path, [handover()])
    assert read_handover(tmp_path, 7, 3) == handover()


def test_fences_are_found_by_bucket_in_order(tmp_path: Path) -> None:
    assert left_fences(tmp_path) == {}
    for bucket, fence in ((7, 10), (7, 9), (255, 0)):
        write_handovers(tmp_path, [handover(bucket, fence)])
    (tmp_path / "handover" / ".07-11.unfinished").write_bytes(b"")
    assert left_fences(tmp_path) == {7: [9, 10], 255: [0]}
    delete_handover(tmp_path, 7, 9)
    delete_handover(tmp_path, 7, 9)
    assert left_fences(tmp_path) == {7: [10], 255: [0]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the mark is missing"),
        (b"bgan" + bytes(20), "the mark is missing"),
        (b"bgho" + bytes(20), "version 0; expected 1"),
    ],
)
def test_what_is_no_handover_is_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    write_handovers(tmp_path, [handover()])
    (tmp_path / "handover" / "07-3").write_bytes(content)
    with pytest.raises(BucketStateError, match=f"07-3: .*{words}"):
        read_handover(tmp_path, 7, 3)


def test_what_is_no_handover_is_refused_whatever_its_size(tmp_path: Path) -> None:
    write_handovers(tmp_path, [handover()])
    with (tmp_path / "handover" / "07-3").open("wb") as file:
        file.truncate(2**31)  # a hole: it takes no room on the disk
    tracemalloc.start()
    with pytest.raises(BucketStateError, match="the mark is missing"):
        read_handover(tmp_path, 7, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("at", [12, -1])
def test_a_damaged_one_is_refused_and_set_aside(tmp_path: Path, at: int) -> None:
    write_handovers(tmp_path, [handover()])
    path = tmp_path / "handover" / "07-3"
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BucketStateError, match="its checksum differs"):
        read_handover(tmp_path, 7, 3)
    assert set_aside(tmp_path, 7, 3).exists()
    assert left_fences(tmp_path) == {}


def test_one_of_another_bucket_is_refused(tmp_path: Path) -> None:
    write_handovers(tmp_path, [handover()])
    (tmp_path / "handover" / "07-3").rename(tmp_path / "handover" / "08-3")
    with pytest.raises(BucketStateError, match="is of bucket 07, fence 3"):
        read_handover(tmp_path, 8, 3)
