"""The offline shell: recordings to datasets, teacher, student, calibration and figures."""
