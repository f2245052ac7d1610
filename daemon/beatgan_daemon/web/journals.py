"""The alerts of one daemon's journal or of all shards', from a place that the page hands back."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from beatgan.errors import UsageError
from beatgan_daemon.clients.client import LATEST
from beatgan_daemon.clients.position import parse_position, position_text
from beatgan_daemon.web.alarm_board import Alert, with_shard
from beatgan_daemon.web.link import Link

LAST: Final = 1_000  # alerts that are told where no place is given

Place = Mapping[str, int]  # by shard, "" where nothing is shared: the next alert's number


class Answer(NamedTuple):
    """Alerts, each with its shard; where to go on; whether there are more already. ``silent``:
    why a shard's alerts are not among them."""

    alerts: list[Alert]
    following: Place
    more: bool
    silent: dict[str, str]


def read_place(text: str) -> Place:
    """What `written` wrote. Raises UsageError."""
    if text.isascii() and text.isdigit() and int(text) <= LATEST:
        return {"": int(text)}
    return parse_position(text)


def written(place: Place) -> int | str:
    """The place for the page: a number of one journal, or text of several."""
    return place[""] if "" in place else position_text(place)


async def alerts_since(links: Mapping[str, Link], since: Place | None) -> Answer:
    """Alerts from ``since`` on, the latest where it is None, as many as come in one answer.

    Raises UsageError where nobody answers."""

    async def ask(name: str, link: Link) -> Answer:
        first = await _latest(link, LAST // len(links)) if since is None else since.get(name, 0)
        header, bodies = await link.control.alerts(first)
        if header.next < first:  # it counts anew
            header, bodies = await link.control.alerts(0)
        return Answer(_read(name, bodies), {name: header.next}, header.more, {})

    return await _together(links, ask, since or {})


async def under_way(links: Mapping[str, Link]) -> Answer:
    """The last alert of each episode under way. Raises UsageError where nobody answers."""

    async def ask(name: str, link: Link) -> Answer:
        bodies = await link.control.active()
        following = (await link.control.alerts(LATEST)).header.next
        return Answer(_read(name, bodies), {name: following}, False, {})

    return await _together(links, ask, {})


async def _latest(link: Link, count: int) -> int:
    """The number from which on there are so many."""
    header = (await link.control.alerts(LATEST)).header
    return max(0, header.oldest, header.next - count)


async def _together(links: Mapping[str, Link], ask: Any, since: Place) -> Answer:
    answers = await asyncio.gather(
        *(ask(name, link) for name, link in links.items()), return_exceptions=True
    )
    alerts: list[Alert] = []
    following, more, silent = dict(since), False, dict[str, str]()
    for name, answer in zip(links, answers, strict=True):
        if isinstance(answer, Answer):
            alerts += answer.alerts
            following |= answer.following
            more = more or answer.more
        elif isinstance(answer, UsageError):
            silent[name] = str(answer)
        else:
            raise answer
    if len(silent) == len(links):
        raise UsageError("; ".join(silent.values()) or "no shard is running")
    return Answer(alerts, following, more, silent)


def _read(name: str, bodies: list[bytes]) -> list[Alert]:
    return [with_shard(msgspec.json.decode(body, type=Alert), name) for body in bodies]
