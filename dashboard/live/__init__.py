"""The only door to torch: models that pages run."""
