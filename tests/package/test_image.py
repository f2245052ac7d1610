"""What Containerfile says, and the image made of it: its root as the user that it runs as.

No container engine is needed: the image's files are run by chroot, read-only, as process 1 of
namespaces of their own. That takes minutes, and root, mmdebstrap, umoci and skopeo:

    BEATGAN_TRY_PACKAGES=1 pytest -s tests/package/test_image.py
"""

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scripts" / "package"
SCRIPT = runpy.run_path(str(FOLDER / "image"))
TOLD = SCRIPT["instructions"]((FOLDER / "Containerfile").read_text())
USER = 65534

# $1: the image's root, $2: what is its volume. Process 1 is what follows.
INSIDE = """
set -e
root=$1 volume=$2
shift 2
ip link set lo up
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$volume" "$root/var/lib/beatgan"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind /dev "$root/dev"
exec chroot --userspec=65534:65534 "$root" "$@"
"""


def test_it_runs_as_nobody_with_its_state_in_a_volume_and_asks_for_its_health() -> None:
    words = dict(TOLD)
    assert words["USER"] == f"{USER}:{USER}"
    assert words["VOLUME"] == "/var/lib/beatgan"
    assert json.loads(words["ENTRYPOINT"]) == ["beatgan-daemon"]  # no shell: it gets the signals
    assert SCRIPT["health"](TOLD)["Test"][-1].count("/livez") == 1
    assert SCRIPT["health"](TOLD)["StartPeriod"] == 600 * 10**9


def test_umoci_is_told_all_but_what_makes_files() -> None:
    left = {word for word, _ in TOLD} - SCRIPT["UMOCI"].keys()
    assert left == {"RUN", "COPY", "HEALTHCHECK"}
    flags = SCRIPT["flags"](TOLD)
    assert len(flags) % 2 == 0
    assert flags[flags.index("--config.env") + 1].startswith("PATH=/opt/beatgan/bin:")
    assert "org.opencontainers.image.licenses=MIT" in flags


class Image(NamedTuple):
    """A ``config`` as engines read it, and the files, unpacked in ``root``."""

    config: dict[str, Any]
    root: Path
    volume: Path

    def command(self, *arguments: str) -> list[str]:
        """A command of it, as an engine would start it but for its memory and its seccomp."""
        unshared = "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"
        inside = ("sh", "-c", INSIDE, "sh", self.root, self.volume)
        environment = ("/usr/bin/env", "--ignore-environment", *self.config["config"]["Env"])
        return [*map(str, ("unshare", *unshared, *inside, *environment, *arguments))]

    def run(self, *arguments: str, timeout: float = 300) -> str:
        """What it says, once it has succeeded."""
        done = subprocess.run(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    if "BEATGAN_TRY_PACKAGES" not in os.environ:
        pytest.skip("takes minutes: only where BEATGAN_TRY_PACKAGES is set")
    folder = tmp_path_factory.mktemp("image")
    began = monotonic()
    subprocess.run([FOLDER / "image", folder], check=True)
    (archive,) = folder.glob("*.tar.gz")
    sys.stdout.write(f"{archive.name}: {archive.stat().st_size / 2**20:.0f} MiB")
    sys.stdout.write(f" in {monotonic() - began:.0f} s\n")
    subprocess.run(["gunzip", archive], check=True)  # engines load it as it is, skopeo does not
    (archive,) = folder.glob("*.tar")
    said = subprocess.run(
        ["skopeo", "inspect", "--config", "--raw", f"docker-archive:{archive}"],
        stdout=subprocess.PIPE,
        check=True,
    )
    root, volume = folder / "root", folder / "volume"
    for each in (root, volume):
        each.mkdir()
    os.chown(volume, USER, USER)
    for above in (folder, *folder.parents):
        above.chmod(above.stat().st_mode | 0o011)
    with tarfile.open(archive) as packed:
        (manifest,) = json.load(packed.extractfile("manifest.json"))  # type: ignore[arg-type]
        for each in manifest["Layers"]:
            with tarfile.open(fileobj=packed.extractfile(each)) as layer:
                layer.extractall(root, numeric_owner=True, filter="fully_trusted")
    yield Image(json.loads(said.stdout), root, volume)
    shutil.rmtree(folder)


@pytest.mark.timeout(1200)
def test_its_root_runs_read_only_as_nobody(image: Image, capfd: pytest.CaptureFixture[str]) -> None:
    size = sum(f.lstat().st_blocks for f in image.root.rglob("*")) * 512 / 2**20
    assert image.config["config"]["Healthcheck"]["Test"][-1].count("/livez") == 1
    assert image.run("beatgan-daemon", "--version").startswith("beatgan-daemon ")
    log = image.volume / "log"
    began = monotonic()
    entry = (*image.config["config"]["Entrypoint"], *image.config["config"]["Cmd"])
    check = image.config["config"]["Healthcheck"]["Test"][1:]
    with log.open("wb") as file, subprocess.Popen(image.command(*entry), stderr=file) as process:
        while '"ready"' not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert monotonic() - began < 300
            sleep(0.2)
        cold = monotonic() - began
        (daemon,) = children(process.pid)
        enter = (
            "nsenter",
            "--target",
            str(daemon),
            "--net",
            "--mount",
            "--root",
            "--setuid",
            str(USER),
        )
        subprocess.run([*enter, *check], check=True, timeout=5)
        reload = (*enter, "--pid", "/opt/beatgan/bin/beatgan-daemon", "reload", "1")
        assert b"applied" in subprocess.run(reload, check=True, stdout=subprocess.PIPE).stdout
        status = Path(f"/proc/{daemon}/status").read_text()
        assert f"Uid:\t{USER}\t{USER}" in status
        assert status.split("NSpid:")[1].split("\n")[0].split()[-1] == "1"
        os.kill(daemon, signal.SIGTERM)
        assert process.wait(10) == 0
    assert (image.volume / "journal.db").stat().st_uid == USER
    began = monotonic()
    assert image.run("beatgan-daemon", "check").splitlines()[-1].startswith("ok: ")
    warm = monotonic() - began
    scored = image.run("beatgan-daemon", "score", "sample")
    assert scored.count('"type":"beat"') > 500
    with capfd.disabled():
        sys.stdout.write(
            f"{size:.0f} MiB unpacked; ready after {cold:.0f} s, where all is compiled first; "
            f"then `check` takes {warm:.1f} s\n"
        )


def children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [*map(int, text.split())]
