"""From scores, signal changes and rhythm status to alarms: one detector for each family."""
