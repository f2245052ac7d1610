"""What a daemon has said of alarms, complete and in order: heard live, what was missed fetched.

An alert that was heard is never held back because the journal cannot be read.
"""

from math import inf
from typing import Any, Final

import msgspec

from beatgan.errors import UsageError
from beatgan.protocol.messages import decode_alert
from beatgan_daemon.clients.client import LATEST
from beatgan_daemon.web.alarm_board import AlarmBoard
from beatgan_daemon.web.control import Control

AHEAD: Final = 1_000  # alerts that wait for those before them


class Alarms:
    """The alerts of one journal by number; what they say goes to the board."""

    def __init__(self, board: AlarmBoard, shard: str = "") -> None:
        self._board, self._shard = board, shard
        self.expected: int | None = None  # the next alert's number
        self.oldest: int | None = None  # in the journal
        self._ahead: dict[int, dict[str, Any]] = {}
        self._out_of_touch = False

    @property
    def missing(self) -> bool:
        """Whether alerts are known to be missing, or it is not known from where on."""
        return self.expected is None or bool(self._ahead)

    def heard(self, body: bytes) -> None:
        """One alert as it was published. Raises msgspec.MsgspecError where it is none."""
        decode_alert(body)  # it is what the rest takes it for
        alert = msgspec.json.decode(body, type=dict[str, Any])
        n = alert["n"]
        if alert.get("repeat"):
            self._board.hold(self._shard, alert)
            if (
                self.expected is not None and n == self.expected
            ):  # told anew by a shard that goes on with it
                self.expected += 1
        elif self.expected is None or n > self.expected:
            self._ahead[n] = alert
            if len(self._ahead) > AHEAD:
                self.give_up()
        elif n == self.expected:
            self._say(alert)

    async def catch_up(self, control: Control) -> None:
        """Fetch what was missed. Raises UsageError where the daemon does not answer."""
        header = (await control.alerts(LATEST)).header
        self.oldest = header.oldest
        if self.expected is None or header.next < self.expected:  # it counts anew
            await self._begin(control, header.next)
        assert self.expected is not None
        more = True
        while more:
            header, bodies = await control.alerts(self.expected)
            for body in bodies:
                self._in_turn(msgspec.json.decode(body, type=dict[str, Any]))
            self.expected = max(self.expected, header.next)
            more = header.more
        self.give_up()
        if self._out_of_touch:
            await self._refresh(control, self.expected)
            self._out_of_touch = False

    async def _begin(self, control: Control, following: int) -> None:
        await self._refresh(control, inf)
        self.expected = following
        self._ahead = {n: alert for n, alert in self._ahead.items() if n >= following}

    async def _refresh(self, control: Control, before: float) -> None:
        """Ask which episodes are under way; others last told ``before`` that number are over.

        While nobody answered the daemon may have begun a journal anew, and its numbers may have
        passed the old ones: then no alert ends the episodes of then.
        """
        alerts = [msgspec.json.decode(body, type=dict[str, Any]) for body in await control.active()]
        self._board.keep(self._shard, {alert["id"] for alert in alerts}, before)
        for alert in alerts:
            self._board.hold(self._shard, alert)

    def lost_touch(self) -> None:
        """The daemon does not answer."""
        self._out_of_touch = True

    def give_up(self) -> None:
        """Say what waits, without what is missing before it."""
        ahead, self._ahead = self._ahead, {}
        for n in sorted(ahead):
            self._in_turn(ahead[n])

    def _in_turn(self, alert: dict[str, Any]) -> None:
        if self.expected is None or alert["n"] >= self.expected:
            self._say(alert)

    def _say(self, alert: dict[str, Any]) -> None:
        self.expected = alert["n"] + 1
        self._ahead.pop(alert["n"], None)
        self._board.say(self._shard, alert)


async def catch_up_or_go_on(alarms: Alarms, control: Control) -> bool:
    """`catch_up`; whether the daemon answered. What was heard is said in any case."""
    try:
        await alarms.catch_up(control)
    except UsageError:
        alarms.lost_touch()
        if alarms.expected is None or alarms.missing:
            alarms.give_up()
        return False
    return True
