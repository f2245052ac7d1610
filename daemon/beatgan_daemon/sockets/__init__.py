"""The three ZeroMQ sockets: ECG in, messages out, control."""
