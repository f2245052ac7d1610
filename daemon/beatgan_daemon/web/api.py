"""What the page asks without its WebSocket: alarms of the journal, one of them, the health of all.

Numbers of 64 bits are strings. A refusal is a line of text: 400 a bad parameter, 404 an alarm that
the journal does not know, 503 a daemon that does not answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from beatgan.errors import UsageError
from beatgan.protocol.messages import decode_alert
from beatgan_daemon.web import journals, picture
from beatgan_daemon.web.alarm_detail import AlarmDetail, detail_text, with_strip_of_alert
from beatgan_daemon.web.daemon_http import DaemonsHttp
from beatgan_daemon.web.health import health
from beatgan_daemon.web.journals import Place, read_place, written
from beatgan_daemon.web.json_text import for_browser, text
from beatgan_daemon.web.kept_strip import KeptStrip
from beatgan_daemon.web.ward import Ward
from beatgan_daemon.web.wfdb_files import wfdb_zip

PRIORITIES: Final = ("high", "medium", "low")
FILTERS: Final = ("stream", "code", "priority")
NO_STRIPS: Final = (
    "no strips are kept: this server was started without --strips, and the daemon sends none "
    "(alarms.strip_s)"
)

Answer = Callable[[Request], Awaitable[Response]]


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    text: str


class RefusedError(Exception):
    """Carries a Refusal."""


class Question(NamedTuple):
    """Which alerts are wanted; ``since`` None: the latest."""

    since: Place | None
    under_way: bool
    filters: dict[str, str]

    def wants(self, alert: dict[str, Any]) -> bool:
        """Whether it is among them."""
        return all(alert[key] == value for key, value in self.filters.items())


def read_question(parameters: QueryParams) -> Question:
    """Raises RefusedError."""
    if unknown := sorted(parameters.keys() - {"since", "open", *FILTERS}):
        raise RefusedError(Refusal(400, f"{unknown[0]}: no such parameter"))
    since, under_way = parameters.get("since"), parameters.get("open", "0")
    try:
        place = None if since is None else read_place(since)
    except UsageError:
        why = f"since: expected a number from 0 on, or one for each shard, got {str(since)[:40]!r}"
        raise RefusedError(Refusal(400, why)) from None
    if under_way not in ("0", "1"):
        raise RefusedError(Refusal(400, f"open: expected 0 or 1, got {under_way[:40]!r}"))
    filters = {key: parameters[key] for key in FILTERS if key in parameters}
    if filters.get("priority", "high") not in PRIORITIES:
        raise RefusedError(Refusal(400, f"priority: expected one of {', '.join(PRIORITIES)}"))
    return Question(place, under_way == "1", filters)


class Api:
    """Answers of one ward."""

    def __init__(self, ward: Ward, daemon: DaemonsHttp, grafana: str | None) -> None:
        self._ward, self._daemon, self._grafana = ward, daemon, grafana
        self._drawing = asyncio.Semaphore(1)  # a process at a time
        self.routes = [
            Route("/api/alarms", _refusing(self._alarms)),
            Route("/api/alarms/{id:path}.png", _refusing(self._png)),
            Route("/api/alarms/{id:path}.zip", _refusing(self._zip)),
            Route("/api/alarms/{id:path}", _refusing(self._alarm)),
            Route("/api/health", self._health),
        ]

    async def _alarms(self, request: Request) -> Response:
        question, links = read_question(request.query_params), self._ward.links
        if question.under_way:
            answer = await journals.under_way(links)
        else:
            answer = await journals.alerts_since(links, question.since)
        return await _json(lambda: _alarms_text(question, answer))

    async def _alarm(self, request: Request) -> Response:
        detail = await self._detail(request)
        return await _json(lambda: detail_text(detail))

    async def _detail(self, request: Request) -> AlarmDetail:
        episode = request.path_params["id"]
        bodies = await self._ward.episode(episode)
        if not bodies:
            raise RefusedError(Refusal(404, f"the daemon's journal knows no alarm {episode[:200]}"))
        scribe = self._ward.scribe
        found = NO_STRIPS if scribe is None else await scribe.strip(episode)
        if isinstance(found, KeptStrip):
            return AlarmDetail(bodies, found, "")
        return with_strip_of_alert(bodies, found)

    async def _png(self, request: Request) -> Response:
        detail, episode = await self._detail(request), request.path_params["id"]
        strip = None if detail.kept is None else detail.kept.strip
        async with self._drawing:
            png = await asyncio.to_thread(picture.draw, episode, detail.bodies, strip)
        return _download(png, "image/png", f"{_name(detail)}.png")

    async def _zip(self, request: Request) -> Response:
        detail = await self._detail(request)
        if detail.kept is None:
            raise RefusedError(Refusal(404, detail.why_no_strip))
        name, alarm = _name(detail), decode_alert(detail.bodies[-1])
        record = await asyncio.to_thread(wfdb_zip, name, detail.kept, alarm)
        return _download(record, "application/zip", f"{name}.zip")

    async def _health(self, _: Request) -> Response:
        return await _json(lambda: text(health(self._ward, self._daemon, self._grafana)))


def _refusing(answer: Answer) -> Answer:
    async def refusing(request: Request) -> Response:
        try:
            return await answer(request)
        except RefusedError as refused:
            status, why = refused.args[0]
        except UsageError as error:
            status, why = 503, str(error)
        return PlainTextResponse(why, status)

    return refusing


async def _json(made: Callable[[], str]) -> Response:
    """A megabyte takes its time: not the event loop's."""
    return Response(await asyncio.to_thread(made), media_type="application/json")


def _name(detail: AlarmDetail) -> str:
    """Of a file: ids have characters, and lengths, that names of WFDB records have not."""
    return f"alarm-{decode_alert(detail.bodies[0]).n}"


def _download(content: bytes, kind: str, name: str) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=disposition)


def _alarms_text(question: Question, answer: journals.Answer) -> str:
    since = question.since or {}
    wanted = [
        for_browser(each)
        for each in answer.alerts
        if each["n"] >= since.get(each.get("shard", ""), 0) and question.wants(each)
    ]
    told = {"alarms": wanted, "next": written(answer.following), "more": answer.more}
    return text(told | ({"silent": answer.silent} if answer.silent else {}))
