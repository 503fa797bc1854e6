"""Words, colours and names."""
