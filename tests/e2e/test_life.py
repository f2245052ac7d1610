"""How a real daemon process begins, ends and refuses to begin."""

import json
import os
import pickle
import re
import signal
import socket
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPCookieProcessor, build_opener, urlopen

import pytest
import zmq

from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from beatgan_daemon import http_server, reload, service, systemd, wiring
from beatgan_daemon.playback.replay import ReplaySocket


def test_ctrl_c_stops_it_with_code_0(start: Any) -> None:
    with start() as running:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(15) == 0
        printed = [line["event"] for line in running.logged()]
    assert printed[-4:] == ["ready", "stopping", "status", "stopped"]


def test_systemd_is_told_everything_in_order(start: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(15)
        manager.bind(str(tmp_path / "notify"))

        def received() -> list[str]:
            return manager.recv(1024).decode().split("\n")

        def next_but(*ignored: str) -> list[str]:
            while (printed := received())[0] in ignored:
                pass
            return printed

        with start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000") as running:
            assert received() == ["STATUS=loading and testing the model"]
            assert received() == ["EXTEND_TIMEOUT_USEC=30000000"]
            first_start = "STATUS=compiling the signal path"  # of this version and model
            assert next_but("EXTEND_TIMEOUT_USEC=30000000", first_start)[0] == "READY=1"
            assert [received(), received(), received()] == [["WATCHDOG=1"]] * 3
            running.process.send_signal(signal.SIGHUP)
            begun = next_but("WATCHDOG=1")
            assert (begun[0], begun[1].split("=")[0]) == ("RELOADING=1", "MONOTONIC_USEC")
            assert next_but("WATCHDOG=1") == ["READY=1", "STATUS=reload applied"]
            running.process.terminate()
            assert next_but("WATCHDOG=1")[0] == "STOPPING=1"
            assert running.process.wait(15) == 0


def test_it_stops_within_five_seconds_whoever_keeps_it() -> None:
    """Every wait on the way out has an end, and all of them together are short enough."""
    loop = service.LONGEST_WAIT_S + service.DRAIN_S + reload.JOIN_S + service.FLUSH_S
    assert loop + wiring.LINGER_S + http_server.CLOSE_S + systemd.SEND_TIMEOUT_S <= 5.0


def test_told_to_stop_it_tells_what_had_arrived_though_somebody_does_not_listen(
    start: Any,
) -> None:
    with zmq.Context[zmq.Socket[bytes]]() as context, start() as running:
        deaf, received = context.socket(zmq.SUB), context.socket(zmq.SUB)
        for subscriber, room in ((deaf, 1), (received, 0)):
            subscriber.linger, subscriber.rcvhwm = 0, room
            subscriber.subscribe("")
            subscriber.connect(running.publish)
        with ReplaySocket(context, connect=running.ingest) as source:
            source.await_subscriber(10)
            for parts in ecg("probe", seconds=1):
                source.send(parts)
            assert received.poll(10_000), "the daemon publishes nothing"
            for second in zip(*(ecg(f"bed-{k}", seconds=20) for k in range(20)), strict=True):
                for parts in second:
                    source.send(parts)
            running.until("beatgan_samples_received_total", 20 * 360)
            assert running.stop() == 0
        beats = Counter[str]()
        while received.poll(500):
            message = json.loads(received.recv_multipart()[1])
            beats[message["stream"]] += message["type"] == "beat" and "revised" not in message
        deaf.close()
        received.close()
    status = next(line for line in running.logged() if line["event"] == "status")
    assert sum(beats.values()) == status["beats"] > 0


def ecg(stream: str, seconds: int) -> list[list[bytes]]:
    """A frame for each second of synthetic ECG."""
    samples = synthetic_ecg(float(seconds), 360.0)[:, None]
    return [
        encode_frame(
            Chunk(
                stream, 1, k, k * 360, k * 10**9, 360.0, ("II",), samples[k * 360 : k * 360 + 360]
            )
        )
        for k in range(seconds)
    ]


def test_an_endpoint_in_use_is_refused(command: Any, model_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        endpoint = f"tcp://127.0.0.1:{port}"
        refused = command("run", "--model", model_file, "--ingest-bind", endpoint)
    assert refused.returncode == 3
    assert endpoint in refused.stderr
    assert "in use" in refused.stderr
    assert "Traceback" not in refused.stderr


class Evil:
    """Would run when unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("gotcha",)


def spoiled(kind: str, path: Path, original: bytes) -> Path:
    if kind == "corrupt":
        middle = len(original) // 2
        path.write_bytes(original[:middle] + bytes(64) + original[middle + 64 :])
    else:
        path.write_bytes(pickle.dumps(Evil()))
    return path


@pytest.mark.parametrize("kind", ["corrupt", "pickled code"])
def test_a_bad_model_is_refused(command: Any, model_file: Path, tmp_path: Path, kind: str) -> None:
    bad = spoiled(kind, tmp_path / "bad.pt", model_file.read_bytes())
    refused = command("check" if kind == "corrupt" else "run", "--model", bad)
    assert refused.returncode == 3
    assert refused.stderr.startswith(f"beatgan-daemon: {bad}: ")
    assert refused.stderr.count("\n") == 1
    assert "gotcha" not in refused.stdout + refused.stderr


def test_a_bad_config_is_refused_and_the_nearest_key_named(
    command: Any, model_file: Path, tmp_path: Path
) -> None:
    config = tmp_path / "daemon.toml"
    config.write_text("[streams]\nsilense_s = 3\n")
    for name in ("run", "check"):
        refused = command(name, "--model", model_file, "--config", config)
        assert refused.returncode == 3
        assert refused.stderr == (
            f"beatgan-daemon: {config}: unknown key 'streams.silense_s'; "
            "did you mean 'streams.silence_s'?\n"
        )


def test_check_approves_of_what_is_well(command: Any, model_file: Path) -> None:
    approved = command("check", "--model", model_file)
    assert approved.returncode == 0
    assert approved.stdout.startswith(f"ok: {model_file} is a student, digest ")


def test_an_unreadable_record_is_a_usage_error(
    command: Any, model_file: Path, tmp_path: Path
) -> None:
    broken, missing = tmp_path / "broken", tmp_path / "missing"
    broken.with_suffix(".hea").write_text("not a header\n")
    for refused, record in (
        (command("score", broken, "--model", model_file), broken),
        (command("replay", broken, "--bind", "tcp://127.0.0.1:*"), broken),
        (command("replay", missing, "--bind", "tcp://127.0.0.1:*"), missing),
    ):
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"beatgan-daemon: {record}")
        assert refused.stderr.count("\n") == 1


def test_the_demo_runs(command: Any, model_file: Path) -> None:
    shown = command("demo", "--seconds", "8", "--model", model_file, "--terminal")
    assert shown.returncode == 0, shown.stderr
    assert "bed-3  MIT-BIH record 207" in shown.stdout
    assert "Metrics: http://127.0.0.1:" in shown.stdout
    assert "page:" not in shown.stdout
    assert "bed-8  annotated: ventricular trigeminy" in shown.stdout
    assert "beats scored" in shown.stdout.splitlines()[-1]
    assert not shown.stdout.splitlines()[-1].startswith("0 ")


def test_the_demo_serves_its_page_and_all_ends_with_ctrl_c(
    start_command: Any, model_file: Path
) -> None:
    pytest.importorskip("starlette")
    with start_command("demo", "--model", str(model_file), PYTHONUNBUFFERED="1") as process:
        said = ""
        while "replaying" not in said:
            said += process.stdout.readline()
            assert process.poll() is None
        address = re.findall("^page: (http.*)$", said, re.MULTILINE)[0]
        browser = build_opener(HTTPCookieProcessor())  # the token becomes a cookie
        with browser.open(address, timeout=10) as page:
            assert "not a medical device" in page.read().decode().lower()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "beats scored" in rest
    assert "Traceback" not in rest
    with pytest.raises(URLError):
        urlopen(address, timeout=1)


def test_without_the_extra_the_demo_goes_on_in_the_terminal(
    start_command: Any, model_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "starlette.py").write_text("raise ImportError('not here')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    arguments = ("demo", "--model", str(model_file), "--seconds", "2")
    with start_command(*arguments, PYTHONPATH=path) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "no page: the page needs pip install 'beatgan[web]'" in said
    assert "beats scored" in said
