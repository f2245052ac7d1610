"""What the alerts of one episode say together: in words, in dots on a terminal, on ECG paper."""
