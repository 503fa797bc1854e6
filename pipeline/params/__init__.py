"""``params.yaml``, typed: the only place where a number is chosen; one module a section."""
