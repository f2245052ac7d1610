"""Which streams the page's server hears."""

from beatgan_daemon.web.attention import LINGER_S, MOST, Attention


def test_a_stream_is_heard_for_a_while_after_the_last_look() -> None:
    attention = Attention()
    assert attention.heard({"a", "b"}, 0.0) == {"a", "b"}
    assert attention.heard({"b"}, 5.0) == {"a", "b"}
    assert attention.heard({"a"}, LINGER_S) == {"a", "b"}  # it came back
    assert attention.heard(set(), LINGER_S + 6) == {"a"}
    assert attention.heard(set(), 2 * LINGER_S + 1) == set()


def test_where_it_is_crowded_those_looked_at_longest_ago_go_first() -> None:
    attention = Attention()
    attention.heard({"early"}, 0.0)
    attention.heard({"late"}, 1.0)
    many = {f"bed-{k}" for k in range(MOST - 1)}
    assert attention.heard(many, 2.0) == many | {"late"}
    more = {f"bed-{k}" for k in range(MOST + 5)}
    assert attention.heard(more, 3.0) == more
