"""How many abnormal beats stay in recordings without annotations: own_recordings.py's rule, on DS1.

For several limits: the share of normal beats that is kept, the share of abnormal ones among the
beats kept, and what is left of each class. Nothing is trained; labels are used to report alone.
    python -m benchmarks.ablations.own_recordings_limit --data DIR
"""

from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import numpy as np
import typer
from numpy.typing import NDArray

from beatgan.spec import PreprocessSpec
from beatgan.types import Quality
from beatgan_train.data import own_recordings
from beatgan_train.data.beat_set import BeatSet, load
from beatgan_train.data.mitdb import DS1
from beatgan_train.training.coefficients import coefficients_of

LIMITS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)


def kept_beats(beats: BeatSet, farthest: float, each: bool) -> NDArray[np.bool_]:
    """The beats kept at a limit, over all records at once or within each."""
    everything = np.ones(len(beats), dtype=np.bool_)
    parts = [beats.of([name]) for name in beats.records] if each else [everything]
    kept = ~everything
    with patch.object(own_recordings, "FARTHEST", farthest):
        for part in parts:
            kept |= own_recordings.presumed_normal(beats, part)
    return kept


def line(name: str, beats: BeatSet, kept: NDArray[np.bool_]) -> str:
    """One line of the table."""
    good = beats.quality == Quality.GOOD.value
    normal, abnormal = (
        good & (beats.label == "N"),
        good & np.isin(beats.label, ["S", "V", "F", "Q"]),
    )
    left = np.count_nonzero(kept & abnormal)
    cells = [
        np.count_nonzero(kept & normal) / np.count_nonzero(normal),
        left / (left + np.count_nonzero(kept & normal)),
        *(np.mean(kept[good & (beats.label == label)]) for label in "SVF"),
    ]
    return f"{name:26}" + "".join(f"{cell:11.1%}" for cell in cells)


def main(data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")]) -> None:
    """Print one line for each limit."""
    beats = load(data, DS1, PreprocessSpec(), coefficients_of("full"))
    heads = ("N kept", "abnormal", "S kept", "V kept", "F kept")
    typer.echo(f"{'limit':26}" + "".join(f"{head:>11}" for head in heads))
    typer.echo(line("none", beats, beats.quality == Quality.GOOD.value))
    for each, over in ((False, "all records"), (True, "each record")):
        for farthest in LIMITS:
            kept = kept_beats(beats, farthest, each)
            typer.echo(line(f"{farthest:g} over {over}", beats, kept))


if __name__ == "__main__":
    typer.run(main)
