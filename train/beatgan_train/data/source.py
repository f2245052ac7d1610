"""What a network is made of: the preprocessing mode, the protocol, the records."""

from dataclasses import dataclass, replace
from typing import Literal

from beatgan.spec import PreprocessSpec

Mode = Literal["full", "beat"]
Protocol = Literal["beatgan", "interpatient", "own"]


@dataclass(frozen=True, slots=True)
class Source:
    """What a network was made of. ``records`` are all that it was fitted to or chosen by."""

    protocol: Protocol
    fold: int
    mode: Mode
    records: tuple[str, ...]
    held_out: tuple[str, ...]  # those of them that it was not fitted to, only chosen by
    beats: int  # normal beats fitted to
    split_seed: int = 0  # of the division into folds: the same for all, so that folds agree
    database: str = "MIT-BIH Arrhythmia Database"


def spec_of(mode: Mode) -> PreprocessSpec:
    """How each mode sees a beat.

    ``full``: against the patient's own reference. ``beat``: as BeatGAN does, the beat alone,
    between 3 and 45 Hz, each scaled to its own range and scored on the whole window.
    """
    plain = PreprocessSpec()
    if mode == "full":
        return plain
    return replace(
        plain,
        highpass_hz=3.0,
        lowpass_hz=45.0,
        align=0,
        scale="beat",
        score_before=plain.before,
        score_after=plain.after,
        second_lead=0.0,
    )
