"""Recordings instead of live ECG: through the engine without a socket, or sent as a source."""
