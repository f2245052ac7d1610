"""Where Prometheus finds the shards: the JSON of its file-based service discovery."""

from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from beatgan_daemon.sharding.registry import ShardRecord


def file_sd(records: Iterable[ShardRecord]) -> bytes:
    """A target group for each shard that serves HTTP, with the label ``shard``."""
    groups = [
        {"targets": [urlsplit(each.http).netloc], "labels": {"shard": each.shard}}
        for each in records
        if each.http
    ]
    return msgspec.json.format(msgspec.json.encode(groups)) + b"\n"
