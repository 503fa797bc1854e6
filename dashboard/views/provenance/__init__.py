"""Provenance: where does this number come from?"""
