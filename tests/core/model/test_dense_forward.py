"""The student's own forward pass: what torch gives, in the same bits wherever and with whatever."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beatgan.model.bounded import BOUND, bounded
from beatgan.model.compiled_networks import dense
from beatgan.model.dense_forward import Dense, scaled_tanh
from beatgan.model.inference import forward
from beatgan.model.torch_modules.conversion import network_of
from beatgan.model.torch_modules.forward import run
from beatgan.model.torch_modules.networks import Autoencoder, Student
from beatgan.types import Floats

torch.manual_seed(0)
STUDENT = Student(amplitude=10.0).eval()
RNG = np.random.default_rng(0)
WINDOWS = 3 * RNG.standard_normal((300, 320)).astype(np.float32)
FULL = run(STUDENT, WINDOWS)


def by_torch(network: Autoencoder, windows: Floats) -> Floats:
    with torch.inference_mode():
        return bounded(network(torch.from_numpy(windows)).numpy())


def of_random(sizes: list[int], seed: int) -> Dense:
    rng = np.random.default_rng(seed)
    layers = [
        (
            rng.standard_normal((after, before)).astype(np.float32) / np.float32(4),
            rng.standard_normal(after).astype(np.float32),
            0.2,
        )
        for before, after in pairwise(sizes)
    ]
    return Dense.of([*layers[:-1], (*layers[-1][:2], 1.0)])


def one_after_the_other(sizes: list[int], seed: int, window: Floats) -> Floats:
    """The law, word by word, for layers made by `of_random`."""
    rng = np.random.default_rng(seed)
    values = window
    for before, after in pairwise(sizes):
        weights = rng.standard_normal((after, before)).astype(np.float32) / np.float32(4)
        sums = rng.standard_normal(after).astype(np.float32)
        for k in range(before):
            sums = sums + values[k] * weights[:, k]
        values = np.where(sums > 0, sums, sums * np.float32(0.2)).astype(np.float32)
    return sums


@pytest.mark.parametrize("count", [*range(71), 100, 128, 255, 299])
def test_a_rows_bits_do_not_depend_on_its_batch(count: int) -> None:
    assert np.array_equal(run(STUDENT, WINDOWS[:count]), FULL[:count])
    assert np.array_equal(run(STUDENT, WINDOWS[300 - count :]), FULL[300 - count :])


def test_it_gives_what_torch_gives() -> None:
    assert np.abs(FULL - by_torch(STUDENT, WINDOWS)).max() < 1e-5


# Widths that no tile, no step and no vector divides.
@pytest.mark.parametrize("sizes", [[32, 7, 3, 2, 3, 7, 32], [96, 65, 5, 96], [321, 130, 321]])
def test_sums_are_taken_in_the_order_of_the_inputs(sizes: list[int]) -> None:
    network = of_random(sizes, 1)
    windows = RNG.standard_normal((3, sizes[0])).astype(np.float32)
    found = network(windows)
    for window, row in zip(windows, found, strict=True):
        assert np.array_equal(row, one_after_the_other(sizes, 1, window))


def test_the_tanh_is_right_to_a_few_units_in_the_last_place() -> None:
    low, high = (int(np.float32(edge).view(np.int32)) for edge in (1e-30, 20.0))
    positive = np.arange(low, high, 997, dtype=np.int32).view(np.float32)
    x = np.concatenate([-positive[::-1], np.zeros(1, np.float32), positive])
    found = np.empty_like(x)
    scaled_tanh(x, np.float32(1), found)
    wanted = np.tanh(x.astype(np.float64))
    unit = np.spacing(np.abs(wanted).astype(np.float32))
    assert (np.abs(found - wanted) / unit).max() < 6
    assert np.abs(found).max() <= 1
    assert np.array_equal(found, -found[::-1])  # odd


def test_the_tanh_of_what_is_no_number() -> None:
    found = np.empty(3, np.float32)
    scaled_tanh(np.array([np.nan, np.inf, -np.inf], np.float32), np.float32(1), found)
    assert np.isnan(found[0])
    assert np.abs(found[1:] - [1, -1]).max() < 1e-6


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e30, -1e30])
def test_a_spoilt_window_gives_what_torch_gives_and_spoils_no_other(value: float) -> None:
    spoilt = WINDOWS[:6].copy()
    spoilt[2, 150] = value
    found = run(STUDENT, spoilt)
    assert np.abs(found - by_torch(STUDENT, spoilt)).max() < 1e-5
    assert np.abs(found).max() <= BOUND
    others = [0, 1, 3, 4, 5]
    assert np.array_equal(found[others], FULL[others])


def test_any_layout_of_windows_is_read_and_none_is_written() -> None:
    apart = np.repeat(WINDOWS[:9], 2, axis=1)[:, ::2]
    before = apart.copy()
    assert np.array_equal(run(STUDENT, apart), FULL[:9])
    assert np.array_equal(apart, before)


def test_weights_are_those_of_the_call() -> None:
    torch.manual_seed(1)
    student = Student()
    ready, before = forward(network_of(student), 320), run(student, WINDOWS)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(1.5)
    assert not np.array_equal(run(student, WINDOWS), before)
    assert np.abs(run(student, WINDOWS) - by_torch(student, WINDOWS)).max() < 1e-5
    assert np.array_equal(ready(WINDOWS), before)  # a copy, not half of the one, half of the other
    assert np.array_equal(forward(network_of(student), 320)(WINDOWS), run(student, WINDOWS))


def test_slopes_are_the_networks() -> None:
    network = network_of(STUDENT)
    for part in ("encoder", "decoder"):
        assert dense(network, part).slopes.tolist() == pytest.approx([0.2, 0.2, 1])


HASHES = """
import json, torch
import numpy as np
from hashlib import sha256
from beatgan.model.torch_modules.networks import Generator, Student
from beatgan.model.torch_modules.forward import run

def hashes(network, sizes):
    rng = np.random.default_rng(0)  # not torch's, which may differ with the processor
    for parameter in network.parameters():
        values = rng.standard_normal(tuple(parameter.shape)).astype("f4") / 10
        parameter.data = torch.from_numpy(values)
    windows = rng.standard_normal((70, 320)).astype("f4")
    cut = [[run(network, windows[a : a + n]) for a in range(0, 70, n)] for n in sizes]
    return [sha256(np.concatenate(parts).tobytes()).hexdigest() for parts in cut]

student = hashes(Student(amplitude=10.0).eval(), [1, 2, 5, 8, 9, 16, 17, 64, 70])
teacher = hashes(Generator(width=16, amplitude=10.0).eval(), [1, 5, 8, 16, 17, 70])
print(json.dumps({"student": student, "teacher": teacher}))
"""
KERNELS = {
    "as it is": {},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
}
PLAIN = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}  # compiled for any processor


def started(**settings: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **settings, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", HASHES], stdout=subprocess.PIPE, env=environment, text=True
    )


def result_of(process: subprocess.Popen[str]) -> Any:
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(printed)


def test_bits_depend_on_no_batch_no_thread_and_the_students_on_no_processor(tmp_path: Path) -> None:
    students: set[str] = set()
    for name, kernels in KERNELS.items():
        plain = {**PLAIN, "NUMBA_CACHE_DIR": str(tmp_path)} if name == "SSE4.1" else {}
        pair = [started(OMP_NUM_THREADS=n, **kernels, **plain) for n in "12"]
        found = [result_of(process) for process in pair]
        students |= {each for one in found for each in one["student"]}
        assert len({each for one in found for each in one["teacher"]}) == 1, name
    assert len(students) == 1
