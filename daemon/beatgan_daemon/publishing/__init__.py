"""The thread that journals alerts and publishes every message."""
