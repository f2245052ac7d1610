"""The networks as torch modules: for training, for a GPU, and for what has no compiled pass.

Imported by training, and by `beatgan.model.optional_torch` alone where torch may be missing.
"""
