import subprocess
import sys

import pytest

from beatgan_train.__main__ import USAGE

WITHOUT = """
import sys
sys.modules["{name}"] = None
from beatgan_train.__main__ import main
main()
"""


@pytest.mark.parametrize("name", ["matplotlib", "sklearn"])
def test_a_missing_extra_is_named(name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(name=name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == USAGE
    assert f"needs {name}: pip install 'beatgan[train]'" in ended.stderr
