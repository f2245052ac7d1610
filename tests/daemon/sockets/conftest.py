"""Real sockets on loopback."""

from collections.abc import Iterator

import pytest
import zmq

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]


@pytest.fixture
def context() -> Iterator[Context]:
    """Ended with the test, once its sockets are closed."""
    with zmq.Context() as context:
        yield context


@pytest.fixture
def subscriber(context: Context) -> Iterator[Socket]:
    """A SUB socket that is subscribed to nothing yet."""
    with context.socket(zmq.SUB) as sub:
        sub.linger = 0
        yield sub
