"""The command line of training: options in, exit codes out. Does no work of its own."""

import sys
from collections.abc import Callable
from dataclasses import replace
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import torch
import typer
from rich.console import Console

from beatgan.ec57.annotations import ANNOTATOR
from beatgan.ec57.beat_matching import WINDOW_S
from beatgan.errors import ArtifactError, BeatganError, UsageError
from beatgan.model.shipped import SHIPPED
from beatgan_train.commands import bxb as comparison
from beatgan_train.commands import coefficients as fitting
from beatgan_train.commands import evaluate as evaluation
from beatgan_train.commands.context import make_context
from beatgan_train.commands.student import make_student
from beatgan_train.commands.teacher import TrainingPaths, make_teacher
from beatgan_train.data import physionet as fetching
from beatgan_train.data.evaluation_set import Database
from beatgan_train.data.patients import BY_PLACE, patient_rule
from beatgan_train.data.source import Mode, Protocol
from beatgan_train.data.splits import FOLDS
from beatgan_train.progress import TerminalProgress
from beatgan_train.report.model_card import fill_in
from beatgan_train.training.calibrate import FLAGGED
from beatgan_train.training.coefficients import read_coefficients
from beatgan_train.training.context import ContextOptions
from beatgan_train.training.distillation import DistillationOptions
from beatgan_train.training.distributed import local_device, process_group, rank
from beatgan_train.training.gan import TeacherOptions
from beatgan_train.training.model_file import convert as convert_model
from beatgan_train.training.model_file import write
from beatgan_train.training.options import Flag

USAGE, REFUSED = 2, 3  # exit codes; 0 is done, 1 a crash
WIDTH = 140  # columns of a table that is written to a file

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Data = Annotated[
    Path,
    typer.Option(
        envvar="BEATGAN_DATA",
        help="Folder with the MIT-BIH records (WFDB), or with a folder of them; "
        "for --protocol own: with your recordings (WFDB, EDF, CSV).",
        exists=True,
        file_okay=False,
    ),
]
Out = Annotated[Path, typer.Option(help="The model file to write.", dir_okay=False)]
Run = Annotated[
    Path | None,
    typer.Option(help="Folder for checkpoint, history and pictures.", show_default="runs/OUT"),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the run's checkpoint.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads.", show_default="all")]
Annotator = Annotated[str, typer.Option(help="Suffix of the WFDB annotations, for --protocol own.")]
Patients = Annotated[
    Path | None,
    typer.Option(
        help="CSV file with the columns record,patient: whose each of your own recordings is. "
        "Without it a folder is a patient, and a file in none is one.",
        dir_okay=False,
    ),
]
PatientPattern = Annotated[
    str | None,
    typer.Option(
        help="Instead: a regular expression whose one group finds the patient in a recording's "
        "name, such as '^([^_]+)_'."
    ),
]
TestFold = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=FOLDS - 1,
        help="For --protocol own: learn nothing from this fifth of the patients, to test on it.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda[:N].")]


def takes(kind: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the parameter ``options`` of a command from flags: one for each field with a Flag."""
    hints = get_type_hints(kind, include_extras=True)
    fields = {name: hint for name, hint in hints.items() if get_origin(hint) is Annotated}

    def with_flags(command: Callable[..., None]) -> Callable[..., None]:
        def run(**values: Any) -> None:
            given = {name: values.pop(name) for name in fields}
            for name in fields:
                if _flag(fields[name]).retired and given[name] != getattr(kind, name):
                    typer.echo(
                        f"beatgan-train: {_spelled(name)} goes with the next release", err=True
                    )
            command(options=kind(**given), **values)

        own = signature(command).parameters.values()
        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in own if p.name != "options"]
        for name, hint in fields.items():
            shown: Any = Annotated[get_args(hint)[0], _typer_option(_flag(hint))]
            default = getattr(kind, name)
            parameters.append(
                Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=shown)
            )
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return with_flags


def _flag(hint: Any) -> Flag:
    flag: Flag = get_args(hint)[1]
    return flag


def _typer_option(flag: Flag) -> Any:
    return typer.Option(min=flag.min, max=flag.max, help=flag.help or None, hidden=flag.retired)


def _spelled(name: str) -> str:
    return "--" + name.replace("_", "-")


@app.callback()
def describe() -> None:
    """Train, distil and evaluate beatgan's models. Research software, not a medical device."""


@app.command()
@takes(TeacherOptions)
def teacher(
    options: TeacherOptions,
    data: Data,
    out: Out,
    mode: Annotated[
        Mode, typer.Option(help="full: in the patient's context; beat: as BeatGAN sees it.")
    ] = "full",
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="interpatient: DS1 only; beatgan: shuffled over patients; "
            "own: every recording under DATA."
        ),
    ] = "interpatient",
    annotator: Annotator = ANNOTATOR,
    patients: Patients = None,
    patient_pattern: PatientPattern = None,
    test_fold: TestFold = None,
    fold: Annotated[int, typer.Option(min=0, help="Which fifth is held out.")] = 0,
    device: Device = "auto",
    threads: Threads = None,
    run: Run = None,
    resume: Resume = False,
) -> None:
    """Train a BeatGAN teacher on normal beats."""
    rule = patient_rule(patients, patient_pattern)
    folder = run or Path("runs") / out.stem
    paths = TrainingPaths(data, out, folder, resume, annotator, rule, test_fold)
    _use(threads)
    with process_group(), progress() as terminal:
        artifact = make_teacher(
            paths, options, mode, protocol, fold, local_device(device), terminal
        )
        terminal.say(f"wrote {out} ({artifact.digest})")


@app.command()
@takes(DistillationOptions)
def distill(
    options: DistillationOptions,
    data: Data,
    teacher: Annotated[
        list[Path], typer.Option(help="A teacher's model file; several make an ensemble.")
    ],
    out: Out,
    hold_out_family: Annotated[
        list[str] | None, typer.Option(help="A family of altered beats not to train on.")
    ] = None,
    flagged: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of normal beats above the threshold.")
    ] = FLAGGED,
    annotator: Annotator = ANNOTATOR,
    patients: Patients = None,
    patient_pattern: PatientPattern = None,
    test_fold: TestFold = None,
    threads: Threads = None,
    run: Run = None,
    resume: Resume = False,
) -> None:
    """Distil a student from one or several teachers, calibrate and export it with its card."""
    options = replace(options, held_out_families=tuple(hold_out_family or ()))
    rule = patient_rule(patients, patient_pattern)
    folder = run or Path("runs") / out.stem
    paths = TrainingPaths(data, out, folder, resume, annotator, rule, test_fold)
    _use(threads)
    with process_group(), progress() as terminal:
        artifact = make_student(paths, teacher, options, flagged, terminal)
        terminal.say(f"wrote {out} ({artifact.digest}) and {out.with_suffix('.md')}")


@app.command()
def evaluate(
    data: Data,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="The model file; of several each scores whom it has not seen.",
            show_default="the shipped student",
        ),
    ] = None,
    protocol: Annotated[
        Protocol | None,
        typer.Option(
            help="What to test on; own: every annotated recording under DATA.",
            show_default="interpatient",
        ),
    ] = None,
    database: Annotated[
        Path | None,
        typer.Option(
            help="Test on every annotated recording of this folder of DATA (or anywhere), "
            "such as svdb, instead."
        ),
    ] = None,
    annotator: Annotated[
        str, typer.Option(help="Suffix of the WFDB annotations, for --database and own.")
    ] = ANNOTATOR,
    patients: Patients = None,
    patient_pattern: PatientPattern = None,
    include_seen: Annotated[
        bool,
        typer.Option(
            "--include-seen",
            help="With --database or own: also patients that the model has seen.",
        ),
    ] = False,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="The --json of another database's evaluation, for one table of all."),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="Evaluate what `beatgan-daemon score` wrote."),
    ] = None,
    one_lead: Annotated[
        bool, typer.Option("--one-lead", help="Look at no recording's second lead.")
    ] = False,
    label_free: Annotated[
        bool, typer.Option("--label-free", help="Without what was learnt from labels.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write all figures here.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write index.html and more here.")] = None,
    card: Annotated[Path | None, typer.Option(help="The model's card, to fill in.")] = None,
    threads: Threads = None,
) -> None:
    """Measure a model on beats of patients it never saw, the trivial baselines beside it."""
    rule = patient_rule(patients, patient_pattern)
    folder = data if protocol == "own" else None
    if database is not None:
        if protocol or card:
            raise UsageError(
                "--database goes without --protocol and --card, which are of mitdb's sets"
            )
        folder = _folder(data, database)
    if folder is None and (include_seen or annotator != ANNOTATOR or rule != BY_PLACE):
        raise UsageError(
            "--include-seen, --annotator, --patients and --patient-pattern go with --database or "
            "--protocol own"
        )
    if folder is not None and card:
        raise UsageError("--protocol own goes without --card, which is of mitdb's sets")
    _use(threads)
    found = evaluation.run(
        model or SHIPPED,
        data,
        protocol or "interpatient",
        database=None if folder is None else Database(folder, annotator, include_seen, rule),
        beside=beside or (),
        json_file=json,
        report_dir=report,
        scores=scores,
        one_lead=one_lead,
        label_free=label_free,
        console=_console(),
    )
    if card is not None:
        fill_in(card, found)


@app.command()
@takes(ContextOptions)
def context(
    options: ContextOptions,
    data: Annotated[
        Path,
        typer.Option(
            envvar="BEATGAN_DATA",
            help="Folder with the folders mitdb, svdb and cinc2017.",
            exists=True,
            file_okay=False,
        ),
    ],
    student: Annotated[
        Path,
        typer.Option(help="What `distill` wrote.", dir_okay=False),
    ],
    out: Out,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(help="A database that nothing is learnt from, to be tested on."),
    ] = None,
    flagged: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of normal beats above the threshold.")
    ] = FLAGGED,
    threads: Threads = None,
    run: Run = None,
    resume: Resume = False,
) -> None:
    """Give a student networks of timing and class, from beats of several databases."""
    paths = TrainingPaths(data, out, run or Path("runs") / out.stem, resume)
    _use(threads)
    with process_group(), progress() as terminal:
        artifact = make_context(paths, student, leave_out or (), options, flagged, terminal)
        terminal.say(f"wrote {out} ({artifact.digest}) and {out.with_suffix('.md')}")


@app.command()
def bxb(
    reference: Annotated[Path, typer.Argument(help="Annotated WFDB record, or folder of them.")],
    test: Annotated[
        Path,
        typer.Argument(help="JSON Lines of `beatgan-daemon score`; or as --test-annotator says."),
    ],
    annotator: Annotated[str, typer.Option(help="Suffix of the reference.")] = ANNOTATOR,
    test_annotator: Annotated[
        str | None, typer.Option(help="TEST is a WFDB record or folder annotated in this suffix.")
    ] = None,
    window_ms: Annotated[
        float, typer.Option(min=1, help="How far a detection may be from its beat.")
    ] = 1000 * WINDOW_S,
    start: Annotated[float, typer.Option(min=0, help="Count from this second on; EC57: 300.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write all figures here.")] = None,
) -> None:
    """Compare beats with a reference, beat by beat, after ANSI/AAMI EC57."""
    comparison.run(
        reference,
        test,
        annotator=annotator,
        test_annotator=test_annotator,
        window_s=window_ms / 1000,
        start_s=start,
        json_file=json,
        console=_console(),
    )


@app.command()
def fetch(
    database: Annotated[str, typer.Argument(help="PhysioNet's short name, such as mitdb.")],
    data: Annotated[
        Path, typer.Option(envvar="BEATGAN_DATA", help="Folder to put its folder into.")
    ] = Path("data"),
) -> None:
    """Download a PhysioNet database; what broke off goes on."""
    fetching.run(database, data, console=Console())


@app.command()
def coefficients(
    data: Data,
    out: Annotated[Path, typer.Option(help="The JSON file to write.", dir_okay=False)],
    model: Annotated[
        Path | None,
        typer.Option(
            help="The model to whose scores ventricular beats and rhythms are fitted.",
            dir_okay=False,
        ),
    ] = None,
    fold_models: Annotated[
        Path | None,
        typer.Option(
            help="A folder for the models of the cross-validation, and folds.json beside them.",
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Refit the alarms' coefficients to mitdb, nstdb and cudb, and with a model to svdb, cinc2015
    and cinc2017, beside the present ones."""
    fitting.run(data, out, model, typer.echo, fold_models)
    typer.echo(f"wrote {out}")


@app.command()
def convert(
    old: Annotated[
        Path,
        typer.Argument(
            help="A model file of this release or of an earlier one.",
            dir_okay=False,
        ),
    ],
    out: Out,
    coefficients: Annotated[
        Path | None,
        typer.Option(
            help="What `coefficients` wrote, instead of the model's own.",
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Bring a model file to this release, or give it other alarm coefficients: its self-test is
    made anew, once most of its beats had the scores that it was written with."""
    others = None if coefficients is None else read_coefficients(coefficients)
    write(convert_model(old, others), out)
    typer.echo(f"wrote {out}")


def main() -> None:
    """Run the command line; errors raised on purpose become one line and an exit code."""
    try:
        app()
    except ArtifactError as error:
        sys.exit(_complain(error, REFUSED))
    except BeatganError as error:
        sys.exit(_complain(error, USAGE))


def _complain(error: BeatganError, code: int) -> int:
    who = f"beatgan-train: rank {rank()}" if rank() else "beatgan-train"
    typer.echo(f"{who}: {error}", err=True)
    return code


def _folder(data: Path, name: Path) -> Path:
    """The folder ``name`` in ``data`` or, if there is none, as it stands."""
    places = (data / name, name)
    for place in places:
        if place.is_dir():
            return place
    raise UsageError(f"--database: there is no folder {' or '.join(map(str, places))}")


def progress() -> TerminalProgress:
    """Shown by the first of several processes alone."""
    return TerminalProgress(Console(quiet=rank() > 0))


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def _use(threads: int | None) -> None:
    if threads is not None:
        torch.set_num_threads(threads)
