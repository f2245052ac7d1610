"""Raw samples of one lead: resampled, graded, filtered, searched for QRS complexes."""
