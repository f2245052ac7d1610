"""Beat-by-beat comparison with reference annotations, after ANSI/AAMI EC57."""
