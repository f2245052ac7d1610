"""Each bridge between a real daemon and its real counterpart, which is cut off and comes back."""
