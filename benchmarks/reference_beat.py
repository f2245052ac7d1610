"""Which running reference tells abnormal beats best? The bounded mean beside a running median.

Measured on DS1, by the distance to the reference alone; nothing is trained.
    python benchmarks/reference_beat.py --data DIR
"""

from collections import deque
from pathlib import Path
from time import perf_counter
from typing import Annotated
from unittest.mock import patch

import numpy as np
import typer

from beatgan import frontend
from beatgan.reference import Reference
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles
from beatgan_train.annotations import DS1
from beatgan_train.dataset import BeatSet, load
from beatgan_train.ranking import auc


class RunningMedian:
    """The median, tick by tick, of the latest beats: 40 at a spec's 30."""

    share = 4 / 3

    def __init__(self, spec: PreprocessSpec) -> None:
        self._recent: deque[Doubles] = deque(maxlen=round(self.share * spec.reference_beats))
        self.shape: Doubles | None = None

    def push(self, window: Doubles) -> None:
        """Take one more beat into the reference."""
        self._recent.append(window)
        self.shape = np.median(np.stack(self._recent), axis=0)


class ShortMedian(RunningMedian):
    """The same of half as many beats as the spec says."""

    share = 0.5


def figures(beats: BeatSet) -> str:
    """AUC of the distance: all abnormal classes against N, then each."""
    cells = []
    for classes in ("SVF", "V", "S", "F"):
        rows = beats.usable & np.isin(beats.label, ["N", *classes])
        cells.append(f"{auc(beats.distance[rows], beats.label[rows] != 'N'):8.4f}")
    return "".join(cells)


def main(data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")]) -> None:
    """Print one line for each kind of reference."""
    typer.echo(f"{'reference':16}{'all':>8}{'V':>8}{'S':>8}{'F':>8}{'seconds':>9}")
    load(data, DS1[:1], PreprocessSpec())  # compile before the clock runs
    for kind in (Reference, RunningMedian, ShortMedian):
        with patch.object(frontend, "Reference", kind):
            began = perf_counter()
            beats = load(data, DS1, PreprocessSpec())
            seconds = perf_counter() - began
        typer.echo(f"{kind.__name__:16}{figures(beats)}{seconds:9.1f}")


if __name__ == "__main__":
    typer.run(main)
