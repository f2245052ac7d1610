"""Bridges between a daemon and what speaks another protocol; each a process of its own."""
