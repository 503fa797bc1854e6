"""One module a DVC stage: read params and inputs, call the science, write to the store."""

from pipeline.run.interrupts import end_on_interrupt

end_on_interrupt()
