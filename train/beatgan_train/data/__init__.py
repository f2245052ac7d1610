"""Databases and recordings, and the beats that the front end makes of them."""
