"""The pages and their addresses: which answer is made where."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from beatgan_daemon.web.addresses import Addresses
from beatgan_daemon.web.api import Api
from beatgan_daemon.web.daemon_http import DaemonHttp
from beatgan_daemon.web.guard import Guard
from beatgan_daemon.web.sessions import Sessions, TokenSession
from beatgan_daemon.web.tab import Tab
from beatgan_daemon.web.ward import Ward

PAGE: Final = Path(__file__).with_name("page")
PAGES: Final = ("/", "/s/{name}", "/alarms", "/alarms/{id:path}", "/health")
MOST_TABS: Final = 32


def application(
    ward: Ward, daemon: DaemonHttp, addresses: Addresses, sessions: Sessions, cookie: str
) -> ASGIApp:
    """The whole, guarded. ``cookie``: the name of the one that says who somebody is."""

    async def page(request: Request) -> Response:
        token = request.query_params.get("token")
        if token is None or not isinstance(sessions, TokenSession):
            return FileResponse(PAGE / "index.html")
        if not sessions.admits(token):
            return PlainTextResponse("this token is not right", 401)
        answer = RedirectResponse(request.url.path, 303)
        answer.set_cookie(
            cookie, sessions.cookie, httponly=True, samesite="strict", secure=addresses.secure
        )
        return answer

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        if len(ward.tabs) >= MOST_TABS:
            await websocket.close(1013, f"{MOST_TABS} pages are open already")
            return
        person = websocket.scope["person"]
        tab = Tab(websocket, ward, user=person.name, may_acknowledge=person.may_acknowledge)
        await tab.run(_hello(person.name, may_acknowledge=person.may_acknowledge))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        running = [asyncio.create_task(ward.run()), asyncio.create_task(daemon.run())]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    app = Starlette(
        routes=[
            *(Route(path, page) for path in PAGES),
            *Api(ward, daemon).routes,
            WebSocketRoute("/ws", socket),
            Mount("/static", StaticFiles(directory=PAGE, check_dir=False)),
        ],
        lifespan=lifespan,
    )
    return Guard(app, addresses, sessions, cookie, login=False)


def _hello(user: str | None, *, may_acknowledge: bool) -> dict[str, Any]:
    return {
        "t": "hello",
        "version": version("beatgan"),
        "not_medical": True,
        "can_acknowledge": may_acknowledge,
        "user": user,
    }
