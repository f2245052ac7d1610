"""What a packet of a Polar H10 holds, as its example reads it."""

import runpy
import struct
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "polar_h10.py"


def test_a_packet_of_ecg() -> None:
    read_packet = runpy.run_path(str(EXAMPLE))["read_packet"]
    samples = [0, 1, -1, 1234, -20_000, 2**23 - 1]
    packet = struct.pack("<BQB", 0, 700_000_000_500_000_000, 0)
    packet += b"".join(each.to_bytes(3, "little", signed=True) for each in samples)
    assert read_packet(packet) == (700_000_000.5, samples)
    assert read_packet(b"\x02" + packet[1:]) is None  # acceleration
