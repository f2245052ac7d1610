"""Recordings of any format as beats, labelled by the annotation that lies beside each, if any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from beatgan.coefficients import AlarmCoefficients
from beatgan.ec57.annotations import NO_BEATS, Reference, read_reference
from beatgan.errors import BeatganError, RecordError
from beatgan.records import Recording, read_recording
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat
from beatgan_train.data.beat_set import BeatSet, beat_set, beats_of
from beatgan_train.data.reading import ForEach, in_turn, read_each


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRecording:
    """One recording's beats, and the reference that labelled them, in the recording's samples.

    Without a reference, which must have beats, all labels are empty.
    """

    beats: BeatSet
    reference: Reference | None


def open_all(
    files: Mapping[str, Path],
    spec: PreprocessSpec,
    coefficients: AlarmCoefficients,
    annotator: str,
    progress: Progress | None = None,
    for_each: ForEach = in_turn,
) -> Sequence[LabelledRecording]:
    """The recordings ``files``, by name, with the annotations that lie beside them.

    ``annotator`` is the annotations' suffix. Raises RecordError naming every file that is
    unreadable.
    """

    def one(name: str) -> LabelledRecording | str:
        file = files[name]
        try:
            return _open(name, file, spec, coefficients, annotator)
        except BeatganError as error:
            return str(error) if str(file.parent) in str(error) else f"{file}: {error}"

    found = read_each(one, [*files], progress, for_each)
    if faults := [each for each in found if isinstance(each, str)]:
        raise RecordError(f"{len(faults)} of {len(files)} are unreadable:\n" + "\n".join(faults))
    return [each for each in found if not isinstance(each, str)]


def is_annotated(file: Path, annotator: str) -> bool:
    """Whether an annotation file lies beside the recording ``file``."""
    base = file.with_suffix("")
    return base.with_name(f"{base.name}.{annotator}").is_file()


def _open(
    name: str, file: Path, spec: PreprocessSpec, coefficients: AlarmCoefficients, annotator: str
) -> LabelledRecording:
    recording = read_recording(file)
    beats: list[Beat] = beats_of(recording, spec, coefficients)
    reference = _reference(file, recording, annotator)
    return LabelledRecording(beat_set(name, beats, reference or NO_BEATS, spec), reference)


def _reference(file: Path, recording: Recording, annotator: str) -> Reference | None:
    """The annotation beside ``file``, in the recording's samples; None if it has no beat there."""
    if not is_annotated(file, annotator):
        return None
    base = file.with_suffix("")
    found = read_reference(base, annotator, None if file.suffix == ".hea" else recording.fs)
    inside = found.at(recording.fs).within(len(recording.samples))
    return inside if len(inside.sample) else None
