"""Alerts to whoever takes HL7 v2 messages over MLLP, and says so."""
