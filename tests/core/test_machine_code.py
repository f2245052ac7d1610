"""Compiled code that is loaded does what it did, alone and inside what is compiled around it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Run twice, in processes of their own: what the first compiles, the second loads.
PROGRAM = """
import sys

import numba
import numpy as np
from numba.core import event

from beatgan.jit import compiled
from program import roots, total, wrong

if sys.argv[1] == "second":
    assert "numba.np.arraymath" not in sys.modules
names = []
class Listener(event.Listener):
    def on_start(self, event):
        names.append(event.data["dispatcher"].py_func.__name__)
    def on_end(self, event):
        pass
event.register("numba:compile", Listener())
print(roots(np.array([4.0, 9.0])), total(np.array([3.0, 1.0])))
try:
    wrong(1)
except ValueError as error:
    print(error)
print([name for name in names if name in ("roots", "total", "wrong")])
print("numba.np.arraymath" in sys.modules)

@numba.njit
def around(x):
    return roots(x).sum()

print(around(np.array([16.0])), "around" in names, roots(np.array([1.0])))
"""
FUNCTIONS = """
import numpy as np

from beatgan.jit import compiled

@compiled
def roots(x):
    found = np.empty(x.size)
    for i in range(x.size):
        found[i] = np.sqrt(x[i])
    return found

@compiled
def total(x):
    return np.sort(x).sum() + np.median(x)

@compiled
def wrong(x):
    if x:
        raise ValueError("as it should")
    return x
"""


def test_what_one_process_compiles_another_runs_without_a_compiler(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(FUNCTIONS)

    def run(which: str) -> list[str]:
        places = os.pathsep.join([str(ROOT), str(tmp_path)])
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, which],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": places},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    results = ["[2. 3.] 6.0", "as it should"]
    last = "4.0 True [1.]"
    assert run("first") == [*results, "['roots', 'total', 'wrong']", "True", last]
    assert run("second") == [*results, "[]", "False", last]
