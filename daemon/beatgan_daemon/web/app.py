"""The pages and their addresses: which answer is made where."""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from beatgan_daemon.web.addresses import Addresses
from beatgan_daemon.web.api import Api
from beatgan_daemon.web.daemon_http import DaemonsHttp
from beatgan_daemon.web.guard import Guard, peer_of
from beatgan_daemon.web.login import Login
from beatgan_daemon.web.sessions import Sessions, UserSessions
from beatgan_daemon.web.tab import Tab
from beatgan_daemon.web.ward import Ward

PAGE: Final = Path(__file__).with_name("page")
PAGES: Final = ("/", "/s/{name}", "/alarms", "/alarms/{id:path}", "/health")
MOST_TABS: Final = 32


def application(
    ward: Ward,
    daemon: DaemonsHttp,
    addresses: Addresses,
    sessions: Sessions,
    grafana: str | None = None,
) -> ASGIApp:
    """The whole, guarded; ``grafana``: where dashboards are."""

    async def page(_: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        if len(ward.tabs) >= MOST_TABS:
            await websocket.close(1013, f"{MOST_TABS} pages are open already")
            return
        person = websocket.scope["person"]
        headers, peer = Headers(scope=websocket.scope), peer_of(websocket.scope)
        tab = Tab(
            websocket,
            ward,
            user=person.name,
            may_acknowledge=person.may_acknowledge,
            known=lambda: sessions.person(headers, peer) == person,
        )
        await tab.run(
            _hello(
                person.name,
                may_acknowledge=person.may_acknowledge,
                may_log_out=isinstance(sessions, UserSessions),
            )
        )

    app = Starlette(
        routes=[
            *(Route(path, page) for path in PAGES),
            *(Login(sessions).routes if isinstance(sessions, UserSessions) else ()),
            *Api(ward, daemon, grafana).routes,
            WebSocketRoute("/ws", socket),
            Mount("/static", StaticFiles(directory=PAGE, check_dir=False)),
        ],
    )
    return Guard(app, addresses, sessions)


def _hello(user: str | None, *, may_acknowledge: bool, may_log_out: bool) -> dict[str, Any]:
    return {
        "t": "hello",
        "version": version("beatgan"),
        "not_medical": True,
        "can_acknowledge": may_acknowledge,
        "user": user,
        "can_log_out": may_log_out,
    }
