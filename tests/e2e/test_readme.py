"""What the README shows runs as it stands there, against a daemon on other ports."""

import re
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

import beatgan
from beatgan.records import excerpt
from beatgan_daemon.playback.replay import Plan, replay

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_quickstart_runs_and_says_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = beatgan.score(*beatgan.sample())
    Path("mitdb").mkdir()
    result.write_wfdb("mitdb/200", "atr")  # in the place of the cardiologists' own
    code = PYTHON[0]
    said: dict[str, Any] = {}
    exec(code, said)
    (promised,) = re.findall(r"print\(result\) +# (.*)", code)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == promised == str(result)
    assert "Se 100.00 %" in lines[1]
    assert {"ecg.png", "200.bg", "b.parquet"} <= {file.name for file in tmp_path.iterdir()}
    assert len(said["df"]) == 503
    for name in re.findall(r"# sample, (.*) \.\.\.", code)[0].split(", "):
        assert name in said["df"].columns


def test_the_lines_of_python_print_alerts(start: Any) -> None:
    code = PYTHON[1]
    assert len(code.splitlines()) == 5
    with start() as daemon:
        code = code.replace("tcp://127.0.0.1:5556", daemon.publish)
        listener = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        stop = Event()
        feed = Thread(
            target=replay,
            args=([excerpt.read("bigeminy").recording], Plan(speed=10, loop=True)),
            kwargs={"connect": daemon.ingest, "stop": stop},
        )
        feed.start()
        try:
            assert listener.stdout is not None
            assert "anomalous beats" in listener.stdout.readline()
        finally:
            stop.set()
            feed.join()
            listener.kill()
            listener.communicate()


def test_every_file_that_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_command_has_the_options_that_it_shows() -> None:
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    shown = re.findall(r"^beatgan-daemon (\w+) (.*)$", shell, re.MULTILINE)
    assert {name for name, _ in shown} >= {"run", "web", "replay", "watch"}
    for name, rest in shown:
        text = subprocess.run(
            [sys.executable, "-m", "beatgan_daemon", name, "--help"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in text, (name, option)
