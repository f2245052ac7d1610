"""The wire format, both ways, as bytes. Knows no socket."""
