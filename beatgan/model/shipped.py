"""The shipped student: the model that is used where no other is named."""

from pathlib import Path
from typing import Final

SHIPPED: Final = Path(__file__).with_name("student.pt")
