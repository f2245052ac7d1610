"""Beats to whom they are wanted by: one in a message, or many.

Knows of a beat nothing but its stream.
"""

from collections.abc import Sequence

from beatgan.protocol.messages import BeatMessage, encode_json, encode_lines
from beatgan.protocol.names import BEAT_BATCH, topic_of
from beatgan_daemon.sockets.publish_socket import PublishSocket

BATCH = 32  # beats: such a message is no longer than that of an alert


def send_beats(sink: PublishSocket, beats: Sequence[BeatMessage]) -> None:
    """Send them in order: nothing is encoded that nobody is subscribed to."""
    wanted = sink.wanted
    for start in range(0, len(beats), BATCH):
        some = beats[start : start + BATCH]
        if wanted.prefixes:
            for beat in some:
                topic = topic_of("beat", beat.stream)
                if wanted.singly(topic):
                    sink.send(topic, encode_json(beat))
        if wanted.batched:
            sink.send(BEAT_BATCH, encode_lines(some))
