"""Ragged collections: one item a prompt and variant."""
