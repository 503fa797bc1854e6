"""Ragged collections: one item a prompt, variant and setting."""
