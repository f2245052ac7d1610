"""A model file of format 2 becomes one of this format, and proves what it was written with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from beatgan.errors import ArtifactError
from beatgan.model.artifact import leaf_digests, load, self_test
from beatgan.spec import FORMER_NAMES
from beatgan_train.training.model_file import convert, read, write

SHIPPED = Path(__file__).parents[3] / "models" / "student.pt"
PARTS = ("kind", "spec", "network", "calibration", "provenance", "self_test")


def format_2(path: Path, **self_test_changes: Any) -> Path:
    """The shipped student as format 2 would have stored it."""
    content = torch.load(SHIPPED, weights_only=True)
    test = content["self_test"]
    test["peaks"] = test.pop("r_peaks")
    del test["alerts"], content["coefficients"]
    test.update(self_test_changes)
    calibration, spec = content["calibration"], content["spec"]
    calibration["usual"] = calibration.pop("normal_sq_diff")
    for old, new in FORMER_NAMES.items():
        spec[old] = spec.pop(new)
    content["version"] = 2
    content["digests"] = leaf_digests({part: content[part] for part in PARTS})
    torch.save(content, path)
    return path


def test_a_file_of_format_2_is_converted(tmp_path: Path) -> None:
    shipped = read(SHIPPED)
    converted = convert(format_2(tmp_path / "old.pt"))
    write(converted, tmp_path / "new.pt")
    with (tmp_path / "new.pt").open("rb") as file:
        again = load(file, "new.pt")
    self_test(again)
    assert again.calibration == shipped.calibration
    assert again.test.scores == shipped.test.scores
    assert again.test.alerts == shipped.test.alerts
    assert again.provenance["converted_from"]["format"] == 2


def test_a_file_of_format_2_that_gives_other_scores_is_refused(tmp_path: Path) -> None:
    test = torch.load(SHIPPED, weights_only=True)["self_test"]
    scores = [each + 1.0 for each in test["scores"]]
    with pytest.raises(ArtifactError, match=r"old\.pt: self-test: \d% of its beats"):
        convert(format_2(tmp_path / "old.pt", scores=scores))


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
