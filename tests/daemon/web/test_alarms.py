"""What the page's server takes for under way, across times in which nobody answers."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from beatgan.errors import UsageError
from beatgan_daemon.clients.client import LATEST, Page
from beatgan_daemon.web.alarm_board import AlarmBoard
from beatgan_daemon.web.alarms import Alarms, catch_up_or_go_on


def alert(n: int, episode: str, phase: str = "start") -> dict[str, Any]:
    return {"n": n, "id": episode, "phase": phase, "stream": "bed", "acknowledged": False}


class Journal:
    """A daemon's answers; ``alerts`` None where it does not answer."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] | None = []

    async def alerts_since(self, since: int) -> Page:
        if self.alerts is None:
            raise UsageError("no answer")
        told = [] if since == LATEST else [each for each in self.alerts if each["n"] >= since]
        header: Any = SimpleNamespace(next=len(self.alerts), oldest=0, more=False)
        return Page(header, [msgspec.json.encode(each) for each in told])

    async def active(self) -> list[bytes]:
        assert self.alerts is not None
        last = {each["id"]: each for each in self.alerts}
        return [msgspec.json.encode(each) for each in last.values() if each["phase"] != "end"]


@pytest.fixture
def journal() -> Journal:
    return Journal()


def under_way(board: AlarmBoard) -> set[str]:
    return {each["id"] for each in board.active}


def ask(alarms: Alarms, journal: Journal) -> bool:
    control: Any = SimpleNamespace(alerts=journal.alerts_since, active=journal.active)
    return asyncio.run(catch_up_or_go_on(alarms, control))


@pytest.mark.parametrize("later", [1, 40])
def test_a_journal_begun_anew_meanwhile_ends_the_episodes_of_before(
    journal: Journal, later: int
) -> None:
    """``later``: how many alerts it has by then; its numbers may have passed the old ones."""
    board = AlarmBoard()
    alarms = Alarms(board)
    journal.alerts = [alert(n, f"old-{n}") for n in range(10)]
    assert ask(alarms, journal)
    assert len(under_way(board)) == 10
    journal.alerts = None
    assert not ask(alarms, journal)
    assert len(under_way(board)) == 10  # nothing is known to have ended
    journal.alerts = [alert(n, f"new-{n}") for n in range(later)]
    assert ask(alarms, journal)
    assert under_way(board) == {f"new-{n}" for n in range(later)}


def test_episodes_that_go_on_are_kept(journal: Journal) -> None:
    board = AlarmBoard()
    alarms = Alarms(board)
    journal.alerts = [alert(0, "a"), alert(1, "b")]
    assert ask(alarms, journal)
    before, journal.alerts = journal.alerts, None
    assert not ask(alarms, journal)
    journal.alerts = [*before, alert(2, "b", "end"), alert(3, "c")]
    assert ask(alarms, journal)
    assert under_way(board) == {"a", "c"}
