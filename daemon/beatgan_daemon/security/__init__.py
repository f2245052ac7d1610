"""CURVE keys, the allow-list and the thread that authenticates every client."""
