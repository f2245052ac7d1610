import subprocess
import sys

from beatgan_train.__main__ import USAGE

WITHOUT = """
import sys
sys.modules["matplotlib"] = None
from beatgan_train.__main__ import main
main()
"""


def test_a_missing_extra_is_named() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False
    )
    assert ended.returncode == USAGE
    assert "needs matplotlib: pip install 'beatgan[train]'" in ended.stderr
