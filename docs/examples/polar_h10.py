"""A Polar H10 as a stream of the Lab Streaming Layer, which `beatgan-bridge lsl in` takes.

    pip install bleak 'beatgan[lsl]'
    python polar_h10.py              # the first strap that is found; wear it, it sleeps otherwise
    beatgan-bridge lsl in            # in another terminal, beside a daemon

Only what a packet holds is tested: no strap was at hand. A strap sends 73 samples a packet, stamped
when the *last* was taken; its true rate is 128 to 131 Hz, its stamps may jump back. None of that
is put right here: the bridge counts the samples, and looks for gaps in the stamps.
"""

import asyncio
import struct

ECG_START = bytes([0x02, 0x00, 0x00, 0x01, 0x82, 0x00, 0x01, 0x01, 0x0E, 0x00])  # 130 Hz, 14 bits
CONTROL = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"  # Polar's measurement data service
DATA = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"
FS = 130.0


def read_packet(packet):
    """The time of the last sample, in seconds of the strap's clock, and the samples in microvolt;
    None if it is no ECG."""
    kind, stamp_ns, form = struct.unpack_from("<BQB", packet)
    if kind != 0 or form != 0:
        return None
    samples = packet[10:]
    whole = range(0, len(samples) - 2, 3)
    return stamp_ns / 1e9, [
        int.from_bytes(samples[place : place + 3], "little", signed=True) for place in whole
    ]


async def main():
    """Until the strap is out of reach, or Ctrl-C."""
    import bleak
    import pylsl

    strap = await bleak.BleakScanner.find_device_by_filter(
        lambda device, _: (device.name or "").startswith("Polar H10")
    )
    if strap is None:
        raise SystemExit("no Polar H10 found")
    info = pylsl.StreamInfo(strap.name, "ECG", 1, FS, "float32", strap.address)
    channel = info.desc().append_child("channels").append_child("channel")
    channel.append_child_value("label", "II").append_child_value("unit", "microvolts")
    outlet, ahead, gone = pylsl.StreamOutlet(info), None, asyncio.Event()

    def take(_, packet):
        nonlocal ahead
        if (found := read_packet(bytes(packet))) is not None:
            stamp, samples = found
            ahead = pylsl.local_clock() - stamp if ahead is None else ahead  # of the strap's clock
            outlet.push_chunk([[each] for each in samples], stamp + ahead)

    async with bleak.BleakClient(strap, disconnected_callback=lambda _: gone.set()) as client:
        await client.start_notify(DATA, take)
        await client.write_gatt_char(CONTROL, ECG_START, response=True)
        print(f"{strap.name}: an LSL stream; Ctrl-C ends", flush=True)
        await gone.wait()


if __name__ == "__main__":
    asyncio.run(main())
