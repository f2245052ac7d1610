"""The dashboards: as their script writes them, of a shape that Grafana shows, about our metrics.

Whether their queries have answers is for tests/e2e/test_prometheus.py to say.
"""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from configs.grafana.dashboards import COLUMNS, DASHBOARDS, files

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "metrics.md").read_text()
RULES = (ROOT / "configs" / "prometheus-rules.yml").read_text()
PROVISIONING = ROOT / "configs" / "grafana" / "provisioning"
SHOWN = {path.stem: json.loads(path.read_text()) for path in DASHBOARDS.glob("*.json")}
EXPLAINED = set(re.findall(r"^\| `(beatgan_\w+)`", DOCS, re.MULTILINE))
# Explained, and not worth a picture: mostly libraries, by docs/metrics.md.
NOT_SHOWN = {"beatgan_process_virtual_memory_bytes"}


@pytest.fixture(params=SHOWN)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = SHOWN[request.param]
    return found


def queries(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def metrics(text: str) -> set[str]:
    return {name.removesuffix("_bucket") for name in re.findall(r"beatgan_[a-z_]+", text)}


def test_the_files_are_what_the_script_writes() -> None:
    assert {path: path.read_text() for path in DASHBOARDS.iterdir()} == files()


def test_it_is_of_the_classic_schema(dashboard: dict[str, Any]) -> None:
    assert isinstance(dashboard["schemaVersion"], int)
    assert dashboard.keys() & {"apiVersion", "kind", "spec", "__inputs", "id"} == set()
    assert {panel["type"] for panel in dashboard["panels"]} <= {"timeseries", "stat", "table"}


def test_panels_are_told_apart(dashboard: dict[str, Any]) -> None:
    for key in ("id", "title"):
        values = [panel[key] for panel in dashboard["panels"]]
        assert len(values) == len(set(values)) > 10, key
    for panel in dashboard["panels"]:
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) > 0, panel["title"]


def test_panels_lie_side_by_side(dashboard: dict[str, Any]) -> None:
    places = {panel["title"]: panel["gridPos"] for panel in dashboard["panels"]}
    for place in places.values():
        assert 0 <= place["x"] < place["x"] + place["w"] <= COLUMNS
        assert min(place["y"], place["h"] - 1) >= 0
    for (one, a), (other, b) in combinations(places.items(), 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below, (one, other)


def test_the_grid_has_no_holes(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    area = sum(place["w"] * place["h"] for place in places)
    assert area == COLUMNS * max(place["y"] + place["h"] for place in places)


def test_each_panel_says_what_it_shows_and_in_what_unit(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["description"].endswith("."), panel["title"]


def test_it_is_bound_to_no_installation(dashboard: dict[str, Any]) -> None:
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance"]
    bound = [variables["job"], variables["instance"], *dashboard["panels"]]
    bound += [target for panel in dashboard["panels"] for target in panel["targets"]]
    for each in bound:
        assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for expr in queries(dashboard):
        for selector in re.findall(r"(?:beatgan_\w+|\bup\b)(.*?[})])", expr):
            assert selector.startswith('{job=~"$job", instance=~"$instance"'), expr


def test_rates_follow_the_zoom(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        windows = [re.findall(r"\[(.*?)\]", target["expr"]) for target in panel["targets"]]
        fixed = {window for found in windows for window in found} - {"$__rate_interval"}
        assert fixed <= ({"1h"} if panel["type"] == "stat" else set()), panel["title"]


def test_it_shows_metrics_that_there_are() -> None:
    assert {name for each in SHOWN.values() for name in metrics(json.dumps(each))} <= EXPLAINED


def test_what_is_worth_a_look_is_on_a_dashboard() -> None:
    shown = {name for each in SHOWN.values() for expr in queries(each) for name in metrics(expr)}
    assert EXPLAINED - shown == NOT_SHOWN


def test_each_rule_names_its_section_and_a_dashboard() -> None:
    sections = {heading.lower() for heading in re.findall(r"^### (\w+)$", DOCS, re.MULTILINE)}
    names = re.findall(r"- alert: (\w+)", RULES)
    books = re.findall(r'runbook_url: "docs/metrics\.md#(\w+)"', RULES)
    assert books == [name.lower() for name in names]
    assert set(books) == sections
    shown = re.findall(r'dashboard_url: "d/([\w-]+)(?:\?|")', RULES)
    assert len(shown) == len(names)
    assert set(shown) == {each["uid"] for each in SHOWN.values()}


def test_provisioning_names_no_source_by_uid() -> None:
    texts = [path.read_text() for path in PROVISIONING.rglob("*.yml")]
    assert len(texts) == 2
    assert not any("uid:" in text for text in texts)
