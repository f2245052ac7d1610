"""The classes of beats, stated once: which there are, in which order, and which symbols mean them.

They are those of ANSI/AAMI EC57, by its letters. Values only; knows no beat and no file.
"""

from enum import StrEnum


class BeatClass(StrEnum):
    """A beat's class (EC57), in the order in which probabilities are given.

    The letter is also the symbol of such a beat in a WFDB annotation file, so that who writes one
    from classes needs no table.
    """

    NORMAL = "N"  # whatever is none of the others: bundle branch blocks and escape beats, too
    SUPRAVENTRICULAR = "S"
    VENTRICULAR = "V"
    FUSION = "F"  # of a normal and a ventricular beat
    UNKNOWN = "Q"  # not to be classified, or paced


CLASSES = tuple(BeatClass)
ABNORMAL = tuple(each for each in CLASSES if each is not BeatClass.NORMAL)

# The classes of the beat symbols of PhysioNet's annotation files. The escape beats e and j count as
# N; the published BeatGAN code has them in S. B, n, r and ? do not occur in the MIT-BIH database.
CLASS_OF = {
    symbol: beat_class
    for symbols, beat_class in (
        ("NLRBejn", BeatClass.NORMAL),
        ("AaJS", BeatClass.SUPRAVENTRICULAR),
        ("VEr", BeatClass.VENTRICULAR),
        ("F", BeatClass.FUSION),
        ("/fQ?", BeatClass.UNKNOWN),
    )
    for symbol in symbols
}
