"""Recipes: what is done to a model, named, noted and kept in git. Knows no torch."""
