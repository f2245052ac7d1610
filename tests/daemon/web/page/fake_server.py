"""A server that says what the web server says, of a ward that is made up: the page is tested with
it, so that each test knows what must be on the screen. Run as a file, it prints its port.
"""

import argparse
import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

PAGE = Path(__file__).parents[4] / "daemon" / "beatgan_daemon" / "web" / "page"
CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
MARKUP = "<img src=x onerror=document.title='struck'>"
FS = 250.0
WALL_STEP = 3
TICK_S = 1 / 15
THRESHOLD = 6.859
LENGTH_S = 60


def bump(
    t: npt.NDArray[np.float64], at: float, wide: float, high: float
) -> npt.NDArray[np.float64]:
    """A wave of a heartbeat."""
    return high * np.exp(-0.5 * ((t - at) / wide) ** 2)


UNTOLD = {"clock_behind_s": None, "sender": None, "received": None, "lost": None}


class Bed:
    """A stream that repeats its minute for ever."""

    def __init__(self, k: int) -> None:
        self.stream = f"bed-{k + 1}"
        self.leads = ["II", MARKUP if k == 3 else "V5"]
        self.gaps = k == 2
        self.state = "silent" if k == 4 else "ok"
        self.rr_s = LENGTH_S / (60 + 3 * (k % 16))
        t = np.arange(int(LENGTH_S * FS)) / FS
        rng = np.random.default_rng(k)
        signal = 0.15 * np.sin(2 * np.pi * 0.25 * t) + rng.normal(0, 0.012, t.size)
        self.beats: list[tuple[int, str]] = []
        for n in range(int(LENGTH_S / self.rr_s)):
            at = (n + 0.5) * self.rr_s
            ventricular = k % 4 == 1 and n % 6 == 5
            if ventricular:
                at -= 0.25 * self.rr_s
                waves = [(0, 0.045, 1.5), (0.12, 0.05, -0.7), (0.3, 0.06, -0.3)]
            else:
                waves = [
                    (-0.16, 0.022, 0.13),
                    (-0.026, 0.009, -0.12),
                    (0, 0.011, 1.1),
                    (0.03, 0.011, -0.25),
                    (0.26, 0.05, 0.3),
                ]
            for offset, wide, high in waves:
                signal += bump(t, at + offset, wide, high)
            self.beats.append((round(at * FS), "V" if ventricular else "N"))
        self.units = np.round(signal / 0.005).astype(np.int16)

    def samples(self, first: int, last: int, lead: int) -> npt.NDArray[np.int16]:
        """Samples as sent: 5 microvolt a unit, -32768 where lost."""
        at = np.arange(first, last)
        values = self.units[at % self.units.size].copy()
        if lead:
            values = (values // 2).astype(np.int16)
        if self.gaps:  # two seconds in ten
            values[at / FS % 10 < 2] = -32768
        return values

    def beats_between(self, first: int, last: int) -> list[dict[str, Any]]:
        """Beat entries of the contract."""
        found = []
        for lap in range(first // self.units.size, last // self.units.size + 1):
            for sample, kind in self.beats:
                at = lap * self.units.size + sample
                if first <= at < last:
                    found.append(
                        {
                            "sample": at,
                            "rr_ms": self.rr_s * 1000,
                            "class": kind,
                            "score": 11.5 if kind == "V" else 1.9,
                            "threshold": THRESHOLD,
                            "quality": "good",
                            "anomalous": kind == "V",
                            "lead": "II",
                        }
                    )
        return found


def alarm(n: int, stream: str, code: str, priority: str, text: str, **more: Any) -> dict[str, Any]:
    """An alert message as the daemon publishes it, as JSON for the page."""
    onset = time.time_ns() - 20_000_000_000
    shape = np.exp(-0.5 * ((np.arange(128) - 40) / 8) ** 2)
    seen = shape - 0.5 * np.exp(-0.5 * ((np.arange(128) - 70) / 10) ** 2)
    return {
        "v": 1,
        "type": "alert",
        "id": f"a{n}",
        "n": n,
        "stream": stream,
        "epoch": "1",
        "kind": "technical" if code.startswith("signal") else "physiological",
        "code": code,
        "priority": priority,
        "phase": "start",
        "onset_sample": 500,
        "onset_ns": str(onset),
        "end_sample": None,
        "sample": 500,
        "lead": "II",
        "suspended": False,
        "latched": False,
        "acknowledged": False,
        "suppressed": 0,
        "raised_ns": str(onset + 3_000_000_000),
        "score": 11.5,
        "threshold": THRESHOLD,
        "class": "V",
        "probabilities": {"N": 0.02, "S": 0.01, "V": 0.96, "F": 0.01, "Q": 0.0},
        "components": {"error": 2.1, "distance": 4.9, "prematurity": 2.2, "log_odds": 2.3},
        "heart_rate": 168.0,
        "beats": [500, 640],
        "delay_ms": {"condition": 2900.0, "signal": 61.5},
        "text": text,
        "explanation": {
            "sample": 500,
            "fs": 360.0,
            "window": np.round(seen, 4).tolist(),
            "expected": np.round(shape * 0.9, 4).tolist(),
            "error": np.round((seen - shape) ** 2 * 8, 4).tolist(),
            "spread": [0.08] * 128,
            "reference": np.round(shape, 4).tolist(),
        },
        **more,
    }


class FakeWard:
    """The whole: beds, alarms, and those who look."""

    def __init__(self, beds: int, calm: bool) -> None:
        self.began = time.monotonic() - 15
        self.beds = [Bed(k) for k in range(beds)]
        self.alarms = (
            []
            if calm
            else [
                alarm(
                    0,
                    "bed-10",
                    "signal.noise",
                    "low",
                    "noise, lead II",
                    acknowledged=True,
                    by="maria",
                ),
                alarm(
                    1,
                    "bed-6",
                    "beat.anomalous",
                    "medium",
                    "5 anomalous beats, the worst ventricular (96%)",
                ),
                alarm(
                    2,
                    "bed-2",
                    "rhythm.ventricular-run",
                    "high",
                    "ventricular tachycardia, 9 beats at 168/min, lead II",
                ),
                alarm(
                    3,
                    "bed-5",
                    "signal.no-data",
                    "medium",
                    "no data for 12 s",
                    lead=None,
                    explanation=None,
                ),
            ]
        )
        self.journal = list(self.alarms)
        self.wants: list[list[dict[str, Any]]] = []
        self.sockets: set[WebSocket] = set()

    def now(self) -> int:
        """The newest sample."""
        return int((time.monotonic() - self.began) * FS)

    async def tell(self, message: dict[str, Any]) -> None:
        """Tell all who look."""
        for one in list(self.sockets):
            with suppress(RuntimeError, WebSocketDisconnect):
                await one.send_json(message)

    async def acknowledge(self, identity: str, name: str) -> dict[str, Any] | None:
        """What an acknowledgement makes of an alarm; None where there is none such."""
        for k, one in enumerate(self.alarms):
            if one["id"] == identity:
                update = dict(one, n=len(self.journal), phase="update", acknowledged=True, by=name)
                update["acknowledged_ns"] = str(time.time_ns())
                self.alarms[k] = update
                self.journal.append(update)
                return update
        return None

    async def listen(self, websocket: WebSocket) -> None:
        """One tab."""
        await websocket.accept()
        self.sockets.add(websocket)
        await websocket.send_json(
            {
                "t": "hello",
                "version": "0.0",
                "digest": "0",
                "not_medical": True,
                "can_acknowledge": True,
                "user": None,
            }
        )
        await websocket.send_json({"t": "streams", "streams": self.streams()})
        await websocket.send_json({"t": "active", "alarms": self.alarms})
        wanted: list[dict[str, Any]] = []
        speaking = asyncio.create_task(self.speak(websocket, wanted))
        try:
            while True:
                message = await websocket.receive_json()
                if message["t"] == "want":
                    wanted[:] = message["streams"]
                    self.wants.append(message["streams"])
                elif message["t"] == "ack":
                    update = await self.acknowledge(message["id"], message["name"])
                    if update is None:
                        await websocket.send_json(
                            {"t": "refused", "id": message["id"], "text": "no such alarm"}
                        )
                    else:
                        await self.tell({"t": "alert", **update})
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self.sockets.discard(websocket)
            speaking.cancel()

    def streams(self) -> list[dict[str, Any]]:
        """The list of streams."""
        return [
            {
                "i": k,
                "stream": bed.stream,
                "leads": bed.leads,
                "fs": FS,
                "state": bed.state,
                "age_s": 12.0 if bed.state == "silent" else 0.0,
                "quality": "good",
            }
            for k, bed in enumerate(self.beds)
        ]

    async def speak(self, websocket: WebSocket, wanted: list[dict[str, Any]]) -> None:
        """Samples, beats, rates and the heartbeat, from cursors."""
        cursors: dict[tuple[str, int, str], int] = {}
        beat_cursor: dict[str, int] = {}
        alive_at = 0.0
        with suppress(RuntimeError, WebSocketDisconnect):
            while True:
                now = self.now()
                body = b""
                keys = set()
                for k, bed in enumerate(self.beds):
                    if bed.state != "ok":
                        continue
                    for want in [one for one in wanted if one["stream"] == bed.stream]:
                        for lead in want["leads"]:
                            key = (bed.stream, lead, want["zoom"])
                            keys.add(key)
                            body += self.record(k, lead, want["zoom"], cursors, key, now)
                        first = beat_cursor.setdefault(bed.stream, now - int(10 * FS))
                        beats = bed.beats_between(first, now - int(0.5 * FS))
                        if beats:
                            beat_cursor[bed.stream] = beats[-1]["sample"] + 1
                            await websocket.send_json({"t": "beats", "i": k, "beats": beats})
                            await websocket.send_json(
                                {"t": "rate", "i": k, "hr": 60 / bed.rr_s, "poor": k == 5}
                            )
                for key in cursors.keys() - keys:
                    del cursors[key]
                if body:
                    await websocket.send_bytes(body)
                if time.monotonic() - alive_at >= 1:
                    alive_at = time.monotonic()
                    await websocket.send_json(
                        {
                            "t": "alive",
                            "at_ms": int(time.time() * 1000),
                            "tap_s": 0.1,
                            "daemon_s": 0.4,
                        }
                    )
                await asyncio.sleep(TICK_S)

    def record(
        self,
        k: int,
        lead: int,
        zoom: str,
        cursors: dict[tuple[str, int, str], int],
        key: tuple[str, int, str],
        now: int,
    ) -> bytes:
        """From the cursor to now."""
        first = cursors.get(key, now - int(10 * FS)) // WALL_STEP * WALL_STEP
        last = now // WALL_STEP * WALL_STEP
        if last <= first:
            return b""
        cursors[key] = last
        values = self.beds[k].samples(first, last, lead)
        if zoom == "full":
            return struct.pack("<4Hd2f", k, lead, len(values), 0, first, FS, 0) + values.tobytes()
        groups = values.reshape(-1, WALL_STEP)
        pairs = np.stack([groups.min(axis=1), groups.max(axis=1)], axis=1)
        return (
            struct.pack("<4Hd2f", k, lead, len(pairs), 1, first, FS / WALL_STEP, 0)
            + pairs.tobytes()
        )

    def detail(self, identity: str) -> dict[str, Any] | None:
        """One alarm with its strip."""
        messages = [one for one in self.journal if one["id"] == identity]
        if not messages:
            return None
        bed = next(one for one in self.beds if one.stream == messages[0]["stream"])
        first, last = 0, int(30 * FS)
        samples = [
            [
                None if unit == -32768 else round(unit * 0.005, 3)
                for unit in bed.samples(first, last, lead).tolist()
            ]
            for lead in range(2)
        ]
        strip = {
            "fs": FS,
            "leads": bed.leads,
            "first": first,
            "samples": samples,
            "beats": bed.beats_between(first, last),
        }
        explanation = next(
            (one["explanation"] for one in reversed(messages) if one["explanation"]), None
        )
        return {"messages": messages, "explanation": explanation, "strip": strip}


class Secured:
    """The headers that the web server sets."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", CSP)]
            await send(message)

        await self.app(scope, receive, with_headers)


def application(ward: FakeWard) -> Starlette:
    """Its addresses."""

    async def index(request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def alarms(request: Request) -> Response:
        since = int(request.query_params.get("since", 0))
        return JSONResponse(
            {"alarms": ward.journal[since:], "next": len(ward.journal), "more": False}
        )

    async def one_alarm(request: Request) -> Response:
        found = ward.detail(request.path_params["id"])
        return JSONResponse(found) if found else JSONResponse({"error": "unknown"}, 404)

    async def health(request: Request) -> Response:
        return JSONResponse(
            {
                "ready": True,
                "reason": "",
                "daemon": {
                    "beats_per_s": 19.2,
                    "latency_p99_ms": 58.3,
                    "samples_lost_share": 0.0012,
                    "journal_backlog": 0,
                },
                "model": {"digest": "3f9ac21b77d0"},
                "server": {
                    "version": "1",
                    "up_s": 90,
                    "pages_open": 1,
                    "unreadable_frames": 0,
                    "unreadable_messages": 0,
                },
                "connections": {
                    "outlet": {"connected": True, "age_s": 0.2},
                    "tap": {"connected": True, "age_s": 0.1},
                    "control": {"age_s": 0.5},
                },
                "journal": {"oldest_alert": 0, "next_alert": len(ward.journal)},
                "strips": {},
                "grafana": "https://grafana.example/d/beatgan",
                "streams": [{**each, **UNTOLD} for each in ward.streams()],
            }
        )

    async def wants(request: Request) -> Response:
        return JSONResponse(ward.wants)

    async def raise_alarm(request: Request) -> Response:
        body = await request.json()
        new = alarm(len(ward.journal), body["stream"], body["code"], body["priority"], body["text"])
        ward.alarms.append(new)
        ward.journal.append(new)
        await ward.tell({"t": "alert", **new})
        return JSONResponse(new)

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        yield

    pages = ["/", "/s/{name:path}", "/alarms", "/alarms/{id}", "/health"]
    return Starlette(
        lifespan=life,
        routes=[
            *(Route(path, index) for path in pages),
            Route("/api/alarms", alarms),
            Route("/api/alarms/{id}", one_alarm),
            Route("/api/health", health),
            Route("/test/wants", wants),
            Route("/test/alarm", raise_alarm, methods=["POST"]),
            WebSocketRoute("/ws", ward.listen),
            Mount("/static", StaticFiles(directory=PAGE)),
        ],
    )


def main() -> None:
    """Serve on a free port, which is printed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--beds", type=int, default=16)
    parser.add_argument("--calm", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", options.port))
    print(listener.getsockname()[1], flush=True)  # noqa: T201
    app = Secured(application(FakeWard(options.beds, options.calm)))
    uvicorn.Server(uvicorn.Config(app, log_level="warning", ws_per_message_deflate=False)).run(
        [listener]
    )


if __name__ == "__main__":
    main()
