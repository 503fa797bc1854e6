"""Items as typed tables."""
