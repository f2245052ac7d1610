"""How a real daemon process begins, ends and refuses to begin."""

import pickle
import signal
import socket
from pathlib import Path
from typing import Any

import pytest


def test_ctrl_c_stops_it_with_code_0(start: Any) -> None:
    with start() as running:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(15) == 0
        said = [line["event"] for line in running.logged()]
    assert said == ["ready", "stopping", "status", "stopped"]


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(start: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(15)
        manager.bind(str(tmp_path / "notify"))
        with start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000") as running:
            assert manager.recv(1024) == b"STATUS=loading and testing the model"
            assert manager.recv(1024).startswith(b"READY=1\n")
            for _ in range(3):
                assert manager.recv(1024) == b"WATCHDOG=1"
            running.process.terminate()
            while (said := manager.recv(1024)) == b"WATCHDOG=1":
                pass
            assert said.startswith(b"STOPPING=1\n")
            assert running.process.wait(15) == 0


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
    shown = command("demo", "--seconds", "8", "--model", model_file)
    assert shown.returncode == 0, shown.stderr
    assert "Metrics: http://127.0.0.1:" in shown.stdout
    assert "beats scored" in shown.stdout.splitlines()[-1]
    assert not shown.stdout.splitlines()[-1].startswith("0 ")


def test_the_demo_is_interrupted_cleanly(start_command: Any, model_file: Path) -> None:
    with start_command("demo", "--model", str(model_file), PYTHONUNBUFFERED="1") as process:
        while "replaying" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "beats scored" in rest
    assert "Traceback" not in rest
