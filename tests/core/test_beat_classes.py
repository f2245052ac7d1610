"""The classes of beats: what EC57 and WFDB call them."""

from pathlib import Path

import numpy as np
import wfdb

from beatgan.beat_classes import ABNORMAL, CLASS_OF, CLASSES, BeatClass


def test_the_classes_are_ec57s_in_its_order() -> None:
    assert "".join(CLASSES) == "NSVFQ"
    assert CLASSES[0] is BeatClass.NORMAL
    assert CLASSES[1:] == ABNORMAL


def test_each_letter_is_the_symbol_of_a_beat_of_that_class(tmp_path: Path) -> None:
    """As WFDB writes and reads it."""
    assert [CLASS_OF[each] for each in CLASSES] == list(CLASSES)
    places = np.arange(1, 1 + len(CLASSES)) * 100
    wfdb.wrann("x", "atr", places, [str(each) for each in CLASSES], write_dir=str(tmp_path))
    assert wfdb.rdann(str(tmp_path / "x"), "atr").symbol == [str(each) for each in CLASSES]
