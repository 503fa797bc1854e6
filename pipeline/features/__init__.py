"""Features of a model: activations, strongest contexts, promoted tokens."""
