"""Settings of a daemon that a test starts, or looks at: on free ports of this machine."""

from typing import Any

from beatgan_daemon.settings import Settings, load

LOOPBACK = {
    "model.path": "none.pt",
    "ingest.bind": "tcp://127.0.0.1:*",
    "publish.bind": "tcp://127.0.0.1:*",
    "control.bind": "tcp://127.0.0.1:*",
    "http.listen": "127.0.0.1:0",
}


def loopback_settings(**flags: Any) -> Settings:
    """Those, and what ``flags`` says, by the settings' own keys."""
    return load(flags=LOOPBACK | flags, environment={})
