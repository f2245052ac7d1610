"""Print every alert of a daemon, as it comes.

pip install pyzmq
python alerts.py                        # of tcp://127.0.0.1:5556
python alerts.py tcp://HOST:5556
"""

import json
import sys

import zmq


def main(endpoint="tcp://127.0.0.1:5556"):
    """Subscribe to the topics ``alert.STREAM``; a message has two parts, topic and JSON."""
    socket = zmq.Context().socket(zmq.SUB)
    socket.connect(endpoint)
    socket.subscribe("alert.")
    print(f"listening to {endpoint}", flush=True)
    while True:
        _topic, body = socket.recv_multipart()
        alert = json.loads(body)
        # An alert is said when it starts, at each change and when it ends, with the same id.
        # Where the code says it all there is no text.
        words = [alert["priority"], alert["phase"], alert["code"], alert.get("text", "")]
        print(alert["stream"], *words, sep="  ", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
