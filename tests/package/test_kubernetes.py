"""The manifests: of the form that Kubernetes' schemas have, and at one with each other and with us.

The schema of PodMonitor, a custom resource of the Prometheus operator, is not to be had offline.
"""

import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from beatgan_daemon.clients.process import COMMAND
from beatgan_daemon.clients.process import environment as environment_of
from beatgan_daemon.settings import load

FOLDER = Path(__file__).parents[2] / "configs" / "kubernetes"
MANIFESTS = sorted(FOLDER.glob("*.yaml"))
NOT_KUBERNETES = {"Kustomization", "PodMonitor"}


def manifest(name: str) -> Any:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


@pytest.fixture
def pod() -> Any:
    return manifest("statefulset")["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", [file.stem for file in MANIFESTS])
def test_a_manifest_is_what_its_schema_says(name: str) -> None:
    if (content := manifest(name))["kind"] not in NOT_KUBERNETES:
        kubernetes_validate.validate(content, "1.31", strict=True)


def test_every_manifest_is_applied_or_named() -> None:
    said = manifest("kustomization")
    named = {*said["resources"], "kustomization.yaml", "podmonitor.yaml"}
    assert named == {file.name for file in MANIFESTS}
    assert said["configMapGenerator"] == [{"name": "beatgan", "files": ["daemon.toml"]}]


def test_ports_are_those_of_the_settings(pod: Any) -> None:
    settings = load(FOLDER / "daemon.toml", environment={})
    endpoints = (settings.ingest.bind[0], settings.publish.bind, settings.control.bind)
    listens = dict(zip(("ingest", "publish", "control"), endpoints, strict=True))
    expected = {name: int(each.rpartition(":")[2]) for name, each in listens.items()}
    expected["metrics"] = settings.http.listen.port
    (container,) = pod["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == expected
    service = manifest("service")["spec"]
    assert {port["name"]: port["port"] for port in service["ports"]} == expected
    rules = manifest("networkpolicy")["spec"]["ingress"]
    assert {port["port"] for rule in rules for port in rule["ports"]} == {*expected.values()}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "metrics"


def test_the_image_is_of_this_version(pod: Any) -> None:
    project = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text())["project"]
    (container,) = pod["containers"]
    assert container["image"].rpartition(":")[2] == project["version"]


def test_labels_select_the_pod() -> None:
    spec = manifest("statefulset")["spec"]
    labels = spec["template"]["metadata"]["labels"]
    for selector in (
        spec["selector"]["matchLabels"],
        manifest("service")["spec"]["selector"],
        manifest("podmonitor")["spec"]["selector"]["matchLabels"],
        manifest("networkpolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector == labels
    assert labels[manifest("podmonitor")["spec"]["jobLabel"]] == "beatgan"


def test_it_may_do_no_more_than_the_namespace_allows(pod: Any) -> None:
    """The pod security standard `restricted`."""
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["enableServiceLinks"]  # else its variables are taken for settings, and refused


def test_keys_are_taken_from_a_secret_as_kubernetes_mounts_it(pod: Any, tmp_path: Path) -> None:
    """Readable by the pod's group, below links in a folder that all may write, but sticky."""
    (container,) = pod["containers"]
    ((name, value),) = ((each["name"], each["value"]) for each in container["env"])
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == "keys")
    assert (name, value) == ("CREDENTIALS_DIRECTORY", mount["mountPath"])
    mounted = tmp_path / "mounted"
    (written := mounted / "..2026_11_30").mkdir(parents=True)
    mounted.chmod(0o1777)
    made = subprocess.run(
        [*COMMAND, "keygen", written / "daemon"],
        check=True,
        capture_output=True,
        env=environment_of(),
    )
    assert made
    (written / "daemon.clients").write_text(f"{'0' * 40} ingest bed-1\n")
    (mounted / "..data").symlink_to(written.name)
    for file in ("daemon.key_secret", "daemon.clients"):
        (written / file).chmod(0o440)
        (mounted / file).symlink_to(f"..data/{file}")
    settings = (FOLDER / "daemon.toml").read_text().replace(value, str(mounted))
    (config := tmp_path / "daemon.toml").write_text(settings)
    for variables, code in (({name: str(mounted)}, 0), ({}, 3)):
        done = subprocess.run(
            [*COMMAND, "check", "--config", config],
            capture_output=True,
            text=True,
            check=False,
            env=environment_of(variables),
        )
        assert done.returncode == code, done.stderr
    assert os.fspath(mounted / "daemon.key_secret") in done.stderr
