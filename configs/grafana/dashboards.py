"""Writes the two Grafana dashboards: python configs/grafana/dashboards.py

Classic JSON (schema of version 1), which every Grafana since 9 reads; the newer schema is not read
by all that are in use. Panels are of the plainest three types. No panel knows a data source, a job
or an instance: all three are chosen on the page. No series has a stream's name, so neither has a
panel: who is ill is for `beatgan-daemon web` and `watch` to say.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).with_name("dashboards")
COLUMNS = 24  # of Grafana's grid
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OURS = 'job=~"$job", instance=~"$instance"'


@dataclass(frozen=True)
class Query:
    """A PromQL expression and what its lines are called: Grafana's ``{{label}}``."""

    expr: str
    legend: str = "{{instance}}"


@dataclass(frozen=True)
class Panel:
    """One picture. ``steps``: colours from a value on; ``words``: colour and word of a value."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    kind: str = "timeseries"
    width: int = 12
    height: int = 8
    steps: Sequence[tuple[float, str]] = ()
    words: dict[int, tuple[str, str]] = field(default_factory=dict)
    stacked: bool = False
    most: float | None = None
    hidden: Sequence[str] = ()  # columns of a table


def of(metric: str, **labels: str) -> str:
    """The series of ``metric`` that the page's variables choose, with these labels."""
    more = "".join(f', {name}="{value}"' for name, value in labels.items())
    return f"beatgan_{metric}{{{OURS}{more}}}"


def rate(metric: str, window: str = "$__rate_interval") -> str:
    """How fast a counter rises, a second."""
    return f"rate({of(metric)}[{window}])"


def increase(metric: str, *by: str) -> str:
    """What a counter gained from one point of the picture to the next, by these labels."""
    return f"sum by ({', '.join(('instance', *by))}) (increase({of(metric)}[$__rate_interval]))"


def share(part: str, *whole: str) -> str:
    """``part`` of the sum of ``whole``, from 0 to 1."""
    return f"{part} / ({' + '.join(whole)})"


def latency(quantile: float) -> str:
    """A quantile of the delay from the last needed sample to the message, in seconds."""
    buckets = f"sum by (instance, le) ({rate('alert_latency_seconds_bucket')})"
    return f"histogram_quantile({quantile}, {buckets})"


def under_way(priority: str) -> str:
    """Episodes of this priority; 0 where there is none, nothing where no daemon answers."""
    episodes = f"sum by (instance) ({of('alerts_active', priority=priority)})"
    return f"{episodes} or sum by (instance) (0 * {of('ready')})"


LOST = share(rate("samples_lost_total"), rate("samples_received_total"), rate("samples_lost_total"))
UNSCORED = f"sum by (instance) ({rate('beats_unscored_total')})"
SCORED = f"sum by (instance) ({rate('beats_scored_total')})"
QUALITY = f"sum by (instance, quality) ({rate('beats_by_quality_total')})"
ALL_QUALITIES = f"on (instance) group_left () sum by (instance) ({rate('beats_by_quality_total')})"
GOOD, BAD = "green", "red"
NONE = ((0, GOOD), (1, BAD))


def stat(title: str, description: str, unit: str, expr: str, **more: Any) -> Panel:
    """A figure for each instance, six in a row."""
    return Panel(title, description, unit, [Query(expr)], "stat", 4, 4, **more)


OPERATIONS = [
    stat(
        "Answers",
        "Whether Prometheus reaches the daemon. Where it does not, nobody's ECG is watched there.",
        "none",
        f"up{{{OURS}}}",
        words={0: ("NO", BAD), 1: ("yes", GOOD)},
    ),
    stat(
        "Ready",
        "Whether ECG may be sent to it. NO: overload, full, a thread hangs, the disk; /readyz.",
        "none",
        of("ready"),
        words={0: ("NO", BAD), 1: ("yes", GOOD)},
    ),
    stat("Streams", "Streams known, one a patient.", "short", of("streams_active")),
    stat(
        "Streams not served",
        "Streams held back because more ECG comes than can be served. These are not watched.",
        "short",
        of("streams_shed"),
        steps=NONE,
    ),
    stat(
        "Samples lost",
        "Share of all samples that never arrived, or came marked as lost.",
        "percentunit",
        LOST,
        steps=((0, GOOD), (0.001, "orange"), (0.01, BAD)),
    ),
    stat(
        "Delay, 99th percentile",
        "From the arrival of the last needed sample to the message; 0.25 s is the promise.",
        "s",
        latency(0.99),
        steps=((0, GOOD), (0.1, "orange"), (0.25, BAD)),
    ),
    Panel(
        "Rules that speak",
        "Alerts of configs/prometheus-rules.yml that fire now; docs/metrics.md says what to do.",
        "none",
        [Query('ALERTS{alertname=~"Beatgan.*", alertstate="firing", job=~"$job"}')],
        kind="table",
        hidden=("Time", "Value", "__name__", "alertstate", "job"),
    ),
    Panel(
        "What runs",
        "Version of the daemon and digest of the model that scores.",
        "none",
        [Query(of("build_info"))],
        kind="table",
        hidden=("Time", "Value", "__name__", "job"),
    ),
    Panel(
        "Samples",
        "Instants of ECG, whatever the number of leads. Repeated: seen before, or too late.",
        "cps",
        [
            Query(rate("samples_received_total"), "{{instance}} received"),
            Query(rate("samples_lost_total"), "{{instance}} lost"),
            Query(rate("samples_repeated_total"), "{{instance}} repeated"),
        ],
    ),
    Panel(
        "Share of samples lost",
        "Network, source, or a full queue. From 1 % on a rule speaks.",
        "percentunit",
        [Query(LOST)],
        steps=((0, GOOD), (0.01, BAD)),
    ),
    Panel(
        "Streams over time",
        "Known, and of those not served because of overload.",
        "short",
        [
            Query(of("streams_active"), "{{instance}} known"),
            Query(of("streams_shed"), "{{instance}} not served"),
        ],
    ),
    Panel(
        "Frames that were not taken as they came",
        "Rejected by reason (docs/protocol.md lists them), shed unread, or put in order.",
        "cps",
        [
            Query(
                f"sum by (instance, reason) ({rate('frames_rejected_total')})",
                "{{instance}} rejected: {{reason}}",
            ),
            Query(rate("frames_shed_total"), "{{instance}} shed"),
            Query(rate("frames_reordered_total"), "{{instance}} put in order"),
        ],
    ),
    Panel(
        "Delay of messages",
        "From the arrival of the last needed sample to the message, of beats and alerts.",
        "s",
        [Query(latency(q), f"{{{{instance}}}} {100 * q:g} %") for q in (0.5, 0.9, 0.99)],
        steps=((0, GOOD), (0.25, BAD)),
    ),
    Panel(
        "Beats",
        "Scored, revised when the next beat was known, and not scored for want of signal.",
        "cps",
        [
            Query(SCORED, "{{instance}} scored"),
            Query(rate("beats_revised_total"), "{{instance}} revised"),
            Query(UNSCORED, "{{instance}} not scored"),
        ],
    ),
    Panel(
        "Processor",
        "Cores in use. One core does the work: near 100 % the daemon is full.",
        "percentunit",
        [Query(rate("process_cpu_seconds_total"))],
        steps=((0, GOOD), (0.9, BAD)),
    ),
    Panel(
        "Memory",
        "Resident. It should not grow for days while streams do not.",
        "bytes",
        [Query(of("process_resident_memory_bytes"))],
    ),
    Panel(
        "Open files and connections",
        "In use, and how many there may be (LimitNOFILE=).",
        "short",
        [
            Query(of("process_open_fds"), "{{instance}} open"),
            Query(of("process_max_fds"), "{{instance}} limit"),
        ],
    ),
    Panel(
        "Time since the start",
        "It falls to 0 with each restart.",
        "s",
        [Query(f"time() - {of('process_start_time_seconds')}")],
        width=6,
    ),
    Panel(
        "Streams that went on after the start",
        "Restored from a checkpoint: their patients need not be learnt anew.",
        "short",
        [Query(of("streams_restored_total"))],
        width=6,
    ),
    Panel(
        "Journal, size on disk",
        "Near state.keep_mb older alerts go before state.keep_days.",
        "bytes",
        [Query(of("journal_bytes"))],
        width=6,
    ),
    Panel(
        "Journal, messages kept",
        "Alert messages that a client can still ask for.",
        "short",
        [Query(of("journal_alerts"))],
        width=6,
    ),
    Panel(
        "Journal, trouble",
        "Messages that wait for the disk, failed attempts, lost for good, deleted for age or size.",
        "short",
        [
            Query(of("journal_backlog"), "{{instance}} waiting"),
            Query(increase("journal_failures_total"), "{{instance}} failures"),
            Query(increase("journal_lost_total"), "{{instance}} lost"),
            Query(increase("journal_deleted_total", "reason"), "{{instance}} deleted: {{reason}}"),
        ],
    ),
    Panel(
        "Checkpoints",
        "Written and failed, from one point to the next.",
        "short",
        [
            Query(increase("checkpoints_total"), "{{instance}} written"),
            Query(increase("checkpoint_failures_total"), "{{instance}} failed"),
        ],
        width=6,
    ),
    Panel(
        "Age of the last checkpoint",
        "A restart loses so much of what was learnt. Nothing without state.dir.",
        "s",
        [Query(of("checkpoint_age_seconds"))],
        width=6,
        steps=((0, GOOD), (300, BAD)),
    ),
    Panel(
        "Clocks of sources",
        "The largest drift against the samples: RR intervals are wrong by as much.",
        "percentunit",
        [Query(of("clock_drift_ratio"))],
        width=6,
        steps=((0, GOOD), (0.001, BAD)),
    ),
    Panel(
        "Jumps of sources' clocks",
        "By more than a second against the samples.",
        "short",
        [Query(increase("clock_steps_total"))],
        width=6,
    ),
    Panel(
        "Connections refused",
        "By socket and reason: an old key, or somebody who tries.",
        "short",
        [
            Query(
                increase("connections_refused_total", "role", "reason"),
                "{{instance}} {{role}}: {{reason}}",
            )
        ],
    ),
    Panel(
        "Requests to the control socket",
        "By type and outcome.",
        "short",
        [
            Query(
                increase("control_requests_total", "type", "outcome"),
                "{{instance}} {{type}}: {{outcome}}",
            )
        ],
    ),
    Panel(
        "Streams shown live",
        "Streams whose ECG somebody is subscribed to at the tap: 0 while a page is open is wrong.",
        "short",
        [Query(of("tap_streams"))],
    ),
    Panel(
        "Frames to those who show ECG",
        "Sent on by the tap, and dropped because a client was too slow.",
        "cps",
        [
            Query(rate("tap_frames_total"), "{{instance}} sent"),
            Query(rate("tap_dropped_total"), "{{instance}} dropped"),
        ],
    ),
    Panel(
        "Buckets of streams",
        "Of daemons that share the streams: what each serves, and what it still waits for. "
        "Together they serve 256.",
        "short",
        [
            Query(of("buckets"), "{{instance}} served"),
            Query(of("buckets_awaited"), "{{instance}} awaited"),
        ],
    ),
    Panel(
        "Buckets that moved",
        "Without an operator, a restart or a death none should; and frames for which there was no "
        "room meanwhile.",
        "short",
        [
            Query(increase("bucket_moves_total", "direction"), "{{instance}} {{direction}}"),
            Query(increase("held_frames_dropped_total"), "{{instance}} frames dropped"),
        ],
    ),
    Panel(
        "Reloads",
        "Refused or failed: it runs with older settings than the file says.",
        "short",
        [Query(increase("reloads_total", "outcome"), "{{instance}} {{outcome}}")],
    ),
    Panel(
        "What could not be sent or logged",
        "Messages dropped by type, and lines of the log that are lost since the start.",
        "short",
        [
            Query(increase("messages_dropped_total", "type"), "{{instance}} {{type}}"),
            Query(of("log_lines_lost"), "{{instance}} lines of the log"),
        ],
    ),
]

ALARMS = [
    stat(
        "High priority ***",
        "Episodes under way, those included that are over and not acknowledged.",
        "short",
        under_way("high"),
        steps=NONE,
    ),
    stat(
        "Medium priority **",
        "Episodes under way.",
        "short",
        under_way("medium"),
        steps=((0, GOOD), (1, "yellow")),
    ),
    stat(
        "Low priority *",
        "Episodes under way.",
        "short",
        under_way("low"),
        steps=((0, GOOD), (1, "blue")),
    ),
    stat(
        "Not acknowledged",
        "Episodes of high priority that are over and that nobody has acknowledged.",
        "short",
        of("alerts_latched"),
        steps=NONE,
    ),
    stat(
        "Episodes held back, an hour",
        "Never published, because of the limits in [alarms].",
        "short",
        f"sum by (instance) (increase({of('alerts_suppressed_total')}[1h]))"
        f" or sum by (instance) (0 * {of('ready')})",
        steps=((0, GOOD), (30, "orange")),
    ),
    stat(
        "Messages a stream and hour",
        "What staff have to look at: alert messages of all phases in the last hour, by stream.",
        "short",
        f"sum by (instance) (increase({of('alerts_total')}[1h]))"
        f" / sum by (instance) ({of('streams_active')})",
    ),
    Panel(
        "Episodes under way now",
        "By code and priority. Whose they are, the page and `beatgan-daemon watch` say.",
        "short",
        [Query(f"sum by (instance, code, priority) ({of('alerts_active')}) > 0")],
        kind="table",
        hidden=("Time",),
    ),
    Panel(
        "Episodes under way",
        "By priority; latched ones included.",
        "short",
        [
            Query(
                f"sum by (instance, priority) ({of('alerts_active')})", "{{instance}} {{priority}}"
            )
        ],
        stacked=True,
    ),
    Panel(
        "Alert messages by code",
        "Of all phases, from one point to the next.",
        "short",
        [Query(increase("alerts_total", "code"), "{{instance}} {{code}}")],
        stacked=True,
    ),
    Panel(
        "Alert messages by priority",
        "Of all phases, from one point to the next.",
        "short",
        [Query(increase("alerts_total", "priority"), "{{instance}} {{priority}}")],
        stacked=True,
    ),
    Panel(
        "Not acknowledged over time",
        "Episodes of high priority that are over. A line that stays up is a patient nobody saw.",
        "short",
        [Query(of("alerts_latched"))],
    ),
    Panel(
        "Episodes held back by code",
        "It rises fast: a bad electrode, or limits too tight.",
        "short",
        [Query(increase("alerts_suppressed_total", "code"), "{{instance}} {{code}}")],
        stacked=True,
    ),
    Panel(
        "Signal of the beats",
        "Shares of good, poor and unusable. Where good falls, look at the electrodes.",
        "percentunit",
        [Query(f"{QUALITY} / {ALL_QUALITIES}", "{{instance}} {{quality}}")],
        stacked=True,
        most=1.0,
    ),
    Panel(
        "Share of beats that were not scored",
        "Their signal says nothing. From a fifth on a rule speaks.",
        "percentunit",
        [Query(share(UNSCORED, SCORED, UNSCORED))],
        steps=((0, GOOD), (0.2, BAD)),
    ),
]


def field_defaults(panel: Panel) -> dict[str, Any]:
    """Unit, colours and words of a panel's values."""
    colours = panel.steps or ((0, GOOD),)
    steps = [
        {"color": colour, "value": None if k == 0 else value}  # the first is for all below, too
        for k, (value, colour) in enumerate(colours)
    ]
    words = {
        str(value): {"text": word, "color": colour, "index": k}
        for k, (value, (word, colour)) in enumerate(panel.words.items())
    }
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": [{"type": "value", "options": words}] if words else [],
    }
    if panel.kind == "stat":
        defaults["color"] = {"mode": "thresholds"}
    if panel.kind == "timeseries":
        defaults["color"] = {"mode": "palette-classic"}
        defaults["min"] = 0
        defaults["custom"] = {
            "fillOpacity": 30 if panel.stacked else 0,
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "line" if panel.steps else "off"},
        }
    if panel.most is not None:
        defaults["max"] = panel.most
    return defaults


def options(panel: Panel) -> dict[str, Any]:
    """How a panel of this kind shows its values."""
    if panel.kind == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background" if panel.steps or panel.words else "value",
            "graphMode": "none",
            "textMode": "auto",
        }
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def panel_json(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    """A panel as Grafana stores it."""
    now = {"instant": True, "range": False} if panel.kind != "timeseries" else {"range": True}
    table = {"format": "table"} if panel.kind == "table" else {}
    hidden = {
        "id": "organize",
        "options": {"excludeByName": dict.fromkeys(panel.hidden, True)},
    }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": field_defaults(panel), "overrides": []},
        "options": options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + k),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                **now,
                **table,
            }
            for k, query in enumerate(panel.queries)
        ],
        "transformations": [hidden] if panel.hidden else [],
    }


def laid_out(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """The panels from left to right, and from the top down where a row is full."""
    placed = []
    x = y = row = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > COLUMNS:
            x, y, row = 0, y + row, 0
        placed.append(panel_json(panel, number, x, y))
        x, row = x + panel.width, max(row, panel.height)
    return placed


def variable(name: str, label: str, query: str) -> dict[str, Any]:
    """A choice of label values, several or all."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,  # whenever the time range changes: a daemon that is down stays on the list
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def dashboard(name: str, description: str, panels: Sequence[Panel]) -> dict[str, Any]:
    """A whole dashboard in the classic schema."""
    source = {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "current": {},
        "options": [],
    }
    return {
        "uid": f"beatgan-{name}",
        "title": f"beatgan / {name}",
        "description": description,
        "tags": ["beatgan"],
        "schemaVersion": 38,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "timezone": "",
        "links": [
            {
                "type": "dashboards",
                "title": "beatgan",
                "icon": "external link",
                "tooltip": "The other dashboard, of the same instances and time",
                "tags": ["beatgan"],
                "asDropdown": False,
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
            }
        ],
        "annotations": {"list": []},
        "templating": {
            "list": [
                source,
                variable("job", "Job", "label_values(beatgan_ready, job)"),
                variable(
                    "instance", "Instance", 'label_values(beatgan_ready{job=~"$job"}, instance)'
                ),
            ]
        },
        "panels": laid_out(panels),
    }


def files() -> dict[Path, str]:
    """Both dashboards' files and what stands in them."""
    operations = "Whether beatgan-daemon does its work: ECG in, delay, disk, callers, process."
    alarms = "How many alarms there are and how good the signal is. Not a medical device: no wall."
    made = [
        dashboard("operations", operations, OPERATIONS),
        dashboard("alarms", alarms, ALARMS),
    ]
    return {
        DASHBOARDS / f"{each['uid'].removeprefix('beatgan-')}.json": json.dumps(each, indent=2)
        + "\n"
        for each in made
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
