"""Every array of every artifact: dims, dtype, unit and meaning; one module an artifact."""
