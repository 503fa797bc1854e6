"""Bytes on disk: arrays with checksums, artifacts, and what is verified."""
