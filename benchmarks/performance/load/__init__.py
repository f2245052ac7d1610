"""How many streams the real daemon carries on one core, in processes of its own."""
