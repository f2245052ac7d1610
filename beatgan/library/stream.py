"""A signal that comes in pieces: the same beats and alerts, to the bit, as of the whole."""

from collections.abc import Sequence
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any

from beatgan.alarms.limits import AlarmLimits
from beatgan.errors import UsageError
from beatgan.library import student
from beatgan.library.array_input import NAME, begin_ns, lead_names, rate, samples_of_leads
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.playback.chunks import check_signal
from beatgan.playback.offline import beats_and_alerts
from beatgan.protocol.frames import MAX_SAMPLES
from beatgan.protocol.messages import AlertMessage, BeatMessage
from beatgan.protocol.names import stream_of_record
from beatgan.types import Chunk, Floats


class Stream:
    """One signal, pushed as it comes.

    Beats become known about half a second after their R peak, and are revised once when the next
    one is known: ``revised`` messages replace those of the same ``n``. All but ``n``, ``raised_ns``
    and ``delay_ms`` of the alerts is as `beatgan.score` gives it of the whole, however it is cut.
    """

    def __init__(
        self,
        fs: float,
        leads: Sequence[str] | str = "ECG",
        *,
        name: str = NAME,
        start: datetime | None = None,
        model: str | Path | None = None,
        device: str = "auto",
        limits: AlarmLimits | None = None,
    ) -> None:
        """As `beatgan.score` takes them. Raises what that raises."""
        names, begun, hertz = lead_names(leads), begin_ns(start), rate(fs)
        check_signal(name, hertz, names)
        loaded = student.load(model, device)
        settings = EngineSettings(batch_size=256, batch_age=0.0, silence=inf, max_streams=1)
        self._engine = Engine(
            loaded.spec, loaded.coefficients, loaded.scorer, limits or AlarmLimits(), settings
        )
        self._name, self._fs, self._leads = stream_of_record(name), hertz, names
        self._start_ns, self._frames, self._pushed = begun, 0, 0
        self._over = False

    @property
    def samples(self) -> int:
        """How many samples of each lead were pushed."""
        return self._pushed

    def push(self, ecg: Any) -> list[BeatMessage | AlertMessage]:
        """What became known with these samples, in its order.

        ``ecg``: those that follow, in mV, of shape (n,) or (n, leads); NaN is a lost sample. Raises
        UsageError where they are none, or after `end`.
        """
        if self._over:
            raise UsageError("the stream has ended: a new one is another Stream")
        samples = samples_of_leads(ecg, self._leads)
        found: list[BeatMessage | AlertMessage] = []
        with student.compiling_is_told():
            for first in range(0, len(samples), MAX_SAMPLES):
                self._engine.receive(self._chunk(samples[first : first + MAX_SAMPLES]), 0.0)
                found += beats_and_alerts(self._engine.poll(0.0))
        return found

    def end(self) -> list[BeatMessage | AlertMessage]:
        """What is still known of the last beats; what is under way ends. Called again: nothing."""
        if self._over or not self._pushed:
            self._over = True
            return []
        self._over = True
        self._engine.end(self._name, 0.0)
        return [*beats_and_alerts(self._engine.drain(0.0))]

    def _chunk(self, samples: Floats) -> Chunk:
        t_ns = self._start_ns + round(self._pushed * 1e9 / self._fs)
        chunk = Chunk(
            self._name, self._start_ns, self._frames, self._pushed, t_ns, self._fs, self._leads,
            samples,
        )  # fmt: skip
        self._frames += 1
        self._pushed += len(samples)
        return chunk
