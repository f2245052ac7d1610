"""Which of a stream's leads is active: the best usable one. Knows no waveform.

Leads come in order of preference. A beat counts if the active lead has found it. Another lead
takes over where it is usable and the active one is not, or carried nothing all through the beat;
the best lead becomes active again once it has been usable for a while. No beat is reported twice,
or from both. A lead that has long carried nothing gives its place to the stream's next unused one.
"""

import numpy as np

from beatgan.beats.lead_pipeline import NEAR, Lead
from beatgan.jit import compiled
from beatgan.signal.signal_quality import IN_FLAT, IN_GAP, IN_HUM, IN_SATURATED
from beatgan.types import Records

RETURN = 3600  # samples (10 s) that a better lead must be usable before it is active again
REFRACTORY = 72  # samples (0.2 s) in which no second beat begins
DETACHED_AFTER = 1080  # samples (3 s) without signal before an unused lead is tried
STUCK = IN_FLAT | IN_SATURATED | IN_HUM  # what an electrode that is off brings about
NO_SIGNAL = STUCK | IN_GAP
AGREE, DISAGREE, UNKNOWN = 1, 0, -1  # whether another lead has found a beat, too, ...
AGREE_WITHIN = 36  # ... so many samples (100 ms) from where it should be: noise has peaks enough
FORGET = 0.2  # weight of the newest value in the running offset between two leads


@compiled
def set_condition(lead: Lead, condition: int, begins: int, at: int) -> None:
    """A condition (a bit of `signal_quality`) began or ended, as is known from ``at`` on."""
    lead.conditions = lead.conditions | condition if begins else lead.conditions & ~condition
    lead.usable_since = at


@compiled
def suspended(leads: Records[Lead]) -> bool:
    """Whether no lead is usable."""
    usable = 0
    for lead in leads:
        usable += lead.conditions == 0
    return usable == 0


@compiled
def is_detached(leads: Records[Lead], which: int, now: int) -> bool:
    """Whether lead ``which`` has long carried nothing, or hum, while the stream itself goes on."""
    has_signal = 0
    for each in leads:
        has_signal += each.conditions & IN_GAP == 0
    stuck: bool = leads[which].conditions & STUCK != 0
    alone: bool = leads[which].conditions & IN_GAP != 0 and has_signal > 0
    long: bool = now - leads[which].usable_since >= DETACHED_AFTER
    return (stuck or alone) and long


@compiled
def position(lead: Lead, r_peak: int) -> int:
    """Where the active lead would have the R peak that this lead has at ``r_peak``."""
    return r_peak + int(np.floor(0.5 - lead.offset))  # a count may be too large for a float


@compiled
def counts(
    leads: Records[Lead], active_lead: int, which: int, now: int, r_peak: int, no_change_run: int
) -> bool:
    """Whether the beat of lead ``which`` at ``r_peak`` counts, while ``active_lead`` is in use.

    ``now`` is the index of the sample with which it can be reported; by then the active lead has
    carried nothing for ``no_change_run`` samples (see `signal_quality.run`).
    """
    if leads[which].conditions:
        return which == active_lead and suspended(leads)
    if which == active_lead:
        return True
    empty: bool = no_change_run >= now - r_peak
    better: bool = which < active_lead and now - leads[which].usable_since >= RETURN
    return leads[active_lead].conditions != 0 or empty or better


@compiled
def compare_r_peaks(leads: Records[Lead], active_lead: int, r_peak: int, now: int) -> int:
    """Whether another lead has found, by ``now``, the beat that is reported at ``r_peak``.

    AGREE, DISAGREE, or UNKNOWN where no other lead carries signal, be it noise. By how much a
    usable lead's R peaks are later than the active one's is learnt from those that it has found.
    """
    agreement = UNKNOWN
    for which in range(leads.size):
        lead = leads[which]
        if which == active_lead or lead.conditions & NO_SIGNAL:
            continue
        nearest = NEAR + 1
        if abs(lead.previous - r_peak) < nearest:
            nearest = lead.previous - r_peak
        for k in range(lead.waiting):
            each = lead.found[k]
            if each.confirmed <= now and abs(each.r_peak - r_peak) < abs(nearest):
                nearest = each.r_peak - r_peak
        agrees = abs(nearest - lead.offset) <= AGREE_WITHIN
        agreement = max(agreement, AGREE if agrees else DISAGREE)
        if abs(nearest) <= NEAR and not lead.conditions:
            lead.offset += FORGET * (nearest - lead.offset)
    return agreement
