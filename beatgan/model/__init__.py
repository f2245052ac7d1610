"""The network and its calibration: beats in, scores out; and the file that holds all of it."""
