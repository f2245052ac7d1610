"""Makers' JSON as chunks: a device that counts its samples, and may know neither when it began nor
what time it is."""

from dataclasses import dataclass
from typing import Final

from msgspec import UNSET

from beatgan.errors import StreamError
from beatgan.types import Chunk
from beatgan_daemon.bridges.mqtt.bodies import JsonEcg
from beatgan_daemon.bridges.slewed_offset import SlewedOffset

RESTART_S: Final = 10.0  # of signal: a count that falls back further began anew
MAX_DEVICES: Final = 10_000


@dataclass(slots=True)
class _Device:
    epoch: int
    told: bool  # whether the epoch is the device's own
    fs: float
    leads: tuple[str, ...]
    origin_ns: int  # UNIX time at which it was first heard
    begin: SlewedOffset  # of sample 0, in s behind that
    next: int = 0
    seq: int = 0


class Makers:
    """Every device that sends JSON, by the name of its stream."""

    def __init__(self) -> None:
        self._devices: dict[str, _Device] = {}

    def chunk(self, stream: str, ecg: JsonEcg, arrived_ns: int) -> Chunk:
        """What the device sent; ``arrived_ns``: when, UNIX time.

        Without an ``epoch`` of its own it begins anew where its count falls back by more than
        RESTART_S, or its rate or leads change. Raises StreamError.
        """
        leads, samples = ecg.names(), ecg.millivolt()
        device = self._devices.get(stream)
        if device is None and len(self._devices) >= MAX_DEVICES:
            raise StreamError("streams", f"{MAX_DEVICES} devices are known; no further one")
        length = (ecg.first + len(samples)) / ecg.fs
        if device is None or _began_anew(device, ecg, leads):
            told = ecg.epoch is not UNSET
            epoch = ecg.epoch if ecg.epoch is not UNSET else arrived_ns
            begin = SlewedOffset(-length, 0.0)
            device = _Device(epoch, told, ecg.fs, leads, arrived_ns, begin)
            self._devices[stream] = device
        if ecg.fs != device.fs:
            raise StreamError("rate", f"fs was {device.fs:g} in this epoch, not {ecg.fs:g}")
        arrived = (arrived_ns - device.origin_ns) / 1e9
        device.begin.measure(arrived - length, arrived)
        t_ns = ecg.t_ns
        if t_ns is UNSET:
            begin_s = device.begin.at(arrived) + ecg.first / ecg.fs
            t_ns = device.origin_ns + round(1e9 * begin_s)
        device.next = max(device.next, ecg.first + len(samples))
        device.seq += 1
        return Chunk(stream, device.epoch, device.seq - 1, ecg.first, t_ns, ecg.fs, leads, samples)


def _began_anew(device: _Device, ecg: JsonEcg, leads: tuple[str, ...]) -> bool:
    if ecg.epoch is not UNSET:
        return not device.told or ecg.epoch != device.epoch
    fell_back = ecg.first + RESTART_S * ecg.fs < device.next
    return device.told or fell_back or ecg.fs != device.fs or leads != device.leads
