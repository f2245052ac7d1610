"""A daemon's memory through the engine: killed at any moment, it goes on with what was written."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan import frontend, jit
from beatgan.model.scorer import Scorer
from beatgan.pipeline.checkpointing import restore_streams
from beatgan.pipeline.engine import Engine
from beatgan.protocol.messages import AlertMessage, Message, StatusMessage
from beatgan.types import Floats
from tests.support.chunks import make_chunk
from tests.support.engine_on_disk import Daemon, pieces, timeless

FS = 360.0

NewEngine = Callable[..., tuple[Engine, Counter[str]]]


def test_the_source_is_not_read_while_it_runs(
    troubled: Floats, new_engine: NewEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have changed by then, or no descriptor be left."""
    jit.state_digest.cache_clear()
    frontend._named.cache_clear()
    daemon = Daemon(new_engine()[0])
    monkeypatch.setattr(jit, "_under", lambda _: pytest.fail("too late"))
    daemon.stop(daemon.receive(pieces(troubled, 0, 720), 0.0))
    assert daemon.checkpoints.keys() == {"bed", "cot"}


@settings(max_examples=15, deadline=None)
@given(
    at=st.integers(1, 21_000),
    size=st.integers(90, 2000),
    batch=st.integers(1, 40),
    revised=st.booleans(),
)
def test_a_clean_stop_and_a_start_change_no_beat_no_score_and_no_alert(
    at: int,
    size: int,
    batch: int,
    revised: bool,
    troubled: Floats,
    new_engine: NewEngine,
    new_revising_scorer: Callable[[], Scorer],
) -> None:
    scorer = {"scorer": new_revising_scorer()} if revised else {}
    whole = Daemon(new_engine(**scorer)[0])
    whole.receive(pieces(troubled, 0, len(troubled)), 0.0, step=0.0)
    whole.stop(0.0)
    before = Daemon(new_engine(batch_size=batch, **scorer)[0])
    now = before.receive(pieces(troubled, 0, at, size), 0.0, step=0.1)
    before.stop(now)
    after = before.restarted(new_engine(batch_size=batch, **scorer)[0], now)
    now = after.receive(pieces(troubled, at, len(troubled), size), now, step=0.1)
    after.stop(now)
    for stream in ("bed", "cot"):
        published = [m for m in timeless(before.messages + after.messages) if m.stream == stream]
        assert published == [m for m in timeless(whole.messages) if m.stream == stream]
    assert [m.state for m in after.messages if isinstance(m, StatusMessage)] == ["restored"] * 2


@settings(max_examples=40, deadline=None)
@given(
    kills=st.lists(st.integers(200, 20_000), min_size=1, max_size=5),
    hole=st.integers(0, 2000),
    revised=st.booleans(),
)
def test_whenever_it_is_killed_episodes_go_on_and_all_end_once(
    kills: list[int],
    hole: int,
    revised: bool,
    troubled: Floats,
    new_engine: NewEngine,
    new_revising_scorer: Callable[[], Scorer],
) -> None:
    scorer = {"scorer": new_revising_scorer()} if revised else {}
    daemon = Daemon(new_engine(**scorer)[0])
    messages: list[Message] = []
    now, start = 0.0, 0
    for stop in [*sorted(kills), len(troubled)]:
        now = daemon.receive(pieces(troubled, start, stop), now, step=0.5)
        if stop < len(troubled):
            messages += daemon.messages
            daemon = daemon.restarted(new_engine(**scorer)[0], now)
        start = max(start, min(stop + hole, len(troubled) - 400))
    for stream in daemon.engine.streams():
        daemon.engine.end(stream, now)
    daemon.stop(now)
    messages += daemon.messages
    assert [message.n for message in daemon.journal] == list(range(len(daemon.journal)))
    assert daemon.active() == {}
    assert daemon.phases()
    for phases in daemon.phases().values():
        assert (phases.count("start"), phases.count("end")) == (1, 1)
        assert (phases[0], phases[-1]) == ("start", "end")
    for stream in ("bed", "cot"):
        statuses = [m for m in messages if isinstance(m, StatusMessage)]
        published = [m for m in statuses if m.stream == stream]
        began = [m.sample for m in published if m.state == "started"][
            -1
        ]  # again, if never written down
        assert (
            published[-1].totals.received + published[-1].totals.lost
            == published[-1].sample - began
        )


def test_episodes_under_way_are_known_by_their_ids(troubled: Floats, new_engine: NewEngine) -> None:
    daemon = Daemon(new_engine(silence=5.0)[0])
    now = daemon.receive(pieces(troubled, 0, 13_320), 0.0)
    now += 6.0
    daemon.write(daemon.engine.poll(now).messages, now)
    codes = {message.code for message in daemon.active().values()}
    assert codes >= {"signal.flat", "signal.no-data"}
    lasting = {name for name, message in daemon.active().items() if not message.latched}
    assert daemon.engine.episodes() == lasting
    after = daemon.restarted(new_engine(silence=5.0)[0], 1000.0)
    assert after.engine.episodes() == lasting


@pytest.mark.parametrize("clean", [True, False])
def test_a_silence_goes_on_and_ends_with_the_next_frame(
    clean: bool, patient: Floats, new_engine: NewEngine
) -> None:
    before = Daemon(new_engine(silence=5.0)[0])
    now = before.receive(pieces(patient, 0, 7200), 0.0)
    now += 5.0
    before.write(before.engine.poll(now).messages, now)
    silent = [m for m in before.active().values() if m.code == "signal.no-data"]
    assert len(silent) == 2
    if clean:
        before.stop(now)
    after = before.restarted(new_engine(silence=5.0)[0], 5000.0)
    after.write(after.engine.poll(5100.0).messages, 5100.0)
    assert after.journal == before.journal  # it was told, and lasts
    after.receive(pieces(patient, 9000, 9360), 5100.0)
    ended = [m.id for m in after.messages if isinstance(m, AlertMessage) and m.phase == "end"]
    assert set(ended) >= {message.id for message in silent}


def test_a_restored_stream_that_stays_silent_is_told_and_then_forgotten(
    patient: Floats, new_engine: NewEngine
) -> None:
    before = Daemon(new_engine()[0])
    now = before.receive(pieces(patient, 0, 7200), 0.0)
    before.stop(now)
    after = before.restarted(new_engine(silence=5.0, forget=60.0)[0], 100.0)
    after.write(after.engine.poll(104.9).messages, 104.9)
    assert after.journal == before.journal
    after.write(after.engine.poll(105.0).messages, 105.0)
    assert "signal.no-data" in {m.code for m in after.active().values()}
    after.write(after.engine.poll(160.0).messages, 160.0)
    assert after.active() == {}
    assert (after.alarms, after.checkpoints) == ({}, {})
    assert after.engine.streams() == ()


def test_a_kill_before_the_first_checkpoint_is_told_as_a_gap(
    patient: Floats, new_engine: NewEngine
) -> None:
    before = Daemon(new_engine()[0], round_s=1e6)
    now = before.receive(pieces(patient, 0, 3600), 0.0)
    assert before.checkpoints == {}
    after = before.restarted(new_engine()[0], now)
    after.receive(pieces(patient, 7200, 10_800), now)
    states = [m for m in after.messages if isinstance(m, StatusMessage) and m.stream == "bed"]
    assert [m.state for m in states] == ["restored", "gap"]
    assert states[1].sample + states[1].lost == 7200


def test_nothing_is_kept_of_a_stream_of_which_something_waits_to_be_told(
    patient: Floats, new_engine: NewEngine
) -> None:
    daemon = Daemon(new_engine(batch_size=99, batch_age=1e3)[0], round_s=0.1)
    daemon.engine.receive(make_chunk(patient, 0), 0.0)
    other, _ = new_engine()
    other.receive(make_chunk(patient, 0), 0.0)
    alerts = [message for message in other.drain(0.0).messages if isinstance(message, AlertMessage)]
    assert alerts
    assert daemon.checkpointer.pending_writes(alerts, 10.0) == (
        {},
        [],
    )  # as when one was acknowledged


def test_only_the_damaged_stream_is_lost(patient: Floats, new_engine: NewEngine) -> None:
    before = Daemon(new_engine()[0])
    now = before.receive(pieces(patient, 0, 7200), 0.0)
    before.stop(now)
    damaged = {**before.checkpoints, "cot": before.checkpoints["cot"][:-9]}
    engine, counts = new_engine()
    (complaint,) = restore_streams(engine, [], damaged.items(), now)
    assert complaint == "cot: snapshot damaged: its checksum differs"
    assert engine.streams() == ("bed",)
    assert counts["streams"] == 1


def test_checkpoints_are_spread_and_saved_only_where_a_stream_goes_on(
    patient: Floats, new_engine: NewEngine
) -> None:
    daemon = Daemon(new_engine(silence=1e6)[0], round_s=10.0)
    saved: list[Any] = []
    now = 0.0
    for at in range(0, 21_600, 36):
        for stream in range(20 if at < 10_800 else 10):
            daemon.engine.receive(make_chunk(patient[at : at + 36], at, f"bed-{stream}"), now)
        writes = daemon.checkpointer.pending_writes(daemon.engine.drain(now).messages, now)
        assert len(writes.checkpoints) <= 2
        saved.append((now, [name for name, _ in writes.checkpoints]))
        now += 0.1
    late = Counter(name for when, names in saved if when >= 45 for name in names)
    assert set(late) == {f"bed-{stream}" for stream in range(10)}
    assert set(late.values()) <= {1, 2}
