"""Steering: what happens when features are turned up or down, live."""
