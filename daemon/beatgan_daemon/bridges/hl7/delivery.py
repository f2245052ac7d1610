"""One alert after another to an HL7 receiver: what its answer means, and when to try again.

An alert goes on being sent until the receiver accepts it. One that it refuses, or says for
``fault_s`` that it cannot process, is put on record and passed over: those behind it must not wait.
"""

from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from time import monotonic, time_ns

import msgspec

from beatgan.protocol.messages import decode_alert
from beatgan_daemon import log
from beatgan_daemon.bridges.backoff import Backoff
from beatgan_daemon.bridges.bed_map import BedMap
from beatgan_daemon.bridges.hl7.acknowledgement import (
    Acknowledgement,
    Verdict,
    read_acknowledgement,
)
from beatgan_daemon.bridges.hl7.mllp import MllpClient, NoAnswerError
from beatgan_daemon.bridges.hl7.oru_r40 import control_id, oru_r40
from beatgan_daemon.bridges.hl7.refusals import Refusal, Refusals

MAX_PAUSE_S = 30.0


class Outcome(Enum):
    """Of one attempt."""

    DELIVERED = auto()
    REFUSED = auto()  # on record
    LATER = auto()  # try again, from `Delivery.next_at` on


@dataclass(slots=True)
class _Message:
    n: int
    id: str
    control_id: str
    text: str
    attempts: int = 0
    fault_at: float | None = None  # monotonic: when the receiver first said that it cannot


class Delivery:
    """Sends the alert at the head; used by one thread."""

    def __init__(
        self, client: MllpClient, beds: BedMap, refusals: Refusals, fault_s: float
    ) -> None:
        self._client, self._beds, self._refusals = client, beds, refusals
        self._fault_s = fault_s
        self._message: _Message | None = None  # under way
        self._backoff = Backoff(most=MAX_PAUSE_S)
        self.next_at = 0.0  # monotonic
        self.repeats = 0  # messages that were sent again
        self.faults = 0  # AE
        self._log = log.Rejections(log.get(), event="alert not accepted")

    def attempt(self, body: bytes) -> Outcome:
        """Send the alert once, its JSON, and read the answer."""
        if self._message is None:
            try:
                self._message = self._made(body)
            except (msgspec.MsgspecError, ValueError) as error:
                return self._pass_over(_nameless(body), "not sent", str(error))
        message = self._message
        self.repeats += message.attempts > 0
        message.attempts += 1
        read = partial(read_acknowledgement, control_id=message.control_id)
        try:
            answer = self._client.ask(message.text, read)
        except NoAnswerError as error:
            self._log.add("no answer", str(error), monotonic())
            return self._later(0.0 if error.idle else None)
        return self._judged(message, answer)

    def _made(self, body: bytes) -> _Message:
        alert = decode_alert(body)
        text = oru_r40(alert, self._beds.beds(), time_ns())
        return _Message(alert.n, alert.id, control_id(alert), text)

    def _judged(self, message: _Message, answer: Acknowledgement) -> Outcome:
        if answer.verdict is Verdict.ACCEPTED:
            self._end()
            return Outcome.DELIVERED
        if answer.verdict is Verdict.REFUSED:
            return self._pass_over(message, answer.code, answer.text)
        now = monotonic()
        self.faults += 1
        if message.fault_at is None:
            message.fault_at = now
        if now - message.fault_at >= self._fault_s:
            return self._pass_over(message, answer.code, answer.text)
        self._log.add(answer.code, f"alert {message.n}", now)
        return self._later(None)

    def _later(self, pause: float | None) -> Outcome:
        self.next_at = monotonic() + (self._backoff.failed() if pause is None else pause)
        return Outcome.LATER

    def _pass_over(self, message: _Message, answer: str, text: str) -> Outcome:
        log.get().error("alert refused", n=message.n, answer=answer)  # its text may name anybody
        self._refusals.add(
            Refusal(time_ns(), message.n, message.id, message.control_id, answer, text)
        )
        self._end()
        return Outcome.REFUSED

    def _end(self) -> None:
        self._message = None
        self._backoff.succeeded()
        self.next_at = 0.0

    def close(self) -> None:
        """End the connection."""
        self._client.close()


def _nameless(body: bytes) -> _Message:
    """Of an alert that is none by our protocol: as much as can be told."""
    try:
        known = msgspec.json.decode(body, type=_Numbered)
    except msgspec.MsgspecError:
        known = _Numbered()
    return _Message(known.n, known.id, "", "")


class _Numbered(msgspec.Struct):
    n: int = -1
    id: str = ""
