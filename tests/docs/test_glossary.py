"""The glossary explains every public name, and no private word of old comes back."""

import re
import subprocess
from pathlib import Path

import msgspec
import pytest
import typer

import beatgan
from beatgan.alarms.codes import AlarmCode
from beatgan.protocol import messages
from beatgan_daemon.cli import COMMANDS
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.settings import Settings
from beatgan_train.cli import app as train_app

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
WORDS = set(re.findall(r"`([^`]+)`", GLOSSARY))


def settings() -> set[str]:
    """Sections and keys."""
    found = set()
    for section, field in Settings.model_fields.items():
        kind = field.annotation
        names = getattr(kind, "model_fields", None) or getattr(kind, "__dataclass_fields__", {})
        assert names, section
        found |= {section, *names}
    return found


def message_keys() -> set[str]:
    kinds: list[type[msgspec.Struct]] = [
        messages.BeatMessage,
        messages.Probabilities,
        messages.AlertMessage,
        messages.StatusMessage,
        messages.Delay,
        messages.Explanation,
        messages.Totals,
    ]
    return {field.encode_name for kind in kinds for field in msgspec.structs.fields(kind)}


def commands() -> set[str]:
    training = typer.main.get_group(train_app)
    return {*COMMANDS, *training.commands}


def metric_names() -> set[str]:
    families = Metrics("1", "2").registry.collect()
    suffix = {"counter": "_total", "info": "_info"}
    return {family.name + suffix.get(family.type, "") for family in families}


PUBLIC = {
    "exports": set(beatgan.__all__),
    "codes": {str(code) for code in AlarmCode},
    "settings": settings(),
    "message keys": message_keys(),
    "commands": commands(),
    "metrics": metric_names(),
}


@pytest.mark.parametrize("kind", PUBLIC)
def test_every_public_name_is_in_the_glossary(kind: str) -> None:
    assert PUBLIC[kind], kind
    assert PUBLIC[kind] - WORDS == set()


# Identifiers and words that a reader had to guess, retired for the field's own (CHANGELOG.md).
RETIRED = [
    *("Teller", "Desk", "Keeper", "Joiners", "Handover", "Outlet", "Doorkeeper", "Callers"),
    *("Keyring", "Ledger", "Intake", "Flood", "Allowance", "Shedding", "Unobserved"),
    *("Judge", "Turn", "Evidence", "Spell", "Standstill", "Strip", "Trainee"),
    *("Lesson", "Curriculum", "Graduate", "Notice", "Waiting"),
    *("tell_beat", "tell_change", "tell_strip", "telling", "changeover", "untold", "fall_ill"),
    *("well_since", "unlikeness", "beyond_usual", "rival", "hiss", "unrest", "bends", "chores"),
    *("surprise", "strange", "RELIEF", "judge", "chaos", "bell", "desk"),
    *("patience_s", "most_per_hour", "run_rate", "fibrillation_odds"),
]
WHERE_FORMER_NAMES_STAND = ("limits.py", "codes.py", "CHANGELOG.md", "glossary.md")
SHELLS = ("beatgan", "daemon", "train", "benchmarks", "docs", "configs", "systemd", "README.md")


def test_no_retired_word_is_in_code_or_docs() -> None:
    listed = subprocess.run(
        ["git", "ls-files", *SHELLS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("no git checkout here")
    word = re.compile(rf"\b({'|'.join(RETIRED)})\b")
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in listed.stdout.split()
        if name.endswith((".py", ".md", ".toml", ".j2", ".service", ".yml"))
        and not name.endswith(WHERE_FORMER_NAMES_STAND)
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if word.search(line)
    ]
    assert found == []
