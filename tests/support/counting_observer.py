"""An observer that counts what the engine reports."""

from collections import Counter

from beatgan.pipeline.observer import Observer


class CountingObserver(Observer):
    """Every count under its metric's word, with labels in brackets."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    def received(self, samples: int) -> None:
        self._counts["received"] += samples

    def lost(self, samples: int) -> None:
        self._counts["lost"] += samples

    def repeated(self, samples: int) -> None:
        self._counts["repeated"] += samples

    def reordered(self) -> None:
        self._counts["reordered"] += 1

    def clock_stepped(self) -> None:
        self._counts["clock_steps"] += 1

    def frame_refused(self, reason: str, samples: int) -> None:
        self._counts[f"refused[{reason}]"] += 1
        self._counts["refused samples"] += samples

    def scored(self, beats: int) -> None:
        self._counts["scored"] += beats

    def revised(self, beats: int) -> None:
        self._counts["revised"] += beats

    def unscored(self, reason: str) -> None:
        self._counts[f"unscored[{reason}]"] += 1

    def graded(self, quality: str, beats: int) -> None:
        self._counts[f"graded[{quality}]"] += beats

    def alerted(self, code: str, priority: str) -> None:
        self._counts[f"alerted[{code}]"] += 1

    def suppressed(self, code: str) -> None:
        self._counts[f"suppressed[{code}]"] += 1

    def restored(self, streams: int) -> None:
        self._counts["restored"] += streams

    def streams(self, active: int) -> None:
        self._counts["streams"] = active
