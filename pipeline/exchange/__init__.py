"""Exchange with circuit-tracer and Neuronpedia: ``python -m pipeline.exchange --help``."""

from pipeline.run.interrupts import end_on_interrupt

end_on_interrupt()
