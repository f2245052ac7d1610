"""What the engine reports of its work, as it happens. Metrics derive from it."""


class Observer:
    """Counts nothing; a subclass overrides what it counts, returns at once and never raises.

    Samples are instants, whatever the number of leads.
    """

    def received(self, samples: int) -> None:
        """So many new samples arrived with a value on at least one lead."""

    def lost(self, samples: int) -> None:
        """So many samples never arrived, or arrived marked as lost on every lead."""

    def repeated(self, samples: int) -> None:
        """So many samples came again, or too late to be used, and were dropped."""

    def reordered(self) -> None:
        """One frame came late, and found its place because those behind it had waited."""

    def clock_stepped(self) -> None:
        """A source's clock jumped against its samples."""

    def frame_refused(self, reason: str, samples: int) -> None:
        """One frame of so many samples was held, then refused; ``reason`` as in a StreamError."""

    def scored(self, beats: int) -> None:
        """So many beats were given a score."""

    def revised(self, beats: int) -> None:
        """So many beats that had a score were given their last one, by then the next was known."""

    def unscored(self, reason: str) -> None:
        """One beat was reported without a score; ``reason`` is its quality."""

    def graded(self, quality: str, beats: int) -> None:
        """So many beats, scored or not, were found in signal of this quality."""

    def alerted(self, code: str, priority: str) -> None:
        """One alert message was handed out."""

    def suppressed(self, code: str) -> None:
        """One episode was held back and will never be published."""

    def restored(self, streams: int) -> None:
        """So many streams go on where a checkpoint left them."""

    def streams(self, active: int) -> None:
        """So many streams are known now."""
