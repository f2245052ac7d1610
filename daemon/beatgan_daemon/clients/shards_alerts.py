"""`alerts --shards`: the alerts of all journals as JSON Lines, and where to go on."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from beatgan_daemon.clients.client import NoAnswerError
from beatgan_daemon.clients.position import position_text
from beatgan_daemon.clients.shards_client import ShardAlert, ShardsClient
from beatgan_daemon.clients.shards_follower import ShardsFollower
from beatgan_daemon.security.curve import ConfigureSocket

Stopping = Callable[[], bool]


def print_active(directory: Path, configure: ConfigureSocket | None) -> None:
    """The last alert of each episode under way. Raises NoAnswerError naming shards that are silent,
    behind what the others say."""
    with ShardsClient(directory, configure=configure) as asked:
        _print(asked.all_active())


def print_alerts(
    directory: Path, since: Mapping[str, int], configure: ConfigureSocket | None
) -> None:
    """All from ``since`` on, the number of each shard's journal. Raises as `print_active` does."""
    with ShardsClient(directory, configure=configure) as asked:
        _say_unknown(asked, since)
        try:
            _print(asked.alerts(since))
        finally:
            if asked.fences.ignored:
                say(f"{asked.fences.ignored} alert(s) under an old fence were ignored")
            _say_position(asked.position)


def follow_alerts(
    directory: Path,
    since: Mapping[str, int],
    stopping: Stopping,
    configure: ConfigureSocket | None,
) -> None:
    """Likewise, and those that come until ``stopping`` says so; who is silent is waited for."""
    with ShardsClient(directory, configure=configure, patience=0) as asked:
        _say_unknown(asked, since)
        try:
            _print(asked.alerts(since))
        except NoAnswerError as error:
            say(str(error))
    follower = ShardsFollower(directory, asked, say, configure=configure)
    try:
        _print(follower.alerts(stopping))
    finally:
        _say_position(follower.position)


def say(text: str) -> None:
    """On stderr: stdout is for alerts."""
    print(f"beatgan-daemon: {text}", file=sys.stderr, flush=True)  # noqa: T201


def _print(found: Iterator[ShardAlert]) -> None:
    for each in found:
        sys.stdout.buffer.write(each.line + b"\n")
        sys.stdout.buffer.flush()


def _say_unknown(asked: ShardsClient, since: Mapping[str, int]) -> None:
    """A name that is misspelt would bring all alerts of that shard again, without a word."""
    if unknown := since.keys() - asked.shards.names():
        say(f"--since: there is no {', '.join(sorted(unknown))}")


def _say_position(position: Mapping[str, int]) -> None:
    if position:
        say(f"go on with --since {position_text(position)}")
