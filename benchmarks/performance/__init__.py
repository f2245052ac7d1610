"""What the daemon costs in time and memory."""
