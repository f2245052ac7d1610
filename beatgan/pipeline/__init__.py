"""From chunks to messages: streams, their alarms, what of them survives. No socket, no clock."""
