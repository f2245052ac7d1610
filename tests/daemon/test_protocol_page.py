"""What docs/protocol.md says of the daemon: every reason of a refusal, and a source that works."""

import json
import re
import threading
from pathlib import Path
from typing import Any

import zmq

from beatgan.pipeline import engine, source_selection, stream
from beatgan.protocol import frame_header, frames
from beatgan.protocol.frame_decoder import decode_frame
from beatgan_daemon.ingest import load_shedding, sender_guard
from beatgan_daemon.sockets.ingest_socket import IngestSocket

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_page_explains_every_reason_that_the_code_can_give() -> None:
    modules = (frame_header, frames, stream, engine, source_selection)
    source = "".join(Path(str(module.__file__)).read_text() for module in modules)
    section = PAGE.partition("\n### What is refused\n")[2].partition("\n## ")[0]
    given = set(re.findall(r'StreamError\(\s*"([a-z]+)"', source))
    explained = set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))
    assert given | {load_shedding.REASON, sender_guard.NOT_ALLOWED} == explained
    assert engine.OTHER_SENDER in given
    vectors = json.loads((ROOT / "tests" / "golden" / "wire.json").read_text())
    assert {vector["reason"] for vector in vectors["refused"]} < given


def test_the_pages_publisher_works() -> None:
    program = PROGRAMS[0]
    assert len(program.splitlines()) <= 15
    with zmq.Context() as context, IngestSocket(context, ["tcp://127.0.0.1:*"]) as source:
        program = program.replace("tcp://127.0.0.1:5555", source.endpoint)
        # its own names, and its socket closed at the end, as leaving the process would
        scope: dict[str, Any] = {}
        thread = threading.Thread(target=exec, args=(program, scope))
        thread.start()
        chunks = []
        while source.wait(1.0):
            parts = source.receive()
            assert parts is not None
            chunks.append(decode_frame(parts))
        thread.join()
        scope["socket"].context.destroy()
    assert len(chunks) >= 5
    assert chunks[-1].first == 450
    assert {chunk.stream for chunk in chunks} == {"bed-7"}
