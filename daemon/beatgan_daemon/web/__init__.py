"""The page for people: a process of its own that hears a daemon as any client does.

A crash, a flood or a fault of this process costs the daemon no frame and no alert.
"""
