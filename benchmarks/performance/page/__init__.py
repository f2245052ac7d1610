"""How fast the page draws, and what it costs who serves it."""
