"""What signals are called: which names are those of ECG leads. Knows no file and no sample."""

import re

# The name itself, whatever its case, inside what recorders write round it: "ECG II", "Lead aVF",
# "modified lead II", "mod.V1", "III+", "V5 ECG".
LEAD = re.compile(
    r"(?:(?:ecg|ekg|lead|deriv\w*)[\s_.:-]*)*"
    r"(?P<modified>mod(?:ified|\.)?[\s_]*(?:lead[\s_]*)?)?"
    r"(?P<name>(?P<limb>d?i{1,3})|mli{1,3}|-?av[rlf]|m?v[1-9]?r?|mcl\d?|(?:cm|cc|ml|d)\d|v[xyz])"
    r"(?:[\s_+-]|ecg|ekg|lead)*",
    re.I,
)
ECG = re.compile(r"ecg|ekg", re.I)
OTHER = re.compile(
    r"noise|resp|pleth|ppg|spo2|\bart\b|abp|nibp|^bp|cvp|pap|icp|eeg|emg|eog|temp|flow|trig|marker"
    r"|^(time|sample|index|counter)\b",
    re.I,
)


def lead_name(name: str) -> str:
    """The bare name of a lead where it is a usual one, in the spelling that was found.

    "ECG II" and "DII" are II, "modified lead II" is MLII. Any other name stays as it is.
    """
    name = name.strip()
    if not (found := LEAD.fullmatch(name)):
        return name
    bare = found["name"]
    if found["limb"]:
        bare = bare.lstrip("dD")
    if not found["modified"]:
        return bare
    return ("ML" if found["limb"] else "M") + bare


def is_lead(name: str) -> bool:
    """Whether the name says that the signal is an ECG."""
    return bool(ECG.search(name) or LEAD.fullmatch(name.strip()))


def is_other(name: str) -> bool:
    """Whether the name says that the signal is none."""
    return bool(OTHER.search(name))
