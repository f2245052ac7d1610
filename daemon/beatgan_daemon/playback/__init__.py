"""Recordings sent as live ECG; synthetic ones that compile what a daemon runs."""
