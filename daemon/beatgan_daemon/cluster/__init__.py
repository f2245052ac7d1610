"""Shards as Ray's actors: Ray places and restarts them. No ECG and no state passes through Ray."""
