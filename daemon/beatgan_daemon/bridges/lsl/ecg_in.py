"""ECG streams of the network to a daemon: found, opened, pulled, found again."""

from time import monotonic, sleep
from typing import Any, Final

from beatgan.errors import StreamError, UsageError
from beatgan.records.recording import in_millivolt
from beatgan_daemon import log
from beatgan_daemon.bridges.lsl.description import describe
from beatgan_daemon.bridges.lsl.library import pylsl
from beatgan_daemon.bridges.lsl.source import BUFFER_S, LslSource
from beatgan_daemon.bridges.process import running
from beatgan_daemon.bridges.signal_in import SignalIn

PULL_S: Final = 0.1  # of signal in each frame, or more
LOOK_S: Final = 1.0  # between looks at what there is
FORGET_S: Final = 5.0  # after which a stream that says nothing of itself is there no more
INFO_S: Final = 5.0  # to wait for all that it says


class EcgIn:
    """All streams of a type, by their names; used by one thread."""

    def __init__(
        self,
        signal: SignalIn,
        *,
        kind: str = "ECG",
        name: str | None = None,
        unit: str | None = None,
        fs: float | None = None,
    ) -> None:
        """``kind``: LSL's type of the streams; ``name``: of the only one wanted. ``unit`` and
        ``fs``: of those that do not say. Raises UsageError."""
        if unit is not None and in_millivolt(unit) is None:
            raise UsageError(f"--unit {unit}: no voltage; expected uV, mV or V")
        if any("'" in each for each in (kind, name or "")):
            raise UsageError("--type, --name: without quotation marks")
        self.refused: dict[str, str] = {}  # why, by the stream's unique id
        self._signal, self._unit, self._fs = signal, unit, fs
        self._lsl = pylsl()
        wanted = f"type='{kind}'" + (f" and name='{name}'" if name else "")
        self._resolver = self._lsl.ContinuousResolver(pred=wanted, forget_after=FORGET_S)
        self._sources: dict[str, LslSource] = {}
        self._names: dict[str, tuple[str, str]] = {}  # name and source id, by stream
        self._seen: set[str] = set()  # unique ids: another at each start of an outlet
        self._lost: set[str] = set()
        self._look_at = 0.0

    @property
    def streams(self) -> int:
        """How many are pulled."""
        return len(self._sources) - len(self._lost)

    def turn(self) -> None:
        """Look for streams, if it is time, and send on what has come."""
        if monotonic() >= self._look_at:
            self._look_at = monotonic() + LOOK_S
            for info in self._resolver.results():
                if info.uid() not in self._seen:
                    self._seen.add(info.uid())
                    self._found(info)
        for stream in [name for name in self._sources if name not in self._lost]:
            self._pull(stream, self._sources[stream])

    def _found(self, info: Any) -> None:
        try:
            self._open(info)
        except StreamError as error:
            self._refuse(info.uid(), error)
        except (self._lsl.util.TimeoutError, self._lsl.util.LostError):
            self._seen.discard(info.uid())  # it may answer later

    def _open(self, info: Any) -> None:
        inlet = self._lsl.StreamInlet(info, max_buflen=BUFFER_S, recover=True, processing_flags=0)
        full = inlet.info(INFO_S)
        if info.channel_format() == self._lsl.cf_string:
            raise StreamError("type", f"{info.name()}: its samples are text")
        described = describe(full, self._unit, self._fs)
        who = info.name(), info.source_id()
        known = self._sources.get(described.stream)
        if known is None:
            self._sources[described.stream] = LslSource(inlet, described)
            self._names[described.stream] = who
            log.get().info(
                "stream", stream=described.stream, fs=described.fs, leads=described.leads
            )
            return
        if self._names[described.stream] != who:
            raise StreamError(
                "streams", f"{info.name()}: two LSL streams have this name; give --name"
            )
        self._signal.count.source_reconnects += 1
        log.get().info("stream found again", stream=described.stream)
        if described.stream not in self._lost:
            return  # its inlet finds it by itself
        if (described.fs, described.leads) != (known.description.fs, known.description.leads):
            self._sources[described.stream] = LslSource(inlet, described)
        else:
            known.open(inlet)
        self._lost.discard(described.stream)

    def _pull(self, stream: str, source: LslSource) -> None:
        try:
            for chunk in source.pull():
                self._signal.forward(chunk)
        except StreamError as error:
            self._refuse(stream, error)
            self._lost.add(stream)
        except self._lsl.util.LostError:
            log.get().warning("stream lost", stream=stream)
            self._lost.add(stream)

    def _refuse(self, which: str, error: StreamError) -> None:
        self.refused[which] = str(error)
        self._signal.count.refused += 1
        log.get().error("stream refused", reason=error.reason, why=str(error))

    def close(self) -> None:
        """End the streams, then the connection to the daemon."""
        self._sources.clear()
        self._signal.close()


def run(ecg: EcgIn, signal: SignalIn) -> None:
    """Until a signal to stop."""
    with running("lsl in", signal.count, ecg.close) as bridge:
        bridge.ready("looking for streams")
        while not bridge.stopping():
            ecg.turn()
            refused = f", {len(ecg.refused)} refused" if ecg.refused else ""
            bridge.turn(f"{ecg.streams} stream(s){refused}")
            sleep(PULL_S)
