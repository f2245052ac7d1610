"""How many descriptors there may be and are."""

import os
import resource

import pytest

from beatgan_daemon import descriptors


def test_what_is_open_is_counted() -> None:
    before = descriptors.used()
    more = os.dup(1)
    assert descriptors.used() == before + 1
    assert descriptors.free() == descriptors.limit() - before - 1
    os.close(more)


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "limit"),
    [
        (1_024, 524_288, 65_536, 65_536),
        (1_024, 4_096, 4_096, 4_096),
        (256, 256, 256, 256),
        (524_288, 524_288, 524_288, 65_536),
        (1_024, resource.RLIM_INFINITY, 65_536, 65_536),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY, 65_536),
    ],
)
def test_the_soft_limit_is_raised(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int, limit: int
) -> None:
    now = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: now[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: now.append(both))
    descriptors.raise_limit()
    assert now[-1] == (raised, hard)
    assert descriptors.limit() == limit


def test_where_none_is_left_all_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: str) -> list[str]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "listdir", none_left)
    assert descriptors.used() == descriptors.limit()
