"""Models enter here: one loader, one manifest, one set of health checks."""
