"""A model file of a former format becomes one of this, and proves what it was written with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from beatgan.coefficients import GROUPS
from beatgan.errors import ArtifactError
from beatgan.model.artifact import SECTIONS, VERSION, build, load, self_test
from beatgan.model.calibration import Calibration
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Student
from beatgan.spec import FORMER_NAMES
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.model_file import FORMER, convert, read, write
from tests.support.model_files import forged

SHIPPED = Path(__file__).parents[3] / "models" / "student.pt"


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of this format whose network a former format could hold."""
    shipped = read(SHIPPED)
    torch.manual_seed(0)
    networks = networks_of(Student(amplitude=10.0))
    components = ("error", "distance", "prematurity")
    ones = dict.fromkeys(components, 1.0)
    calibration = Calibration(
        dict.fromkeys(components, 0.0), ones, ones, ones, 1.0, shipped.calibration.normal_sq_diff
    )
    path = tmp_path_factory.mktemp("model") / "student.pt"
    write(build("student", shipped.spec, networks, calibration, shipped.coefficients, {}), path)
    return path


def former(student: Path, path: Path, version: int, **self_test_changes: Any) -> Path:
    """``student`` as a former format would have stored it."""
    content = torch.load(student, weights_only=True)
    if version < 4:
        content["network"] = content.pop("networks")["beat"]
    test = content["self_test"]
    if version == 2:
        test["peaks"] = test.pop("r_peaks")
        del test["alerts"], content["coefficients"]
        calibration, spec = content["calibration"], content["spec"]
        calibration["usual"] = calibration.pop("normal_sq_diff")
        for old, new in FORMER_NAMES.items():
            spec[old] = spec.pop(new)
    test.update(self_test_changes)
    content["version"] = version
    rewrite(content, path)
    return path


def rewrite(content: dict[str, Any], path: Path) -> None:
    """The content of a model file at ``path``, with digests that fit."""
    path.write_bytes(forged(content, SECTIONS[content["version"]]))


@pytest.mark.parametrize("version", FORMER)
def test_a_file_of_a_former_format_is_converted(
    student: Path, tmp_path: Path, version: int
) -> None:
    shipped = read(student)
    converted = convert(former(student, tmp_path / "old.pt", version))
    write(converted, tmp_path / "new.pt")
    with (tmp_path / "new.pt").open("rb") as file:
        again = load(file, "new.pt")
    self_test(again)
    assert again.calibration == shipped.calibration
    assert again.test.scores == shipped.test.scores
    assert again.test.alerts == shipped.test.alerts
    assert again.provenance["converted_from"]["format"] == version


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("version", [3, 4, VERSION])
def test_a_group_of_coefficients_that_a_file_lacks_is_the_one_that_ships(
    student: Path, tmp_path: Path, version: int, group: str
) -> None:
    content = torch.load(former(student, tmp_path / "old.pt", version), weights_only=True)
    of_its_own = content["coefficients"]
    of_its_own["noise"]["poor_left"] = 0.25
    del of_its_own[group]
    rewrite(content, tmp_path / "old.pt")
    converted = convert(tmp_path / "old.pt").coefficients
    assert getattr(converted, group) == getattr(coefficients_of("full"), group)
    assert converted.noise.poor_left == (0.25 if group != "noise" else 0.0)


def test_a_group_that_ships_is_not_given_to_a_model_of_another_spec(
    student: Path, tmp_path: Path
) -> None:
    content = torch.load(former(student, tmp_path / "old.pt", 4), weights_only=True)
    del content["coefficients"]["vf"]
    content["spec"]["lowpass_hz"] = 30.0
    content["coefficients"]["fitted_to"]["lowpass_hz"] = 30.0
    rewrite(content, tmp_path / "old.pt")
    with pytest.raises(ArtifactError, match=r"old\.pt: coefficients: vf .* spec\.lowpass_hz"):
        convert(tmp_path / "old.pt")


@pytest.mark.parametrize("version", FORMER)
def test_a_file_of_a_former_format_is_read_by_this_one_only_converted(
    student: Path, tmp_path: Path, version: int
) -> None:
    with pytest.raises(ArtifactError, match=rf"format version {version}; .*beatgan-train convert"):
        read(former(student, tmp_path / "old.pt", version))


def test_a_file_of_format_2_that_gives_other_scores_is_refused(
    student: Path, tmp_path: Path
) -> None:
    test = torch.load(student, weights_only=True)["self_test"]
    scores = [each + 1.0 for each in test["scores"]]
    with pytest.raises(ArtifactError, match=r"old\.pt: self-test: \d% of its beats"):
        convert(former(student, tmp_path / "old.pt", 2, scores=scores))


def test_a_file_of_a_release_that_found_other_beats_is_converted(tmp_path: Path) -> None:
    shipped = read(SHIPPED)
    r_peaks = [*shipped.test.r_peaks[:-1], shipped.test.r_peaks[-1] + 1]
    write(replace(shipped, test=replace(shipped.test, r_peaks=tuple(r_peaks))), tmp_path / "a.pt")
    with pytest.raises(ArtifactError, match="self-test: R peak"):
        self_test(read(tmp_path / "a.pt"))
    converted = convert(tmp_path / "a.pt")
    self_test(converted)
    assert converted.test.r_peaks == shipped.test.r_peaks


def test_a_file_is_not_converted_whose_beats_are_not_found_again(tmp_path: Path) -> None:
    shipped = read(SHIPPED)
    others = tuple(each + 1 for each in shipped.test.r_peaks)
    write(replace(shipped, test=replace(shipped.test, r_peaks=others)), tmp_path / "a.pt")
    with pytest.raises(ArtifactError, match=r"a\.pt: self-test: \d% of its beats"):
        convert(tmp_path / "a.pt")
