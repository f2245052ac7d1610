"""What several test modules build alike."""
