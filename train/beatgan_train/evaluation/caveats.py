"""What has to be known before any figure: what warns of them, and what could not be measured.

In words, with the reason. Knows figures and labels; computes none.
"""

from collections.abc import Mapping, Sequence
from math import isnan

from beatgan_train.evaluation.baselines import BASELINES, LEAST_FITTED, TEMPLATE_AND_RR
from beatgan_train.evaluation.metrics import Gain, Scored

RANKED = "AUC, AP and best F1"


def no_advantage(over: Sequence[Gain], patients: int) -> list[str]:
    """A warning for what ``over`` template and timing is no gain that chance may not have made."""
    words = []
    for gain in over:
        low, high = gain.difference.interval.low, gain.difference.interval.high
        if isnan(low) or low > 0:
            continue
        if high >= 0:
            what = "adds nothing to template and timing that could be told from chance"
            where = "includes 0"
        else:
            what, where = "ranks worse than template and timing without it", "lies below 0"
        words.append(
            f"{gain.figure}: the network {what}: {gain.difference.value:+.3f} "
            f"[{low:+.3f}, {high:+.3f}] over {gain.baseline} on these {patients} patients; the "
            f"interval of the difference {where}"
        )
    return words


def not_measured(
    scored: Mapping[str, Scored], over: Sequence[Gain], fewest_fitted: int
) -> dict[str, str]:
    """Figures that there are none of, by name, and why.

    The first of ``scored`` is the model. ``fewest_fitted``: how many normal beats of other
    patients the baselines could be fitted to, where fewest.
    """
    model = next(iter(scored.values()))
    found: dict[str, str] = {}
    if one_class := _one_class(model):
        found[RANKED] = one_class
    if model.patients < 2:
        found["intervals"] = "they are over patients, and there is one"
    if left_out := [name for name in BASELINES if name not in scored]:
        found[", ".join(left_out)] = (
            f"they are fitted to normal beats of other patients, of which {LEAST_FITTED} are "
            f"needed and {fewest_fitted} there"
        )
    if any(isnan(gain.difference.interval.low) for gain in over) or not over:
        found["whether the network adds anything to template and timing"] = (
            one_class
            or (f"{TEMPLATE_AND_RR} could not be fitted" if TEMPLATE_AND_RR not in scored else "")
            or found.get("intervals", "too few patients have both normal and abnormal beats")
        )
    return found


def _one_class(scored: Scored) -> str:
    abnormal = scored.abnormal
    if not abnormal.any():
        return "no tested beat is abnormal"
    return "no tested beat is normal" if abnormal.all() else ""
