"""``params.yaml``, typed; one module a section."""
