"""What the .deb and the .rpm are made of: nfpm's own schema, and packages of an empty tree."""

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import validate

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "scripts" / "package" / "nfpm.yaml"
NFPM = Path(sysconfig.get_path("scripts")) / "nfpm"
VARIABLES = {"VERSION": "1.2.3", "RELEASE": "4", "ARCH": "amd64", "PYTHON_PACKAGE": "python3.11"}
VARIABLES["MAINTAINER"] = "Somebody <somebody@example.org>"


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    return content


def test_nfpm_knows_every_key(config: dict[str, Any]) -> None:
    if not NFPM.exists():
        pytest.skip("no nfpm")
    schema = subprocess.run([NFPM, "jsonschema"], capture_output=True, text=True, check=True)
    validate(config, json.loads(schema.stdout))


def test_its_scripts_are_there_and_a_shell_can_read_them(config: dict[str, Any]) -> None:
    for name in config["scripts"].values():
        script = ROOT / name
        assert os.access(script, os.X_OK)
        subprocess.run(["sh", "-n", script], check=True)


def test_packages_are_made_of_it(config: dict[str, Any], tmp_path: Path) -> None:
    if not NFPM.exists() or shutil.which("dpkg-deb") is None:
        pytest.skip("no nfpm, or no dpkg-deb")
    tree = tmp_path / "tree"
    for content in config["contents"]:
        place = Path(content["src"].replace("${TREE}", str(tree)))
        if content.get("type") == "tree":
            place = place / "file"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    for packager in ("deb", "rpm"):
        subprocess.run(
            [NFPM, "package", "--config", CONFIG, "--packager", packager, "--target", tmp_path],
            check=True,
            cwd=ROOT,
            env=os.environ | VARIABLES | {"TREE": str(tree)},
        )
    (package,) = tmp_path.glob("*.deb")
    assert package.name == "beatgan_1.2.3-4_amd64.deb"
    assert [*tmp_path.glob("*.rpm")] == [tmp_path / "beatgan-1.2.3-4.x86_64.rpm"]
    subprocess.run(["dpkg-deb", "--control", package, tmp_path / "control"], check=True)
    assert (tmp_path / "control" / "conffiles").read_text().split() == ["/etc/beatgan/daemon.toml"]
    control = (tmp_path / "control" / "control").read_text()
    assert "Depends: python3.11" in control
    assert "$" not in control
    listed = subprocess.run(["dpkg-deb", "--contents", package], capture_output=True, check=True)
    assert b"./usr/share/zsh/vendor-completions/file" in listed.stdout
