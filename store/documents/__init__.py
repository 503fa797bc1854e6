"""Small JSON documents: prompts, and the manifest of a profile's models."""
