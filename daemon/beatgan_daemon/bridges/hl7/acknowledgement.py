"""What a receiver answers to an HL7 v2 message: accepted, try again, refused, or no answer."""

from enum import StrEnum
from typing import Final, NamedTuple

MAX_BYTES: Final = 65_536  # of an answer
_MAX_TEXT = 200  # characters of its text that are kept


class Verdict(StrEnum):
    """Of a receiver about one message."""

    ACCEPTED = "accepted"  # AA, CA
    FAULT = "fault"  # AE, CE: it could not process it; it may the next time
    REFUSED = "refused"  # AR, CR: it never will


class Acknowledgement(NamedTuple):
    """``code`` is MSA-1; ``text`` the receiver's own words, printable and bounded."""

    verdict: Verdict
    code: str
    text: str


_VERDICTS: Final = {
    "AA": Verdict.ACCEPTED,
    "CA": Verdict.ACCEPTED,
    "AE": Verdict.FAULT,
    "CE": Verdict.FAULT,
    "AR": Verdict.REFUSED,
    "CR": Verdict.REFUSED,
}


def read_acknowledgement(block: bytes, control_id: str) -> Acknowledgement:
    """The answer to the message of this ``control_id``.

    Raises ValueError, in words that quote nothing of it, where it is no such answer.
    """
    import hl7

    try:
        message = hl7.parse(block.decode("utf-8", "replace"))
        code, answered, text = _msa(message.segment("MSA"))
    except (hl7.HL7Exception, LookupError, ValueError, AssertionError):
        raise ValueError("no HL7 message with a segment MSA") from None
    if answered != control_id:
        raise ValueError(f"it is about another message than {control_id}")
    if code not in _VERDICTS:
        raise ValueError(f"MSA-1 is none of {', '.join(_VERDICTS)}")
    return Acknowledgement(_VERDICTS[code], code, text)


def _msa(segment: "list[object]") -> tuple[str, str, str]:
    """MSA-1, MSA-2 and MSA-3."""
    fields = [str(each).strip() for each in segment[1:4]] + [""] * 3
    text = "".join(each if each.isprintable() else " " for each in fields[2][:_MAX_TEXT])
    return fields[0], fields[1], text
