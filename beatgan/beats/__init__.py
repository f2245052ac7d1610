"""From one stream's leads to beats, each in its patient's context, and to changes of the signal."""
