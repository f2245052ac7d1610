"""nstdb: what is alarmed in noise, of the patient and of the signal; beside it the clean record.

Noise lies on two minutes of every four after the first five. An alarm counts where it is raised:
in the noise, up to `AFTER_S` after it, or elsewhere.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beatgan.ec57.episodes import RhythmReference, Span, common, length, union
from beatgan_train.training.coefficients.noise_stress import CLEAN_S, STRETCH_S
from benchmarks.clinical.alarms.alarm_episodes import PHYSIOLOGICAL, AlarmEpisode
from benchmarks.clinical.alarms.record_set import RecordSet
from benchmarks.clinical.alarms.report import Figure, clock, columns, share

AFTER_S = 5.0
PATIENTS, SNRS = ("118", "119"), ("e24", "e18", "e12", "e06", "e00", "e_6")
RECORDS = tuple(patient + snr for patient in PATIENTS for snr in ("", *SNRS))


@dataclass(frozen=True, slots=True)
class NoisyRecord:
    """One record: its alarms in the noisy stretches (``noisy``) and elsewhere (``clean``).

    Of ``seconds`` of noise, ``alarmed`` lie in a technical alarm, ``silent`` where beats could not
    be scored.
    """

    record: str
    seconds: float
    alarmed: float
    silent: float
    noisy: Sequence[AlarmEpisode]
    clean: Sequence[AlarmEpisode]
    beats: Sequence[str]  # the symbols of the reference beats around each alarm in ``noisy``


@dataclass(frozen=True, slots=True)
class Noise:
    """All records."""

    records: Sequence[NoisyRecord]

    def lines(self) -> Iterator[str]:
        """Alarms by code and stretch, one column for each record; then how much is technical."""
        names = [each.record for each in self.records]
        counts = [_counts(each) for each in self.records]
        keys = sorted({key for count in counts for key in count})
        yield "alarms raised while there is noise (118 and 119: in the same minutes, without it)"
        rows = {key: [f"{key[0]:9} {key[1]}", *(count[key] for count in counts)] for key in keys}
        head = ("", *names)
        yield from columns(head, [row for key, row in rows.items() if key[0] == "noisy"])
        yield ""
        yield "elsewhere"
        yield from columns(head, [row for key, row in rows.items() if key[0] == "clean"])
        yield ""
        for kind in ("physiological", "technical"):
            yield f"{kind} in noise (high): " + ", ".join(
                f"{each.record} {_count(each.noisy, kind)}" for each in self.records
            )
        yield ""
        yield from columns(
            ("seconds of noise", *names),
            [
                ["all", *(f"{each.seconds:.0f}" for each in self.records)],
                ["in a technical alarm", *(_part(e.alarmed, e.seconds) for e in self.records)],
                ["scoring suspended", *(_part(e.silent, e.seconds) for e in self.records)],
            ],
        )
        noisy = [e for each in self.records if "e" in each.record for e in each.noisy]
        yield f"technical: {share(sum(e.kind == 'technical' for e in noisy), len(noisy))} in noise"

    def details(self) -> Iterator[str]:
        """Each alarm of the patient in the noise."""
        yield from columns(
            ("in noise", "code", "priority", "raised", "onset", "end", "reference beats"),
            [
                (e.record, e.code, e.priority, *map(clock, (e.raised, e.onset, e.end)), beats)
                for each in self.records
                for e, beats in zip(each.noisy, each.beats, strict=True)
                if e.kind == PHYSIOLOGICAL
            ],
        )

    def figures(self) -> Iterator[Figure]:
        """High alarms of the patient in the noise, by its strength."""
        for snr in SNRS:
            some = [each for each in self.records if each.record.endswith(snr)]
            high = [e for x in some for e in x.noisy if e.kind == PHYSIOLOGICAL]
            text = " and ".join(
                f"{sum(e.priority == priority for e in high)} {priority}"
                for priority in ("high", "medium")
            )
            yield Figure(f"nstdb {int(snr[1:].replace('_', '-'))} dB: alarms in noise", text)


def _count(alarms: Sequence[AlarmEpisode], kind: str) -> str:
    some = [alarm for alarm in alarms if alarm.kind == kind]
    return f"{len(some)} ({sum(alarm.priority == 'high' for alarm in some)})"


def _part(some: float, seconds: float) -> str:
    return f"{some:.0f} ({100 * some / seconds:.0f} %)"


def _counts(record: NoisyRecord) -> Counter[tuple[str, str]]:
    both = (("noisy", record.noisy), ("clean", record.clean))
    return Counter((where, f"{e.code}, {e.priority}") for where, some in both for e in some)


def evaluate(records: RecordSet) -> Noise:
    """nstdb's records at every strength of noise, and those they were made of."""
    alarms = records.alarms(RECORDS)
    return Noise([noisy_record(records.reference(name), alarms[name]) for name in RECORDS])


def noisy_record(reference: RhythmReference, alarms: Sequence[AlarmEpisode]) -> NoisyRecord:
    """One record."""
    noise = noisy_spans(reference.seconds)
    noisy = [a for a in alarms if any(n.wider(0.0, AFTER_S).holds(a.raised) for n in noise)]
    alarmed = union([a.span for a in alarms if a.kind == "technical"])
    silent = union([span for alarm in alarms for span in alarm.silent])
    return NoisyRecord(
        reference.record,
        length(noise),
        length(common(noise, alarmed)),
        length(common(noise, silent)),
        noisy,
        [alarm for alarm in alarms if alarm not in noisy],
        [reference.around(alarm.span) for alarm in noisy],
    )


def noisy_spans(seconds: float) -> tuple[Span, ...]:
    """Where noise lies in a record so long."""
    begins = (CLEAN_S + 2 * STRETCH_S * k for k in range(int(seconds / STRETCH_S)))
    return tuple(Span(b, min(b + STRETCH_S, seconds)) for b in begins if b < seconds)
