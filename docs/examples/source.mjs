// A heart that beats normally, then goes into ventricular tachycardia, sent to a daemon.
//
//     npm install                                // in this folder, once
//     node source.mjs                            // to tcp://127.0.0.1:5555, as bed-7, at true speed
//     node source.mjs tcp://HOST:5555 bed-8 4    // another daemon, another name, four times as fast
//
// Everything here is made up; put your recorder in place of `heart`. docs/protocol.md has the rules.

import { setTimeout as sleep } from "node:timers/promises";
import { encode } from "@msgpack/msgpack";
import { XPublisher } from "zeromq";

const [endpoint = "tcp://127.0.0.1:5555", stream = "bed-7", speed = "1"] = process.argv.slice(2);
const FS = 250; // samples a second, 50 to 2000
const FRAME = 50; // samples a frame: 0.2 s

// A beat is a sum of waves: seconds from the R peak, width in seconds, height in millivolt.
const NORMAL = [[-0.17, 0.022, 0.12], [-0.03, 0.009, -0.12], [0, 0.011, 1.1], [0.03, 0.01, -0.22],
  [0.27, 0.045, 0.28]]; // P, Q, R, S and T
const VENTRICULAR = [[0, 0.022, 1.7], [0.06, 0.024, -0.8], [0.21, 0.04, -0.45]]; // wide, and no P

/** 45 s of ECG in millivolt: 25 s at 70/min, 10 s of ventricular beats at 165/min, 70/min. */
function heart() {
  const ecg = new Float32Array(45 * FS); // 32 bits, little-endian on all machines that run node
  for (let i = 0; i < ecg.length; i++)
    ecg[i] = 0.05 * Math.sin(2 * Math.PI * 0.23 * i / FS) + 0.02 * (Math.random() - 0.5);
  for (let peak = 0.6; peak < 45; ) {
    const tachycardia = peak >= 25 && peak < 35;
    for (const [offset, width, height] of tachycardia ? VENTRICULAR : NORMAL)
      for (let i = 0; i < ecg.length; i++)
        ecg[i] += height * Math.exp(-0.5 * ((i / FS - peak - offset) / width) ** 2);
    peak += 60 / (tachycardia ? 165 : 70);
  }
  return ecg;
}

const socket = new XPublisher({ linger: 2000 }); // a publisher that hears who subscribes
socket.connect(endpoint);
console.log(`waiting for a daemon at ${endpoint}`);
await socket.receive(); // its subscription: whatever is sent before would go nowhere

const samples = heart();
const epoch = BigInt(Date.now()) * 1_000_000n; // another one for each start of the source
const begin = performance.now();
for (let first = 0, seq = 0; first < samples.length; first += FRAME, seq++) {
  const frame = samples.subarray(first, first + FRAME);
  const header = {
    v: 1,
    epoch, // nanoseconds are more than a number can hold exactly: BigInt, as 64 bits
    seq,
    first, // counts samples since the epoch began: what is missing is seen by it
    t_ns: epoch + BigInt(first) * 1_000_000_000n / BigInt(FS),
    fs: FS,
    leads: ["II"],
    dtype: "<f4",
    scale: 1, // millivolt per unit
    offset: 0,
  };
  const due = begin + (first + frame.length) / FS / Number(speed) * 1000;
  await sleep(Math.max(0, due - performance.now()));
  const payload = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  await socket.send([`ecg.${stream}`, encode(header, { useBigInt64: true }), payload]);
}
console.log(`sent ${samples.length} samples of ${stream}`);
