"""Lab Streaming Layer: ECG streams in, beats and alerts out as markers."""
