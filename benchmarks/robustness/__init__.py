"""The daemon under kills, malformed frames and hostile senders."""
