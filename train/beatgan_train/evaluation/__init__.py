"""The figures of a model: metrics, intervals over patients, baselines."""
