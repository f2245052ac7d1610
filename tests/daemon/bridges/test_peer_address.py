"""Where a peer is, as an option says it."""

import pytest

from beatgan.errors import UsageError
from beatgan_daemon.bridges.peer_address import host_and_port


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("engine", ("engine", 2575)),
        ("engine:99", ("engine", 99)),
        ("10.0.0.7:99", ("10.0.0.7", 99)),
        ("[::1]:99", ("::1", 99)),
        ("[::1]", ("::1", 2575)),
        ("fe80::1", ("fe80::1", 2575)),
    ],
)
def test_hosts_and_ports(text: str, expected: tuple[str, int]) -> None:
    assert host_and_port("--to", text, 2575) == expected


@pytest.mark.parametrize(
    "text", ["mqtt://broker:1883", "http://engine:2575", "a:b:c", "engine:0", "engine:70000", ""]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected HOST, HOST:PORT"):
        host_and_port("--to", text, 2575)
