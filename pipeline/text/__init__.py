"""Text, token ids and labels."""
