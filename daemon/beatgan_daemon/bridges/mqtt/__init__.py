"""MQTT 5: ECG from a broker, alerts and their state to it."""
