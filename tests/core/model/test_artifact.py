"""The model file: what is written is what is read, and whatever else is refused by name."""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beatgan.alarms.codes import AlarmCode
from beatgan.errors import ArtifactError
from beatgan.model.artifact import (
    SECTIONS,
    VERSION,
    Artifact,
    build,
    load,
    self_test,
)
from beatgan.model.calibration import Calibration
from beatgan.model.networks import Network, Networks
from beatgan.model.torch_modules.context_networks import (
    BeatClassifier,
    ContextAutoencoder,
    RhythmDensity,
)
from beatgan.model.torch_modules.conversion import module_of, networks_of
from beatgan.model.torch_modules.networks import Generator, Student
from beatgan.spec import PreprocessSpec
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.model_file import save
from tests.support.model_files import dumped, forged

COEFFICIENTS = coefficients_of("full")

CALIBRATION = Calibration(
    location={"error": 0.0, "distance": -4.0, "prematurity": 0.0},
    spread={"error": 1.0, "distance": 1.8, "prematurity": 0.1},
    weight={"error": 1.0, "distance": 1.0, "prematurity": 1.0},
    cap={"error": 2.0, "distance": 1e3, "prematurity": 3.0},
    threshold=3.0,
)
Tamper = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    torch.manual_seed(0)
    origin = {"seed": 3, "options": {"rate": 0.1, "families": ("a", "b")}}
    return build(
        "student",
        PreprocessSpec(),
        networks_of(Student(amplitude=10.0)),
        CALIBRATION,
        COEFFICIENTS,
        origin,
    )


@pytest.fixture(scope="module")
def stored(artifact: Artifact) -> bytes:
    return written(artifact)


def written(artifact: Artifact) -> bytes:
    file = io.BytesIO()
    save(file, artifact)
    return file.getvalue()


def read(content: bytes) -> Artifact:
    return load(io.BytesIO(content), "some/model.pt")


def altered(stored: bytes, tamper: Tamper, forge: bool = False) -> bytes:
    """The file with its content changed by ``tamper``; with ``forge`` the digests fit again."""
    content = torch.load(io.BytesIO(stored), weights_only=True)
    tamper(content)
    return forged(content, SECTIONS[VERSION]) if forge else dumped(content)


def test_what_is_written_is_read(artifact: Artifact, stored: bytes) -> None:
    again = read(stored)
    assert again.kind == "student"
    assert again.spec == artifact.spec
    assert again.calibration == artifact.calibration
    assert again.provenance == {"seed": 3, "options": {"rate": 0.1, "families": ["a", "b"]}}
    assert again.digest == artifact.digest
    windows = torch.randn(4, 320)
    assert torch.equal(
        module_of(again.networks.beat)(windows), module_of(artifact.networks.beat)(windows)
    )
    assert written(again) == stored


def test_a_teacher_is_stored_alike() -> None:
    torch.manual_seed(0)
    network = Generator(width=2, bottleneck=5)
    network(torch.randn(64, 320))  # moves the running statistics, which must travel too
    teacher = build(
        "teacher", PreprocessSpec(), networks_of(network), CALIBRATION, COEFFICIENTS, {}
    )
    again = read(written(teacher))
    self_test(again)
    module = module_of(again.networks.beat)
    assert isinstance(module, Generator)
    assert not module.training
    assert torch.equal(module(torch.ones(1, 320)), network.eval()(torch.ones(1, 320)))


def test_the_self_test_scores_ectopic_beats_and_passes(stored: bytes) -> None:
    artifact = read(stored)
    model = self_test(artifact)
    assert model.threshold == 3.0
    scores = np.array(artifact.test.scores)
    assert len(scores) > 30
    assert scores.max() - np.median(scores) > 5
    assert artifact.test.ecg.dtype == np.int16


def test_the_digest_names_the_content(artifact: Artifact) -> None:
    parts = (
        artifact.kind,
        artifact.spec,
        artifact.networks,
        artifact.calibration,
        artifact.coefficients,
    )
    assert build(*parts, artifact.provenance).digest == artifact.digest
    assert build(*parts, {"seed": 4}).digest != artifact.digest
    assert len(artifact.digest) == 12


def put(*path: str, value: Any) -> Tamper:
    def tamper(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return tamper


def drop(*path: str) -> Tamper:
    def tamper(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return tamper


TAMPERED: list[tuple[Tamper, str]] = [
    (put("spec", "highpass_hz", value=0.6), r"spec\.highpass_hz: not what was written"),
    (put("spec", "colour", value="red"), r"spec\.colour: not what was written"),
    (drop("spec", "align"), r"spec\.align: missing"),
    (put("calibration", "threshold", value=9.0), r"calibration\.threshold: not what"),
    (put("calibration", "spread", "error", value=2.0), r"calibration\.spread\.error"),
    (
        put("networks", "beat", "arguments", "hidden", value=100),
        r"networks\.beat\.arguments\.hidden",
    ),
    (put("provenance", "seed", value=4), r"provenance\.seed"),
    (put("self_test", "r_peaks", value=[1]), r"self_test\.r_peaks"),
    (put("kind", value="teacher"), r"kind: not what"),
    (
        lambda c: c["networks"]["beat"]["state"]["decoder.4.bias"].add_(1),
        r"networks\.beat\.state\.decoder\.4\.bias",
    ),
    (lambda c: c["self_test"]["ecg"].add_(1), r"self_test\.ecg"),
    (drop("calibration"), r"missing part\(s\): calibration"),
    (drop("digests"), r"missing part\(s\): digests"),
    (put("digests", value=3), "digests: not a table"),
    (put("version", value=6), "format version 6; this beatgan reads version 5$"),
    (put("version", value=2), "format version 2; .*: beatgan-train convert OLD.pt --out NEW.pt"),
    (put("format", value="onnx"), "not a beatgan model: it lacks the mark"),
]


@pytest.mark.parametrize(("tamper", "complaint"), TAMPERED)
def test_an_altered_part_is_named(stored: bytes, tamper: Tamper, complaint: str) -> None:
    with pytest.raises(ArtifactError, match=rf"^some/model\.pt: {complaint}"):
        read(altered(stored, tamper))


FORGED: list[tuple[Tamper, str]] = [
    (put("spec", "highpass_hz", value="high"), "spec: "),
    (put("spec", "higpass_hz", value=1.0), r"spec: unknown key 'higpass_hz'; did you mean"),
    (
        put("spec", "after", value=212),
        "networks: takes 320 samples where the spec's window has 352",
    ),
    (put("spec", value=3), "spec: expected a table, got int"),
    (put("networks", "beat", "name", value="Transformer"), "networks: 'Transformer'"),
    (
        put("networks", "beat", "arguments", "hidden", value=64),
        r"networks: encoder\.0\.weight: expected float32 \(64, 320\), got float32 \(120, 320\)",
    ),
    (put("networks", "beat", "arguments", "hidden", value=120.0), "networks: hidden: expected a w"),
    (put("networks", "beat", "arguments", "amplitude", value=0), "networks: amplitude must be pos"),
    (drop("networks", "beat", "arguments", "middle"), "networks: .*middle"),
    (drop("networks", "beat", "state", "decoder.4.bias"), r"networks: decoder\.4\.bias: missing"),
    (
        put("networks", "beat", "state", "decoder.4.bias", value=torch.zeros(320).double()),
        r"networks: decoder\.4\.bias: expected float32 \(320,\), got float64 \(320,\)",
    ),
    (put("networks", "beat", "state", value=[1]), "networks: "),
    (put("networks", "beat", value=3), "networks: "),
    (put("networks", "beat", "arguments", "depth", value=3), "networks: .*depth"),
    (
        put("calibration", "spread", "error", value=-1.0),
        "calibration: a spread or a cap is not positive",
    ),
    (
        lambda c: c["networks"]["beat"]["state"]["decoder.4.bias"][:1].fill_(float("nan")),
        r"networks\.beat\.state\.decoder\.4\.bias: a weight is not finite",
    ),
    (put("self_test", "ecg", value=[1, 2]), "self_test: "),
    (drop("self_test", "fs"), "self_test: missing 'fs'"),
    (put("kind", value="nurse"), "kind: expected student or teacher, got 'nurse'"),
    (put("spec", "highpass_hz", value=2.0), r"coefficients: noise was fitted to spec\.highpass_hz"),
    (
        put("spec", "scale", value="beat"),
        r"coefficients: ventricular_run was fitted to spec\.scale",
    ),
    (
        drop("coefficients", "vf", "leakage"),
        r"coefficients\.vf: missing or unknown key\(s\) leakage",
    ),
    (put("coefficients", "noise", "poor_left", value="low"), r"coefficients\.noise\.poor_left: "),
    (put("coefficients", "noise", value=3), r"coefficients\.noise: expected a table, got int"),
    (put("coefficients", "fitted_to", value=[1]), r"coefficients\.fitted_to: expected a table"),
    (
        put("coefficients", "noise", "poor_left", value=float("nan")),
        r"coefficients: noise\.poor_left is not finite",
    ),
]


@pytest.mark.parametrize(("tamper", "complaint"), FORGED)
def test_parts_that_make_no_model_are_refused(
    stored: bytes, tamper: Tamper, complaint: str
) -> None:
    with pytest.raises(ArtifactError, match=rf"^some/model\.pt: {complaint}"):
        read(altered(stored, tamper, forge=True))


FAILING: list[tuple[Tamper, str]] = [
    (put("spec", "template_beats", value=3), r"self-test: score \d+: got .*, expected"),
    (
        lambda c: c["networks"]["beat"]["state"]["decoder.4.bias"].add_(1),
        r"self-test: score 0: got",
    ),
    (put("calibration", "location", "error", value=1.0), r"self-test: score 0: got"),
    (
        lambda c: c["self_test"]["r_peaks"].__setitem__(2, 7),
        r"self-test: R peak 2: got \d+, expected 7",
    ),
    (lambda c: c["self_test"]["ecg"].mul_(0), r"self-test: got 0 beats, expected \d+"),
    (put("self_test", "fs", value=5.0), "self-test: fs must be"),
]


@pytest.mark.parametrize(("tamper", "complaint"), FAILING)
def test_the_self_test_sees_what_digests_cannot(
    stored: bytes, tamper: Tamper, complaint: str
) -> None:
    with pytest.raises(ArtifactError, match=complaint):
        self_test(read(altered(stored, tamper, forge=True)))


def shipped() -> bytes:
    return (Path(__file__).parents[3] / "models" / "student.pt").read_bytes()


def test_the_self_test_raises_an_alarm_of_each_family() -> None:
    alerts = read(shipped()).test.alerts
    assert alerts is not None
    began = {code for code, phase, _ in alerts if phase == "start"}
    assert began == {
        AlarmCode.ANOMALOUS_BEATS,
        AlarmCode.VENTRICULAR_RUN,
        AlarmCode.ASYSTOLE,
        AlarmCode.BRADYCARDIA,
        AlarmCode.VENTRICULAR_FIBRILLATION,
        AlarmCode.NOISE,
    }


def add(*path: str, value: float) -> Tamper:
    def tamper(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] += value

    return tamper


OTHER_COEFFICIENTS: list[tuple[Tamper, str]] = [
    (add("coefficients", "noise", "unusable_entered", value=1.0), r"signal\.noise"),
    (add("coefficients", "noise", "with_hf_noise", "offset", value=-2.0), r"signal\.noise"),
    (
        add("coefficients", "vf", "offset", value=-4.0),
        r"rhythm\.ventricular-fibrillation start",
    ),
    (
        add("coefficients", "ventricular_run", "offset", value=-9.0),
        r"rhythm\.ventricular-run start",
    ),
]


@pytest.mark.parametrize(("tamper", "alert"), OTHER_COEFFICIENTS)
def test_the_self_test_names_the_alert_that_other_coefficients_change(
    tamper: Tamper, alert: str
) -> None:
    with pytest.raises(ArtifactError, match=rf"^self-test: .*alert \d+: .*{alert}"):
        self_test(read(altered(shipped(), tamper, forge=True)))


class Bomb:
    """Pickled, it makes the folder that it is given."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_pickled_code_is_refused_and_not_run(tmp_path_factory: Any, writer: str) -> None:
    folder = tmp_path_factory.mktemp("bomb") / "crater"
    file = io.BytesIO()
    if writer == "torch":
        torch.save({"format": Bomb(str(folder))}, file)
    else:
        pickle.dump(Bomb(str(folder)), file)
    with pytest.raises(ArtifactError, match=r"^some/model\.pt: not a beatgan model.*(code|pickle)"):
        read(file.getvalue())
    assert not folder.exists()


@pytest.mark.parametrize("content", [b"", b"P", b"PK\x03\x04", b"hello, world" * 100])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"^some/model\.pt: (not a beatgan model|damaged)"):
        read(content)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_is_refused_or_reads_the_same(
    stored: bytes, artifact: Artifact, seed: int
) -> None:
    random = np.random.default_rng(seed)
    content = bytearray(stored)
    if seed % 2:
        content = content[: random.integers(len(content))]
    else:  # near an end, where names and lengths are
        for _ in range(random.integers(1, 5)):
            content[random.integers(-4000, 4001)] = random.integers(256)
    try:
        again = read(bytes(content))
    except ArtifactError:
        return  # and nothing else is raised
    assert again.digest == artifact.digest


def test_parts_that_do_not_fit_are_not_built() -> None:
    with pytest.raises(ArtifactError, match="takes 64 samples"):
        build(
            "teacher",
            PreprocessSpec(),
            networks_of(Generator(length=64, width=1)),
            CALIBRATION,
            COEFFICIENTS,
            {},
        )


def weighing(*more: str) -> Calibration:
    """`CALIBRATION` and further components."""
    ones = dict.fromkeys(more, 1.0)
    return Calibration(
        location={**CALIBRATION.location, **ones},
        spread={**CALIBRATION.spread, **ones},
        weight={**CALIBRATION.weight, **ones},
        cap={**CALIBRATION.cap, **ones},
        threshold=3.0,
    )


def test_a_model_of_three_networks_is_stored_alike() -> None:
    torch.manual_seed(0)
    networks = networks_of(ContextAutoencoder(), RhythmDensity(), BeatClassifier())
    calibration = weighing("rr_surprisal", "log_odds")
    made = build("student", PreprocessSpec(), networks, calibration, COEFFICIENTS, {})
    again = read(written(made))
    self_test(again)
    assert again.digest == made.digest
    assert [*again.networks.present()] == ["beat", "rhythm", "classes"]
    assert again.networks.parameters == networks.parameters
    stored = written(made)
    tamper = put("networks", "rhythm", "arguments", "hidden", value=8)
    with pytest.raises(ArtifactError, match=r"networks\.rhythm\.arguments\.hidden: not what"):
        read(altered(stored, tamper))
    for part, complaint in (("colour", "unknown part 'colour'"), ("beat", "missing 'beat'")):
        change = put("networks", part, value={}) if part == "colour" else drop("networks", part)
        with pytest.raises(ArtifactError, match=f"networks: {complaint}"):
            read(altered(stored, change, forge=True))


SHORT = PreprocessSpec(before=91, after=229)
UNFIT: list[tuple[PreprocessSpec, Networks, Calibration, str]] = [
    (
        PreprocessSpec(),
        networks_of(ContextAutoencoder(hidden=200)),
        CALIBRATION,
        r"at most 95,440 parameters that learn without labels, this one \d+,\d+",
    ),
    (
        PreprocessSpec(),
        networks_of(Student(), classes=BeatClassifier(hidden=300)),
        weighing("log_odds"),
        r"at most 200,000 parameters in all",
    ),
    (
        PreprocessSpec(),
        networks_of(Student()),
        weighing("rr_surprisal"),
        "weighs rr_surprisal, which no network gives",
    ),
    (
        PreprocessSpec(),
        networks_of(Student()),
        weighing("log_odds"),
        "weighs log_odds, which no network gives",
    ),
    (
        PreprocessSpec(),
        networks_of(Student(), classes=BeatClassifier()),
        CALIBRATION,
        "does not weigh log_odds, which the classes give",
    ),
    (
        SHORT,
        networks_of(Student(), classes=BeatClassifier()),
        weighing("log_odds"),
        "windows are too short to tell classes by",
    ),
]


@pytest.mark.parametrize(("spec", "networks", "calibration", "complaint"), UNFIT)
def test_networks_that_make_no_model_are_refused(
    spec: PreprocessSpec, networks: Networks, calibration: Calibration, complaint: str
) -> None:
    with pytest.raises(ArtifactError, match=complaint):
        build("student", spec, networks, calibration, COEFFICIENTS, {})


@pytest.mark.parametrize("part", ["beat", "rhythm", "classes"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(part: str, value: float) -> None:
    """The score's bounds would make finite scores of them, and the self-test pass."""
    networks = networks_of(ContextAutoencoder(), RhythmDensity(), BeatClassifier())
    for weights in networks.present()[part].state.values():
        weights.fill(value)
    with pytest.raises(
        ArtifactError, match=rf"networks\.{part}\.state\..*: a weight is not finite"
    ):
        build(
            "student",
            PreprocessSpec(),
            networks,
            weighing("rr_surprisal", "log_odds"),
            COEFFICIENTS,
            {},
        )


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_layer_without_weights_is_refused() -> None:
    networks = networks_of(ContextAutoencoder(context=0))
    with pytest.raises(
        ArtifactError, match=r"^networks\.beat\.state\.template\.0\.weight: is empty"
    ):
        build("student", PreprocessSpec(), networks, CALIBRATION, COEFFICIENTS, {})
    with pytest.raises(ArtifactError, match=r"^networks: "):
        Network.of({"name": "BeatClassifier", "arguments": {"hidden": 0}, "state": {}})


def test_a_network_is_stored_only_as_what_it_can_be() -> None:
    rhythm: Any = BeatClassifier()
    with pytest.raises(ArtifactError, match="a BeatClassifier cannot be stored as rhythm"):
        build(
            "student",
            PreprocessSpec(),
            networks_of(Student(), rhythm),
            CALIBRATION,
            COEFFICIENTS,
            {},
        )
