"""Several daemons that share the streams: who has which bucket, and how one is handed over."""
