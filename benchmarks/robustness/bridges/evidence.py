"""Whether nothing was lost without being counted, nothing came twice, and beats are as offline."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from beatgan.alarms.limits import AlarmLimits
from beatgan.model.loading import Loaded
from beatgan.playback.offline import score_recordings
from beatgan.protocol.messages import BeatMessage, encode_json
from beatgan.records import Recording
from beatgan.types import Chunk, Floats
from benchmarks.robustness.bridges.counterpart import FS, LEAD
from benchmarks.robustness.bridges.ecg import place_of

OF_THE_SOURCE = ("v", "type", "stream", "epoch", "time_ns")  # of a beat: not of its signal


def arrived(frames: Sequence[Chunk]) -> tuple[Floats, int]:
    """The signal as the daemon has it, NaN where it has none, and how many samples it has."""
    begin = frames[0].first
    end = max(chunk.first + len(chunk.samples) for chunk in frames)
    signal = np.full(end - begin, np.nan, np.float32)
    there = np.zeros(end - begin, bool)
    for chunk in frames:
        place = slice(chunk.first - begin, chunk.first - begin + len(chunk.samples))
        signal[place] = chunk.samples[:, 0]
        there[place] = True
    return signal, int(there.sum())


def conservation(stream: str, frames: Sequence[Chunk], sent: Floats) -> tuple[list[str], str]:
    """Faults, and what there is to say: each sample lies where the device had it."""
    if len({chunk.epoch for chunk in frames}) != 1:
        return [f"{stream}: began anew"], ""
    signal, there = arrived(frames)
    try:
        start = place_of(frames[0].samples[:, 0], sent)
    except ValueError as error:
        return [f"{stream}: its first frame is {error}"], ""
    same = sent[start : start + len(signal)]
    wrong = int((np.isfinite(signal) & (signal != same)).sum()) if len(same) == len(signal) else -1
    faults = [f"{stream}: {wrong} samples lie where the device had others"] if wrong else []
    missing = len(signal) - there
    return faults, f"{stream}: {len(signal)} samples = {there} at the daemon + {missing} missing"


def alerts(got: Sequence[bytes], journal: Sequence[bytes]) -> tuple[list[str], str]:
    """Faults, and what there is to say: the journal's, each once and in order."""
    faults = []
    if list(got) != list(journal):
        place = next(
            (n for n, (a, b) in enumerate(zip(got, journal, strict=False)) if a != b),
            min(len(got), len(journal)),
        )
        twice = len(got) - len(set(got))
        faults.append(
            f"alerts: {len(got)} came, {len(journal)} are journaled, {twice} came twice; they "
            f"differ from the {place + 1}th on"
        )
    return faults, f"{len(got)} alerts of {len(journal)}, each once and in order"


def beats(
    stream: str, frames: Sequence[Chunk], live: Iterable[bytes], model: Loaded
) -> tuple[list[str], str]:
    """Faults, and what there is to say: each beat as `score` has it of the same signal."""
    signal, _ = arrived(frames)
    recording = Recording(stream, FS, (LEAD,), signal[:, np.newaxis])
    messages = score_recordings(
        [recording], model.spec, model.coefficients, model.scorer, AlarmLimits()
    )
    offline = [_plain(encode_json(each)) for each in messages if isinstance(each, BeatMessage)]
    begin = frames[0].first
    online = [_plain(body, begin) for body in live]
    known = offline[: len(online)]
    same = sum(a == b for a, b in zip(online, known, strict=False))
    faults = []
    if same != len(online) or len(offline) - len(online) > 2:  # the last may still be on its way
        faults.append(f"{stream}: {same} of {len(online)} beats are as the {len(offline)} offline")
    return faults, f"{stream}: {len(online)} beats, all as offline"


def _plain(body: bytes, begin: int = 0) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(body)
    message["sample"] -= begin
    return {key: each for key, each in message.items() if key not in OF_THE_SOURCE}
