"""Which of a stream's leads is used: the best one that is well. Knows no waveform.

Leads come in order of preference. A beat counts if the lead in use has found it. Another lead takes
over where it is well and the lead in use is ill, or carried nothing all through the beat; the best
lead comes back into use once it has been well for a while. No beat is told twice, or from both. A
lead that has long carried nothing gives its place to the next that the stream has to spare.
"""

import numpy as np

from beatgan.jit import compiled
from beatgan.signal.signal_quality import IN_FLAT, IN_GAP, IN_SATURATED
from beatgan.types import Record

RETURN = 3600  # samples (10 s) that a better lead must be well before it is used again
NEAR = 54  # samples (150 ms) within which the apexes of two leads are one beat's
REFRACTORY = 72  # samples (0.2 s) in which no second beat begins
SPARE = 1080  # samples (3 s) that a lead must have carried nothing before one to spare is tried
FORGET = 0.2  # weight of the newest value in the running offset between two leads


@compiled
def fall_ill(lead: Record, condition: int, begins: bool, at: int) -> None:
    """A condition of the lead, a bit of quality's, began or ended and is known from ``at`` on."""
    lead.ill = lead.ill | condition if begins else lead.ill & ~condition
    lead.well_since = at


@compiled
def suspended(leads: Record) -> bool:
    """Whether no lead is well."""
    well = 0
    for lead in leads:
        well += lead.ill == 0
    return well == 0


@compiled
def gone(leads: Record, which: int, now: int) -> bool:
    """Whether lead ``which`` has long carried nothing, while the stream itself goes on."""
    arrives = 0
    for each in leads:
        arrives += each.ill & IN_GAP == 0
    stuck: bool = leads[which].ill & (IN_FLAT | IN_SATURATED) != 0
    alone: bool = leads[which].ill & IN_GAP != 0 and arrives > 0
    long: bool = now - leads[which].well_since >= SPARE
    return (stuck or alone) and long


@compiled
def position(lead: Record, apex: int) -> int:
    """Where the lead in use would have the apex that this lead has at ``apex``."""
    return int(np.floor(apex - lead.offset + 0.5))


@compiled
def counts(leads: Record, used: int, which: int, now: int, apex: int, idle: int) -> bool:
    """Whether the beat that lead ``which`` has at ``apex`` counts, though ``used`` is in use.

    ``now`` is the index of the sample with which it can be told; by then the lead in use has
    carried nothing for ``idle`` samples (see `quality.run`).
    """
    if leads[which].ill:
        return which == used and suspended(leads)
    if which == used:
        return True
    empty: bool = idle >= now - apex
    better: bool = which < used and now - leads[which].well_since >= RETURN
    return leads[used].ill != 0 or empty or better


@compiled
def learn_offsets(leads: Record, used: int, apex: int, now: int) -> None:
    """By how much the others' apexes, as far as found by ``now``, lie off a told one."""
    for which in range(leads.size):
        lead = leads[which]
        if which == used or lead.ill:
            continue
        nearest = NEAR + 1
        if abs(lead.previous - apex) < nearest:
            nearest = lead.previous - apex
        for k in range(lead.waiting):
            each = lead.found[k]
            if each.confirmed <= now and abs(each.r_peak - apex) < abs(nearest):
                nearest = each.r_peak - apex
        if abs(nearest) <= NEAR:
            lead.offset += FORGET * (nearest - lead.offset)
