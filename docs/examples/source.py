"""A heart that beats normally, then goes into ventricular tachycardia, sent to a daemon.

    pip install numpy pyzmq msgspec
    python source.py                            # to tcp://127.0.0.1:5555, as bed-7, at true speed
    python source.py tcp://HOST:5555 bed-8 4    # another daemon, another name, four times as fast

Everything here is made up; put your recorder in place of ``heart``. docs/protocol.md has the rules.
"""

import sys
import time

import msgspec
import numpy as np
import zmq

FS = 250  # samples a second, 50 to 2000
FRAME = 50  # samples a frame: 0.2 s

# A beat is a sum of waves: (seconds from the R peak, width in seconds, height in millivolt).
NORMAL = [(-0.17, 0.022, 0.12), (-0.03, 0.009, -0.12), (0, 0.011, 1.1), (0.03, 0.010, -0.22),
          (0.27, 0.045, 0.28)]  # fmt: skip  # P, Q, R, S and T
VENTRICULAR = [(0, 0.022, 1.7), (0.06, 0.024, -0.8), (0.21, 0.04, -0.45)]  # wide, and no P before


def heart():
    """45 s of ECG in millivolt: 25 s at 70/min, 10 s of ventricular beats at 165/min, 70/min."""
    t = np.arange(45 * FS) / FS
    noise = np.random.default_rng(0).normal(scale=0.01, size=len(t))
    ecg = noise + 0.05 * np.sin(2 * np.pi * 0.23 * t)  # 0.23 Hz: breathing moves the baseline
    peak = 0.6
    while peak < 45:
        tachycardia = 25 <= peak < 35
        for offset, width, height in VENTRICULAR if tachycardia else NORMAL:
            ecg += height * np.exp(-0.5 * ((t - peak - offset) / width) ** 2)
        peak += 60 / (165 if tachycardia else 70)
    return ecg


def main(endpoint="tcp://127.0.0.1:5555", stream="bed-7", speed="1"):
    """Send it frame by frame, no sooner than a recorder would have it."""
    socket = zmq.Context().socket(zmq.XPUB)  # a PUB that hears who subscribes
    socket.connect(endpoint)
    print(f"waiting for a daemon at {endpoint}", flush=True)
    socket.recv()  # its subscription: whatever is sent before would go nowhere

    epoch = time.time_ns()  # another one for each start of the source
    samples = heart().astype("<f4").reshape(-1, 1)  # (samples, leads); NaN is a lost sample
    begin = time.monotonic()
    for seq, first in enumerate(range(0, len(samples), FRAME)):
        frame = samples[first : first + FRAME]
        header = {
            "v": 1,
            "epoch": epoch,
            "seq": seq,
            "first": first,  # counts samples since the epoch began: what is missing is seen by it
            "t_ns": epoch + first * 1_000_000_000 // FS,
            "fs": FS,
            "leads": ["II"],
            "dtype": "<f4",
            "scale": 1.0,  # millivolt per unit
            "offset": 0.0,
        }
        time.sleep(max(0, begin + (first + len(frame)) / FS / float(speed) - time.monotonic()))
        topic = f"ecg.{stream}".encode()
        socket.send_multipart([topic, msgspec.msgpack.encode(header), frame.tobytes()])
    print(f"sent {len(samples)} samples of {stream}", flush=True)
    socket.context.destroy(linger=2000)  # milliseconds for what is still on its way


if __name__ == "__main__":
    main(*sys.argv[1:])
