"""Buckets that come to this shard and go from it while it runs, as the map says."""
