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
SHARDS = FOLDER / "shards"
MANIFESTS = sorted(FOLDER.glob("*.yaml"))
SHARDS_MANIFESTS = sorted(SHARDS.glob("*.yaml"))
NOT_KUBERNETES = {"Kustomization", "PodMonitor"}


def manifest(name: str, folder: Path = FOLDER) -> Any:
    return yaml.safe_load((folder / f"{name}.yaml").read_text())


def pod_of(name: str) -> Any:
    """Of one of the shards' manifests."""
    return manifest(name, SHARDS)["spec"]["template"]["spec"]


@pytest.fixture
def pod() -> Any:
    return manifest("statefulset")["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    "file", [*MANIFESTS, *SHARDS_MANIFESTS], ids=lambda file: f"{file.parent.name}-{file.stem}"
)
def test_a_manifest_is_what_its_schema_says(file: Path) -> None:
    if (content := manifest(file.stem, file.parent))["kind"] not in NOT_KUBERNETES:
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
    for each in (pod, *map(pod_of, ("statefulset", "map", "coordinator"))):
        (container,) = each["containers"]
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


@pytest.mark.parametrize("shards", [None, "statefulset", "map", "coordinator"])
def test_it_may_do_no_more_than_the_namespace_allows(pod: Any, shards: str | None) -> None:
    """The pod security standard `restricted`."""
    pod = pod if shards is None else pod_of(shards)
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["enableServiceLinks"]  # else its variables are taken for settings, and refused


def test_every_manifest_of_shards_is_applied() -> None:
    said = manifest("kustomization", SHARDS)
    assert {*said["resources"], "kustomization.yaml"} == {file.name for file in SHARDS_MANIFESTS}
    assert said["configMapGenerator"] == [{"name": "beatgan", "files": ["daemon.toml"]}]


def test_the_map_names_the_pods_and_all_share_one_directory() -> None:
    spec = manifest("statefulset", SHARDS)["spec"]
    (init,) = pod_of("map")["containers"]
    (keep,) = pod_of("coordinator")["containers"]
    (shard,) = spec["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value") or each["valueFrom"] for each in shard["env"]}
    name = manifest("statefulset", SHARDS)["metadata"]["name"]
    directory = env["BEATGAN_SHARD__DIR"]
    pods = [f"{name}-{number}" for number in range(spec["replicas"])]
    assert init["args"] == ["shards", "init", "--dir", directory, *pods]
    assert keep["args"][:4] == ["shards", "keep", "--dir", directory]
    assert env["BEATGAN_SHARD__NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    host = f"{spec['serviceName']}.{manifest('kustomization', SHARDS)['namespace']}.svc"
    assert env["BEATGAN_SHARD__HOST"] == f"$(BEATGAN_SHARD__NAME).{host}"
    assert {each.lower().replace("__", ".") for each in env} >= {"beatgan_shard.dir"}
    claim = {"claimName": manifest("volume", SHARDS)["metadata"]["name"]}
    for each in (spec["template"]["spec"], pod_of("map"), pod_of("coordinator")):
        assert {"name": "shards", "persistentVolumeClaim": claim} in each["volumes"]
        (container,) = each["containers"]
        assert {"name": "shards", "mountPath": directory} in container["volumeMounts"]
    assert manifest("volume", SHARDS)["spec"]["accessModes"] == ["ReadWriteMany"]


def test_ports_of_shards_are_those_of_their_settings() -> None:
    variables = {"BEATGAN_SHARD__DIR": "/shared", "BEATGAN_SHARD__NAME": "beatgan-0"}
    settings = load(SHARDS / "daemon.toml", environment=variables)
    assert settings.shard.name == "beatgan-0"
    binds = [*settings.ingest.bind, settings.publish.bind, settings.control.bind]
    expected = {int(each.rpartition(":")[2]) for each in (*binds, *settings.tap.bind)}
    expected.add(settings.http.listen.port)
    (container,) = pod_of("statefulset")["containers"]
    assert {port["containerPort"] for port in container["ports"]} == expected
    assert {port["port"] for port in manifest("service", SHARDS)["spec"]["ports"]} == expected
    rules = manifest("networkpolicy", SHARDS)["spec"]["ingress"]
    assert {port["port"] for rule in rules for port in rule["ports"]} == expected


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
