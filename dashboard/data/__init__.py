"""What pages read of the store, cached."""
