"""Exchange with circuit-tracer and Neuronpedia: ``python -m pipeline.exchange --help``."""
