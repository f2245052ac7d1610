"""Torch's container without torch: what torch wrote is read alike, and all else is refused."""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch

from beatgan.errors import ArtifactError
from beatgan.model import torch_file
from beatgan.model.torch_file import DEEPEST, read


def saved(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def packed(
    pickled: bytes,
    records: Mapping[str, bytes] = MappingProxyType({}),
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, content in records.items():
            archive.writestr(f"archive/{name}", content)
    return file.getvalue()


def of(content: bytes) -> Any:
    return read(io.BytesIO(content))


PLAIN: dict[str, Any] = {
    "none": None,
    "flags": [True, False],
    "whole": [0, 1, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**40, -(2**200)],
    "real": [0.0, -1.5, 1e300, float("inf")],
    "texts": ["", "a", "ÄÖ\u4e2d", "x" * 300],
    "nested": {"a": {"b": [[1, 2], [3]], "c": {}}, "d": [], "e": ()},
    "tuples": ((1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "same": ["twice", "twice"],
    "many": {str(number): number for number in range(3000)},
    "long": list(range(3000)),
}


def test_plain_values_are_read_as_torch_reads_them() -> None:
    assert of(saved(PLAIN)) == PLAIN


TENSORS = {
    "float32": torch.arange(24.0).reshape(2, 3, 4),
    "float64": torch.arange(4.0).double(),
    "int64": torch.tensor(7),
    "int32": torch.arange(5, dtype=torch.int32),
    "int16": torch.arange(5, dtype=torch.int16),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "every other": torch.arange(10.0)[1::2],
    "empty": torch.zeros(0, 3),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_are_read_as_arrays_that_nobody_writes(name: str) -> None:
    tensor = TENSORS[name]
    found = of(saved({"x": tensor}))["x"]
    assert isinstance(found, np.ndarray)
    assert found.dtype == tensor.numpy().dtype
    assert np.array_equal(found, tensor.numpy())
    if found.size:
        with pytest.raises(ValueError, match="read-only"):
            found += 1


def test_the_shipped_model_is_read_as_torch_reads_it() -> None:
    path = Path(__file__).parents[3] / "models" / "student.pt"
    content = path.read_bytes()
    assert_same(of(content), torch.load(io.BytesIO(content), weights_only=True))


def assert_same(ours: Any, wanted: Any) -> None:
    if isinstance(wanted, torch.Tensor):
        assert ours.dtype == wanted.numpy().dtype
        assert np.array_equal(ours, wanted.numpy())
        return
    assert type(ours) is type(wanted)
    if isinstance(wanted, dict):
        assert list(ours) == list(wanted)
        for key in wanted:
            assert_same(ours[key], wanted[key])
    elif isinstance(wanted, list):
        assert len(ours) == len(wanted)
        for one, other in zip(ours, wanted, strict=True):
            assert_same(one, other)
    else:
        assert ours == wanted


def tensor_pickle(storage: str, offset: int, shape: Any, strides: Any, count: int = 4) -> bytes:
    """A pickle of one tensor whose record has the name ``storage``."""
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(("
        + protocol_2("storage")
        + b"ctorch\nFloatStorage\n"
        + b"".join(protocol_2(each) for each in (storage, "cpu", count))
        + b"tQ"
        + b"".join(protocol_2(each) for each in (offset, shape, strides, False))
        + b"ccollections\nOrderedDict\n)RtR."
    )


def protocol_2(value: Any) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


NUMBERS = np.arange(4, dtype="<f4").tobytes()


def test_a_tensor_written_by_hand_is_read() -> None:
    found = of(packed(tensor_pickle("0", 1, (3,), (1,)), {"data/0": NUMBERS}))
    assert found.tolist() == [1.0, 2.0, 3.0]


OUTSIDE: list[tuple[int, Any, Any, int]] = [
    (2, (3,), (1,), 4),  # behind the end
    (-1, (3,), (1,), 4),
    (0, (3,), (2,), 4),
    (3, (3,), (-1,), 4),
    (0, (2**40,), (0,), 4),  # one number as many
    (0, (2, 2), (1,), 4),
    (0, (-2,), (1,), 4),
    (0, (2.0,), (1,), 4),
    (True, (2,), (1,), 4),
    (0, (2,), (1,), 5),  # the record has fewer
    (0, (2,), (1,), 3),
    (2**70, (1,), (1,), 4),
]


@pytest.mark.parametrize(("offset", "shape", "strides", "count"), OUTSIDE)
def test_a_tensor_that_is_not_within_its_record_is_refused(
    offset: int, shape: Any, strides: Any, count: int
) -> None:
    content = packed(tensor_pickle("0", offset, shape, strides, count), {"data/0": NUMBERS})
    with pytest.raises(ArtifactError, match=r"^damaged: "):
        of(content)


def test_a_record_is_one_tensors() -> None:
    shared = torch.arange(4.0)
    with pytest.raises(ArtifactError, match=r"^damaged: "):
        of(saved([shared[:2], shared[2:]]))
    with pytest.raises(ArtifactError, match=r"^damaged: "):
        of(packed(tensor_pickle("1", 0, (4,), (1,)), {"data/0": NUMBERS}))


def deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def laughs(doublings: int) -> Any:
    """As many values as 2 ** doublings, in few bytes."""
    value: Any = ["ha"]
    for _ in range(doublings):
        value = [value, value]
    return value


def in_itself() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


REFUSED = {
    "too deep": pickle.dumps(deep(DEEPEST + 1), 2),
    "far too deep": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "a list in many places": pickle.dumps(laughs(60), 2),
    "a list in itself": pickle.dumps(in_itself(), 2),
    "another protocol": pickle.dumps({"a": 1}, 4),
    "keys that are no texts": pickle.dumps({1: 2}, 2),
    "a type as a value": b"\x80\x02ctorch\nFloatStorage\n.",
    "a mark as a value": b"\x80\x02(.",
    "no end": b"\x80\x02K",
    "a text without end": b"\x80\x02X\xff\xff\xff\xffabc.",
    "nothing": b"\x80\x02.",
    "two values": b"\x80\x02K\x01K\x02.",
    "nothing below": b"\x80\x02a.",
    "no mark": b"\x80\x02t.",
    "nothing remembered": b"\x80\x02h\x07.",
    "an item of a number": b"\x80\x02K\x01K\x02a.",
    "half an item": b"\x80\x02}(K\x01u.",
    "a reference to nothing": b"\x80\x02K\x01Q.",
    "a call of a number": b"\x80\x02K\x01)R.",
    "a tensor of nothing": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_pickle_of_anything_else_is_refused(name: str) -> None:
    with pytest.raises(ArtifactError, match=r"^damaged: "):
        of(packed(REFUSED[name]))


CODE = {
    "a function": b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.",
    "a type": pickle.dumps(Path("/"), 2),
    "set": pickle.dumps({1, 2}, 2),
    "state": pickle.dumps(OrderedDict(a=1), 2).replace(b".", b"}b."),
    "an object": b"\x80\x02ctorch\nFloatStorage\n)\x81.",
}


@pytest.mark.parametrize("name", CODE)
def test_code_is_refused(name: str) -> None:
    with pytest.raises(ArtifactError, match=r"^(not a beatgan model: it holds pickled code|dam)"):
        of(packed(CODE[name]))


PICKLED = pickle.dumps({"a": 1}, 2)


def test_a_compressed_record_is_refused() -> None:
    assert of(packed(PICKLED)) == {"a": 1}
    zeros = {"data/0": bytes(10**7)}
    with pytest.raises(ArtifactError, match=r"^damaged: .*compressed"):
        of(packed(PICKLED, zeros, zipfile.ZIP_DEFLATED))


def test_numbers_of_another_byte_order_are_refused() -> None:
    assert of(packed(PICKLED, {"byteorder": b"little"})) == {"a": 1}
    with pytest.raises(ArtifactError, match="little-endian"):
        of(packed(PICKLED, {"byteorder": b"big"}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_records_of_one_name_are_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", PICKLED)
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 2}, 2))
    with pytest.raises(ArtifactError, match="there twice"):
        of(file.getvalue())


def test_a_file_that_is_too_large_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_file, "LARGEST", 2 << 20)
    with pytest.raises(ArtifactError, match="larger than 2 MiB"):
        of(saved(torch.zeros(1 << 20)))


@pytest.mark.parametrize("seed", range(200))
def test_damage_of_a_pickle_is_refused_or_read_as_plain_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pickled = bytearray(pickle.dumps(PLAIN, 2)[:3000] + b"." * (seed % 2))
    for _ in range(rng.integers(1, 6)):
        pickled[rng.integers(2, len(pickled))] = rng.integers(256)
    try:
        of(packed(bytes(pickled)))
    except ArtifactError:
        return  # and nothing else is raised
