"""What a receiver answers, and what it cannot make of us by answering anything else."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatgan_daemon.bridges.hl7.acknowledgement import MAX_BYTES, Verdict, read_acknowledgement

HEAD = b"MSH|^~\\&|EHR|H|BEATGAN||20231114||ACK^R40^ACK|1|P|2.6\r"


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (b"AA", Verdict.ACCEPTED),
        (b"CA", Verdict.ACCEPTED),
        (b"AE", Verdict.FAULT),
        (b"CE", Verdict.FAULT),
        (b"AR", Verdict.REFUSED),
        (b"CR", Verdict.REFUSED),
    ],
)
def test_the_six_codes(code: bytes, verdict: Verdict) -> None:
    answer = read_acknowledgement(HEAD + b"MSA|" + code + b"|7-x|no such bed\r", "7-x")
    assert answer == (verdict, code.decode(), "no such bed")


def test_other_separators_and_further_segments() -> None:
    block = b"MSH$*%!?$A$B$C$D$2023$$ACK*R40$1$P$2.6\rMSA$AA$7-x\rERR$$$207\r"
    assert read_acknowledgement(block, "7-x").verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (b"", "no HL7 message"),
        (b"hello", "no HL7 message"),
        (HEAD, "no HL7 message"),
        (HEAD + b"MSA|AA|8-x\r", "another message than 7-x"),
        (HEAD + b"MSA|AA\r", "another message than 7-x"),
        (HEAD + b"MSA|OK|7-x\r", "MSA-1 is none of"),
        (b"\xff\xfe" * 100, "no HL7 message"),
    ],
)
def test_what_is_no_answer(block: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_acknowledgement(block, "7-x")


def test_the_receivers_words_are_bounded_and_printable() -> None:
    words = b"\x1b[31m" + "é".encode() * 5_000
    text = read_acknowledgement(HEAD + b"MSA|AE|7-x|" + words + b"\r", "7-x").text
    assert len(text) <= 200
    assert text.isprintable()


@pytest.mark.parametrize("evil", [b"~", b"^&", b"|", b"\\", b"\rMSA|AA", b"MSH|", b"\x00"])
def test_an_answer_of_nothing_but_separators(evil: bytes) -> None:
    block = (b"MSH|^~\\&|" + evil * MAX_BYTES)[:MAX_BYTES]
    with pytest.raises(ValueError, match=r"no HL7 message|another message"):
        read_acknowledgement(block, "7-x")


@given(st.binary(max_size=400), st.sampled_from([b"", b"MSH|^~\\&|", HEAD, HEAD + b"MSA|"]))
def test_any_bytes_are_an_answer_or_not(garbage: bytes, head: bytes) -> None:
    with suppress(ValueError):
        read_acknowledgement(head + garbage, "7-x")
