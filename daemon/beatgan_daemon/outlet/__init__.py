"""What is told and kept: the thread that owns the journal and the sockets that clients read."""
