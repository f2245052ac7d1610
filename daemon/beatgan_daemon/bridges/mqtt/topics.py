"""Topics at the broker. They are an interface: a changed topic breaks whoever automates on it."""

from typing import Final, Literal

from beatgan.errors import UsageError
from beatgan.protocol.names import ECG, stream_of_topic

PREFIX: Final = "beatgan/v1"
Kind = Literal["ecg", "alert", "active", "beat"]


class Topics:
    """Those below one prefix."""

    def __init__(self, prefix: str = PREFIX) -> None:
        """Raises UsageError where nothing can be published below it."""
        if not prefix or prefix.startswith(("/", "$")) or prefix.endswith("/"):
            raise UsageError(f"--topic {prefix}: expected such as {PREFIX}")
        if any(sign in prefix for sign in "+#\0"):
            raise UsageError(f"--topic {prefix}: it has a wildcard; expected such as {PREFIX}")
        self._prefix = prefix

    def of(self, kind: Kind, stream: str) -> str:
        """Of one stream."""
        return f"{self._prefix}/{kind}/{stream}"

    def all(self, kind: Kind) -> str:
        """What to subscribe to for those of all streams."""
        return f"{self._prefix}/{kind}/+"

    @property
    def status(self) -> str:
        """Whether the bridge that publishes alerts is there."""
        return f"{self._prefix}/status"

    def stream(self, kind: Kind, topic: str) -> str | None:
        """The stream's name in a topic; None: no stream can have it."""
        head = f"{self._prefix}/{kind}/"
        if not topic.startswith(head):
            return None
        return stream_of_topic(ECG + topic.removeprefix(head).encode())
