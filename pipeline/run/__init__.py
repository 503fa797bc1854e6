"""The edge of a program: arguments, determinism, reports."""
