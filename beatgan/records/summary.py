"""What was understood of a file, in one line for a person. Knows no file format."""

from datetime import UTC, datetime

from beatgan.records.recording import Recording, gaps

NAMED_GAPS = 3  # so many gaps are told one by one


def summary(recording: Recording) -> str:
    """Format, rate and where it is from, leads and their units, length, start, gaps, notes.

    For example "CSV, 250 Hz (column 'time'), II in mV, 60 s from 2026-01-31 12:00:00 UTC, 1 gap: 5
    s at 30 s".
    """
    parts = [recording.format] if recording.format else []
    origin = f" ({recording.rate_from})" if recording.rate_from else ""
    parts.append(f"{recording.fs:g} Hz{origin}")
    parts.append(_leads(recording))
    start = f" from {_time(recording.start_ns)}" if recording.start_ns else ", start not known"
    parts.append(f"{len(recording.samples) / recording.fs:g} s{start}")
    parts.append(_gaps(recording))
    return ", ".join(parts) + "".join(f"; {note}" for note in recording.notes)


def _leads(recording: Recording) -> str:
    if not recording.units or len(set(recording.units)) > 1:
        pairs = zip(recording.leads, recording.units or recording.leads, strict=True)
        return ", ".join(f"{name} in {unit}" if recording.units else name for name, unit in pairs)
    return f"{', '.join(recording.leads)} in {recording.units[0]}"


def _time(start_ns: int) -> str:
    return f"{datetime.fromtimestamp(start_ns // 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _gaps(recording: Recording) -> str:
    found = [(first / recording.fs, n / recording.fs) for first, n in gaps(recording.samples)]
    if not found:
        return "no gap"
    told = ", ".join(f"{length:.3g} s at {at:.6g} s" for at, length in found[:NAMED_GAPS])
    more = ", ..." if len(found) > NAMED_GAPS else ""
    total = sum(length for _, length in found)
    count = "1 gap" if len(found) == 1 else f"{len(found)} gaps, {total:.3g} s in all"
    return f"{count}: {told}{more}"
