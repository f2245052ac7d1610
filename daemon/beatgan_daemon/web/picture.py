"""An alarm as PNG, drawn by `explain` in another process: in this one matplotlib would stay."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from beatgan.errors import UsageError
from beatgan.explain.strip import EcgStrip, message_strip

LONGEST_S: Final = 30.0


def draw(episode: str, bodies: Sequence[bytes], strip: EcgStrip | None) -> bytes:
    """The PNG of the alarm with these alerts, and ``strip`` instead of their own if there is one.

    Raises UsageError where it cannot be drawn.
    """
    with TemporaryDirectory(prefix="beatgan-") as folder:
        told, drawn = Path(folder, "alarm.jsonl"), Path(folder, "alarm.png")
        told.write_bytes(b"".join(each + b"\n" for each in _with_strip(bodies, strip)))
        options = ["--from", str(told), "--png", str(drawn), "--", episode]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "beatgan_daemon", "explain", *options],
                capture_output=True,
                text=True,
                timeout=LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UsageError(f"the picture takes longer than {LONGEST_S:g} s") from None
        if done.returncode:
            raise UsageError(done.stderr.strip() or "the picture cannot be drawn")
        return drawn.read_bytes()


def _with_strip(bodies: Sequence[bytes], strip: EcgStrip | None) -> Sequence[bytes]:
    if strip is None:
        return bodies
    first = msgspec.json.decode(bodies[0], type=dict[str, Any])
    first["strip"] = message_strip(strip)
    return [msgspec.json.encode(first), *bodies[1:]]
