"""Errors, hashing and atomic files: what everything else stands on."""
