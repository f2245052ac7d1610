"""What `import beatgan` gives: one call from a signal to its beats, on the rooms below.

Opens the model file, and writes results where it is told to; knows no socket and no clock.
"""
