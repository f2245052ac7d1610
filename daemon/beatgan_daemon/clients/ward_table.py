"""The ward as a table for a terminal: a line a bed. Knows no socket and no key."""

from collections.abc import Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from beatgan.protocol.messages import AlertMessage
from beatgan_daemon.clients import alarm_order
from beatgan_daemon.clients.ward_state import Bed

HEAD = ("BED", "RATE", "BEATS", "ALARM", "SINCE", "LEAD", "ID")


def table(beds: Sequence[Bed], selected: Bed | None, now: float, now_ns: int) -> Table:
    """``now``: monotonic s, as the beds' beats have it; ``now_ns``: UNIX time."""
    found = Table(box=None, expand=True, padding=(0, 1))
    for name, ratio in zip(HEAD, (None, None, None, 3, None, None, 2), strict=True):
        found.add_column(name, no_wrap=True, overflow="ellipsis", ratio=ratio)
    for bed in beds:
        alarm = bed.worst()
        found.add_row(
            Text(("> " if bed is selected else "  ") + bed.stream),
            _rate(bed, now),
            _beats(bed),
            _alarm(bed, alarm),
            "" if alarm is None else _since(alarm, now_ns),
            _lead(bed, alarm),
            "" if alarm is None else Text(alarm.id, style="dim"),
            style="bold" if bed is selected else None,
        )
    return found


def _rate(bed: Bed, now: float) -> str:
    rate = bed.rate(now)
    return "--" if rate is None else f"{rate:.0f}{'?' if bed.poor() else ''}"


def _beats(bed: Bed) -> Text:
    """The classes of the last beats, the newest last; anomalous ones stand out."""
    text = Text()
    for beat in bed.beats:
        text.append(beat.beat_class, style="bold yellow reverse" if beat.anomalous else "dim")
    return text


def _alarm(bed: Bed, alarm: AlertMessage | None) -> Text:
    if alarm is None:
        return Text("")
    seen = alarm.acknowledged
    sign = alarm_order.SIGNS.get(alarm.priority, "")
    style = "" if seen else alarm_order.STYLES.get(alarm.priority, "")
    text = Text(f"{sign} {alarm.priority.upper()}", style=style)
    if len(bed.alarms) > 1:
        text.append(f" +{len(bed.alarms) - 1}")
    if seen:
        text.append(f" seen by {alarm.by}" if alarm.by else " seen")
    elif alarm.latched:
        text.append(" over, not acknowledged")
    return text.append(f" {alarm.text or alarm.code}")


def _since(alarm: AlertMessage, now_ns: int) -> str:
    seconds = max(0, (now_ns - alarm.onset_ns) // 10**9)
    ago = f"{seconds} s" if seconds < 100 else f"{seconds // 60} min"
    if seconds >= 6_000:
        ago = f"{seconds // 3_600} h"
    return f"{datetime.fromtimestamp(alarm.onset_ns // 10**9):%H:%M:%S} {ago}"


def _lead(bed: Bed, alarm: AlertMessage | None) -> Text:
    lead = bed.beats[-1].lead if bed.beats else (alarm.lead if alarm else None)
    return Text(lead or "-")
