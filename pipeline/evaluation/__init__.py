"""What a model says: sampled continuations."""
