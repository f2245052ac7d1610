"""Several shards: the same beats and alerts as of one, kills, moves, throughput, upgrades."""
