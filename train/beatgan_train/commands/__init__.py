"""The commands of beatgan-train, each to be read from top to bottom."""
