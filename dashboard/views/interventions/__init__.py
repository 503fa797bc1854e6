"""Interventions: what is causal."""
