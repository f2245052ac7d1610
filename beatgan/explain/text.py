"""An episode explained on a terminal: its sentence, the ECG in dots, beats, parts of the score."""

from collections.abc import Iterator, Mapping

import numpy as np
from msgspec import UNSET

from beatgan.explain.episode import COMPONENTS, Beat, Episode
from beatgan.types import Doubles

BAR = 30  # characters of the longest bar
STRIP_ROWS, BEAT_ROWS = 4, 6  # characters high
BRAILLE = 0x2800  # the empty pattern; each character has 2 by 4 dots ...
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # ... with these bits


def lines(episode: Episode, width: int, encoding: str) -> Iterator[str]:
    """The lines, ``width`` characters wide; curves only where ``encoding`` has dots for them."""
    dots, block = _can_show("⣿", encoding), "█" if _can_show("█", encoding) else "#"
    yield episode.sentence
    yield episode.circumstances
    if episode.strip is not None and dots:
        yield from _strip(episode, width)
    if episode.worst is not None:
        yield from _beat(episode.worst, width, block, dots)


def _strip(episode: Episode, width: int) -> Iterator[str]:
    strip = episode.strip
    assert strip is not None
    signal = strip.millivolt
    onset, lost = episode.latest.onset_sample, int(np.isnan(signal).any(axis=1).sum())
    begin, end = ((sample - onset) / strip.fs for sample in (strip.first, strip.end))
    yield ""
    yield f"ECG from {begin:+.1f} s to {end:+.1f} s, the onset at 0" + (
        f", {lost} samples lost" if lost else ""
    )
    beats = (np.array(episode.beats) - strip.first) * width // max(1, len(signal))
    marks = [" "] * width
    for place in beats[(beats >= 0) & (beats < width)].tolist():
        marks[place] = "v"
    yield "".join(marks).rstrip()
    for lead, values in zip(strip.leads, signal.T, strict=True):
        low, high = _range(values)
        yield from plot(values, width, STRIP_ROWS, low, high)
        yield f"{lead}, {high - low:.1f} mV high"


def _beat(beat: Beat, width: int, block: str, dots: bool) -> Iterator[str]:
    explanation = beat.explanation
    yield ""
    yield f"worst beat, at sample {explanation.sample}: " + _class(beat)
    reference = explanation.reference
    if dots:
        curves = {"the beat": explanation.window}
        curves |= {} if reference is UNSET else {"the patient's own": reference}
        curves |= {"the network's copy": explanation.expected}
        yield from _side_by_side(curves, width)
    sign = ">" if beat.score > beat.threshold else "<="
    yield ""
    yield f"score {beat.score:.2f} {sign} {beat.threshold:.2f}" + (
        ", of" if beat.components else ""
    )
    largest = max(map(abs, beat.components.values()), default=1.0) or 1.0
    for name, share in beat.components.items():
        bar = block * round(BAR * abs(share) / largest)
        yield f"  {share:+6.2f}  {COMPONENTS.get(name, name):<33} {bar}".rstrip()


def _class(beat: Beat) -> str:
    if beat.beat_class is None:
        return "the model knows no classes"
    shares = ", ".join(f"{name} {share:.0%}" for name, share in beat.probabilities.items())
    return f"class {beat.beat_class} ({shares})"


def _side_by_side(curves: Mapping[str, list[float]], width: int) -> Iterator[str]:
    """Curves of one scale beside one another, each with its name below."""
    columns = max(8, min(40, (width - 2 * len(curves)) // len(curves)))
    low, high = _range(np.concatenate([np.array(curve) for curve in curves.values()]))
    drawn = [plot(np.array(c), columns, BEAT_ROWS, low, high) for c in curves.values()]
    for row in zip(*drawn, strict=True):
        yield "  ".join(row).rstrip()
    yield "  ".join(f"{name:<{columns}}" for name in curves).rstrip()


def plot(values: Doubles, columns: int, rows: int, low: float, high: float) -> list[str]:
    """A curve of ``values`` (n,) as ``rows`` lines of ``columns`` braille; NaN is a gap."""
    pixels = np.zeros((4 * rows, 2 * columns), bool)
    bounds = np.linspace(0, len(values), 2 * columns + 1).astype(int)
    span = (high - low) or 1.0
    for x in range(2 * columns):
        piece = values[bounds[x] : max(bounds[x] + 1, bounds[x + 1] + 1)]  # joined to the next one
        piece = piece[~np.isnan(piece)]
        if piece.size:
            edges = (high - np.array([piece.max(), piece.min()])) / span * 4 * rows
            top, bottom = edges.astype(int).tolist()
            pixels[max(0, top) : min(4 * rows - 1, bottom) + 1, x] = True
    return [
        "".join(
            chr(BRAILLE + sum(DOTS[y][x] for y in range(4) for x in range(2) if cell[y, x]))
            for cell in np.split(pixels[4 * row : 4 * row + 4], columns, axis=1)
        )
        for row in range(rows)
    ]


def _range(values: Doubles) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def _can_show(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
