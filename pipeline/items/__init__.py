"""Computing once: units of work, exact keys, the cache, executors. Knows no stage."""
