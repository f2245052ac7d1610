"""The shipped student: in the package, and at the place where a checkout has its models."""

from pathlib import Path

from beatgan.model.artifact import load
from beatgan.model.shipped import SHIPPED

ROOT = Path(__file__).parents[3]


def test_it_is_a_student() -> None:
    with SHIPPED.open("rb") as file:
        assert load(file, str(SHIPPED)).kind == "student"


def test_a_checkout_has_one_copy_of_it() -> None:
    link = ROOT / "models" / "student.pt"
    assert link.is_symlink()
    assert link.resolve() == SHIPPED.resolve()
