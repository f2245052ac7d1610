"""The pure core of beatgan: samples in, beats, scores and alerts out. No I/O, no clock."""
