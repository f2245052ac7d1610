"""Recordings instead of live ECG: as the chunks a source would send, and through the engine."""
