"""Upkeep of the item cache."""
