"""The wire: what goes in comes out, and everything malformed has its own reason."""

import sys
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.errors import StreamError, UsageError
from beatgan.protocol import frame_header
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk

HEADER: dict[str, Any] = {
    "v": 1,
    "epoch": 1_700_000_000_000_000_000,
    "seq": 4,
    "first": 720,
    "t_ns": 1_700_000_002_000_000_000,
    "fs": 360.0,
    "leads": ["MLII", "V5"],
    "dtype": "<f4",
    "scale": 1.0,
    "offset": 0.0,
}
PAYLOAD = np.arange(6, dtype="<f4").tobytes()


def frame(payload: bytes = PAYLOAD, topic: bytes = b"ecg.bed-1", **header: Any) -> list[bytes]:
    return [topic, msgspec.msgpack.encode(HEADER | header), payload]


def test_a_frame_becomes_a_chunk() -> None:
    chunk = decode_frame(frame())
    assert (chunk.stream, chunk.epoch, chunk.seq) == ("bed-1", HEADER["epoch"], 4)
    assert (chunk.first, chunk.t_ns, chunk.fs) == (720, HEADER["t_ns"], 360.0)
    assert chunk.leads == ("MLII", "V5")
    assert chunk.samples.dtype == np.float32
    np.testing.assert_array_equal(chunk.samples, [[0, 1], [2, 3], [4, 5]])


def test_samples_have_memory_of_their_own() -> None:
    first, second = (decode_frame(frame()).samples for _ in range(2))
    first[:] = 7
    assert second[2, 1] == 5
    assert second.flags.c_contiguous


def test_millivolt_is_raw_minus_offset_times_scale() -> None:
    payload = np.array([[1024], [1224], [-32768]], "<i2").tobytes()
    chunk = decode_frame(frame(payload, leads=["II"], dtype="<i2", scale=0.005, offset=1024.0))
    np.testing.assert_array_equal(chunk.samples, np.array([[0], [1], [np.nan]], np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.1e6, -3e38])
def test_what_is_no_voltage_is_lost(value: float) -> None:
    payload = np.array([1, value, 2, 3], "<f4").tobytes()
    samples = decode_frame(frame(payload)).samples
    np.testing.assert_array_equal(samples, np.array([[1, np.nan], [2, 3]], np.float32))


@settings(max_examples=300)
@given(
    dtype=st.sampled_from(["<i2", "<f4"]),
    raw=st.binary(min_size=4, max_size=240).map(lambda some: some[: len(some) // 4 * 4]),
    scale=st.floats(allow_nan=False, allow_infinity=False).filter(bool) | st.sampled_from([1.0]),
    offset=st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1024.0]),
)
def test_any_bits_become_millivolt_in_double_precision(
    dtype: str, raw: bytes, scale: float, offset: float
) -> None:
    """Whatever short cuts decoding takes, it comes to this."""
    samples = np.frombuffer(raw, dtype)
    with np.errstate(all="ignore"):
        expected = (samples.astype(float) - offset) * scale
    expected[~(np.abs(expected) <= 1e6)] = np.nan
    if dtype == "<i2":
        expected[samples == -32768] = np.nan
    parts = frame(raw, leads=["II"], dtype=dtype, scale=scale, offset=offset)
    decoded = decode_frame(parts).samples[:, 0]
    np.testing.assert_array_equal(decoded, expected.astype(np.float32))


def test_names_without_end_are_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_header, "_MAX_TOPICS", 10)
    monkeypatch.setattr(frame_header, "_MAX_LEAD_SETS", 10)
    for k in range(100):
        chunk = decode_frame(frame(topic=b"ecg.bed-%d" % k, leads=[f"lead {k}", "II"]))
        assert (chunk.stream, chunk.leads) == (f"bed-{k}", (f"lead {k}", "II"))
    assert len(frame_header._topics) <= 10
    assert len(frame_header._leads) <= 10


def test_a_signalling_nan_is_lost_without_a_word() -> None:
    payload = (0x7FA00000).to_bytes(4, "little") * 2
    assert np.isnan(decode_frame(frame(payload)).samples).all()


def test_integers_pass_for_numbers_and_unknown_keys_for_nothing() -> None:
    chunk = decode_frame(frame(fs=360, scale=2, offset=0, vendor={"ward": [1, {"x": None}]}))
    assert chunk.fs == 360.0
    assert chunk.samples[0, 1] == 2


@pytest.mark.parametrize(
    "header",
    [
        {"fs": 50.0},
        {"fs": 2000.0},
        {"first": 2**53 - 1},
        {"seq": 0, "first": 0},
        {"epoch": -(2**63), "t_ns": -(2**63)},
        {"epoch": 2**63 - 1},
        {"t_ns": 2**63 - 1 - 5_555_556},
        {"scale": -1.0},
        {"leads": ["a"] * 2},
        {"leads": ["Ableitung Ⅱ", "x" * 64]},
    ],
)
def test_the_limits_themselves_are_allowed(header: dict[str, Any]) -> None:
    decode_frame(frame(**header))


@pytest.mark.parametrize(("leads", "samples"), [(16, 65536), (1, 65536), (16, 1)])
def test_the_largest_and_smallest_payloads_are_allowed(leads: int, samples: int) -> None:
    chunk = decode_frame(frame(bytes(4 * leads * samples), leads=["x"] * leads))
    assert chunk.samples.shape == (samples, leads)


def frame_with(key: str, value: object) -> list[bytes]:
    return [b"ecg.x", msgspec.msgpack.encode(HEADER | {key: value}), PAYLOAD]


def frame_without(key: str) -> list[bytes]:
    header = {name: value for name, value in HEADER.items() if name != key}
    return [b"ecg.x", msgspec.msgpack.encode(header), PAYLOAD]


def raw(header: bytes) -> list[bytes]:
    return [b"ecg.x", header, PAYLOAD]


MALFORMED: list[tuple[str, list[bytes], str]] = [
    ("parts", [], "3 parts"),
    ("parts", [b"ecg.x", b""], "got 2"),
    ("parts", [*frame(), b""], "got 4"),
    ("topic", frame(topic=b""), "ecg."),
    ("topic", frame(topic=b"ecg."), "1-64"),
    ("topic", frame(topic=b"beat.x"), "beat.x"),
    ("topic", frame(topic=b"ecg.a b"), "A-Z"),
    ("topic", frame(topic=b"ecg.a\n"), "A-Z"),
    ("topic", frame(topic=b"ecg." + b"x" * 65), "1-64"),
    ("topic", frame(topic="ecg.ü".encode()), "A-Z"),
    ("header", raw(b""), "no MessagePack map"),
    ("header", raw(b"\xc1"), "no MessagePack map"),
    ("header", raw(msgspec.msgpack.encode([1])), "no MessagePack map with string keys but [1]"),
    ("header", raw(frame()[1][:-1]), "truncated"),
    ("header", raw(frame()[1] + b"\x00"), "trailing"),
    ("header", raw(b"\x91" * 8000), "no MessagePack map"),
    ("header", raw(bytes(9000)), "at most 8192 bytes"),
    ("header", raw(msgspec.msgpack.encode(HEADER | {1: 2})), "string keys"),
    ("version", frame(v=2), "speaks version 1, got v = 2"),
    ("version", frame(v=0, fs="?"), "got v = 0"),
    ("version", raw(msgspec.msgpack.encode({"v": 7})), "got v = 7"),
    *(("key", frame_without(key), f"lacks {key}") for key in HEADER),
    *(("type", frame_with(key, None), f"{key} must be") for key in HEADER),
    ("type", frame(first=1.5), "first must be an integer"),
    ("type", frame(v=True), "v must be an integer"),
    ("type", frame(fs="360"), "fs must be a number"),
    ("type", frame(leads="MLII"), "leads must be a list of strings"),
    ("type", frame(leads=["MLII", 5]), "leads must be a list of strings"),
    ("range", frame(seq=-1), "seq must be"),
    ("range", frame(first=-1), "first must be"),
    ("range", frame(first=2**53), "first must be"),
    ("range", frame(epoch=2**63), "epoch must be"),
    ("range", frame(t_ns=2**63), "t_ns must be"),
    ("range", frame(t_ns=2**63 - 1), "t_ns must leave room for the times of all 3 samples"),
    ("range", frame(fs=49.9), "fs must be within 50"),
    ("range", frame(fs=2000.1), "fs must be"),
    ("range", frame(fs=float("nan")), "fs must be"),
    ("range", frame(fs=float("inf")), "fs must be"),
    ("range", frame(scale=0.0), "scale must be finite and not 0"),
    ("range", frame(scale=float("nan")), "scale must be"),
    ("range", frame(offset=float("inf")), "offset must be finite"),
    ("dtype", frame(dtype="<f8"), "<i2 or <f4, got '<f8'"),
    ("dtype", frame(dtype=">i2"), "<i2 or <f4"),
    ("leads", frame(b"", leads=[]), "1-16 leads, got 0"),
    ("leads", frame(leads=["x"] * 17), "got 17"),
    ("leads", frame(leads=["MLII", ""]), "1-64 printable"),
    ("leads", frame(leads=["MLII", "x" * 65]), "1-64 printable"),
    ("leads", frame(leads=["MLII", "\x1b[2J"]), "printable"),
    ("payload", frame(b""), "got 0 bytes"),
    ("payload", frame(PAYLOAD[:-1]), "8 bytes (2 leads, <f4), got 23 bytes"),
    ("payload", frame(PAYLOAD[:-4]), "got 20 bytes"),
    ("payload", frame(bytes(8 * 65537)), "1-65536 samples"),
]


@pytest.mark.parametrize(("reason", "parts", "text"), MALFORMED)
def test_every_malformed_kind_has_its_reason(reason: str, parts: list[bytes], text: str) -> None:
    with pytest.raises(StreamError) as caught:
        decode_frame(parts)
    assert caught.value.reason == reason
    assert text in str(caught.value)
    assert len(str(caught.value)) < 400


def test_refusals_stay_short_however_long_the_nonsense() -> None:
    with pytest.raises(StreamError) as caught:
        decode_frame(frame(dtype="x" * 8000))
    assert len(str(caught.value)) < 200


def chunk_of(samples: list[list[float]]) -> Chunk:
    array = np.array(samples, np.float32)
    leads = tuple(f"lead {i}" for i in range(array.shape[1]))
    return Chunk("a:b_c-1", -5, 1, 7, 9, 250.0, leads, array)


def test_floats_survive_the_wire_to_the_bit() -> None:
    samples = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    samples[3, 1] = np.nan
    chunk = chunk_of(samples.tolist())
    back = decode_frame(encode_frame(chunk))
    np.testing.assert_array_equal(back.samples, samples)
    assert (back.stream, back.epoch, back.seq, back.first, back.t_ns, back.fs, back.leads) == (
        *("a:b_c-1", -5, 1, 7, 9, 250.0),
        chunk.leads,
    )


def test_integers_survive_the_wire_to_half_a_unit() -> None:
    samples = [[0.1234, -1.5], [float("nan"), 32.0]]
    back = decode_frame(encode_frame(chunk_of(samples), "<i2", scale=0.001, offset=5.0))
    np.testing.assert_allclose(back.samples, samples, atol=0.0005, rtol=0)


@pytest.mark.parametrize(
    ("dtype", "value", "text"), [("<i2", 40.0, "40.0 mV does not fit"), ("<f8", 1.0, "dtype")]
)
def test_what_does_not_fit_is_refused_not_clipped(dtype: str, value: float, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        encode_frame(chunk_of([[value]]), dtype, scale=0.001)


def test_what_is_remembered_of_lead_names_is_little() -> None:
    longest = sys.getsizeof("\N{ANATOMICAL HEART}" * 64) * 16
    assert longest * frame_header._MAX_LEAD_SETS < 30 * 2**20
