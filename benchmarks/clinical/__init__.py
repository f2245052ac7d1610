"""How right the beats, the scores and the alarms are, on annotated recordings."""
