"""Object storage: files as objects below a prefix."""
