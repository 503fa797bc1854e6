"""Prompt files, and prompts that a person types."""
