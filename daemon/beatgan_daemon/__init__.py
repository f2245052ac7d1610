"""The live shell: ZeroMQ in and out, metrics, logs, the clock. The core does the thinking."""
