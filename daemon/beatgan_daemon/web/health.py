"""What the health view shows. What is not known is null, or not there."""

from collections.abc import Mapping
from importlib.metadata import version
from time import monotonic
from typing import Any

from beatgan.protocol.control import StreamEntry
from beatgan.protocol.messages import Totals
from beatgan_daemon.web.daemon_http import DaemonsHttp
from beatgan_daemon.web.link import Link
from beatgan_daemon.web.ward import Ward


def health(ward: Ward, daemon: DaemonsHttp, grafana: str | None = None) -> dict[str, Any]:
    """Of the daemon, of this server, and of its connections; ``grafana``: where dashboards are."""
    model = daemon.model()
    return {
        "ready": daemon.ready and not ward.missing,
        "reason": daemon.reason or ("shards are missing" if ward.missing else ""),
        "daemon": daemon.figures(),
        "model": {} if model is None else {"digest": model},
        "server": {
            "version": version("beatgan"),
            "up_s": round(monotonic() - ward.began),
            "pages_open": len(ward.tabs),
            "unreadable_frames": ward.traces.unreadable,
            "unreadable_messages": ward.unreadable,
        },
        "connections": _connections(ward),
        "journal": _journal(ward),
        "shards": [_shard(name, link, ward) for name, link in ward.links.items() if name],
        "missing": ward.missing,
        "strips": {} if ward.scribe is None else ward.scribe.figures(),
        "grafana": grafana,
        "streams": [_stream(ward, each) for each in ward.listed()],
    }


def _journal(ward: Ward) -> dict[str, Any]:
    """Of one daemon; shards' numbers have no sum."""
    if len(ward.links) != 1:
        return {"oldest_alert": None, "next_alert": None}
    (link,) = ward.links.values()
    return {"oldest_alert": link.alarms.oldest, "next_alert": link.alarms.expected}


def _shard(name: str, link: Link, ward: Ward) -> dict[str, Any]:
    return {
        "shard": name,
        "connected": ward.outlet.connected.get(name, False),
        "age_s": _age(link.heard),
        "streams": len(link.streams),
        "oldest_alert": link.alarms.oldest,
        "next_alert": link.alarms.expected,
    }


def _connections(ward: Ward) -> dict[str, Any]:
    found: dict[str, Any] = {
        "outlet": {"connected": _all(ward.outlet.connected), "age_s": _age(ward.outlet_heard)},
        "tap": None,
        "control": {"age_s": _age(ward.control_heard)},
    }
    if ward.tap is not None:
        found["tap"] = {"connected": _all(ward.tap.connected), "age_s": _age(ward.traces.heard)}
    return found


def _all(connected: Mapping[str, bool]) -> bool:
    return bool(connected) and all(connected.values())


def _age(heard: float | None) -> float | None:
    return None if heard is None else round(monotonic() - heard, 1)


def _stream(ward: Ward, listed: dict[str, Any]) -> dict[str, Any]:
    keys = ("stream", "state", "age_s", "fs", "leads", "quality")
    entry = ward.streams.entries.get(listed["stream"])
    totals = ward.streams.totals.get(listed["stream"])
    return {
        **{key: listed[key] for key in keys},
        "clock_behind_s": None if entry is None else _behind(entry),
        "sender": None if entry is None else entry.sender,
        **_counted(totals),
    }


def _behind(entry: StreamEntry) -> float | None:
    """How far the source's clock, at the last sample, is behind the daemon's at its arrival."""
    if entry.received_ns is None:
        return None
    return round((entry.received_ns - entry.last_sample_ns) / 1e9, 1)


def _counted(totals: Totals | None) -> dict[str, int | None]:
    """As the daemon's latest status message of the stream told; it tells at each gap."""
    if totals is None:
        return {"received": None, "lost": None}
    return {"received": totals.received, "lost": totals.lost}
