"""The directory of several shards, as the shards would write it; the daemons may be anything."""

from pathlib import Path
from typing import Self

from beatgan_daemon.sharding.registry import ShardRecord, write_record
from beatgan_daemon.sharding.shard_map import ShardMap, write_map
from beatgan_daemon.storage.sequence_file import SequenceFile


class SharedDirectory:
    """Used as a context; every bucket is evenly one of ``shards``' at first."""

    def __init__(self, path: Path, *shards: str) -> None:
        self.path = path
        self._locks: dict[str, SequenceFile] = {}
        write_map(path, ShardMap.even(shards))

    def run(
        self,
        shard: str,
        *,
        publish: str = "tcp://ecg-1:2",
        control: str = "tcp://ecg-1:3",
        ingest: str = "tcp://ecg-1:1",
        tap: tuple[str, ...] = (),
        http: str = "http://ecg-1:4",
    ) -> None:
        """From now on the shard runs, at these endpoints."""
        (self.path / shard).mkdir(exist_ok=True)
        if shard not in self._locks:
            self._locks[shard] = SequenceFile(self.path / shard / "journal.n")
        record = ShardRecord(
            shard=shard,
            host="ecg-1",
            pid=7,
            ready_ns=1,
            version="0.9",
            model="d" * 64,
            ingest=(ingest,),
            publish=publish,
            control=control,
            tap=tap,
            http=http,
        )
        write_record(self.path, record)

    def stop(self, shard: str) -> None:
        """It runs no more."""
        self._locks.pop(shard).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for shard in [*self._locks]:
            self.stop(shard)
