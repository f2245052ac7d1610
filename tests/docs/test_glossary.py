"""The glossary explains every public name."""

import re
from pathlib import Path

import msgspec
import pytest
import typer

import beatgan
from beatgan.alarms.codes import AlarmCode
from beatgan.protocol import messages
from beatgan_daemon.cli import app as daemon_app
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
        messages.AlertMessage,
        messages.StatusMessage,
        messages.Delay,
        messages.Explanation,
        messages.Totals,
    ]
    return {field.encode_name for kind in kinds for field in msgspec.structs.fields(kind)}


def commands() -> set[str]:
    groups = [typer.main.get_command(app) for app in (daemon_app, train_app)]
    return {name for group in groups for name in getattr(group, "commands", {})}


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
