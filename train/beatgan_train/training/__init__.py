"""How networks are trained, distilled and calibrated, and how alarm coefficients are fitted."""
