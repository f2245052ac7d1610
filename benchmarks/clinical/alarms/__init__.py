"""The alarms of annotated recordings beside the annotations: one module for each question."""
