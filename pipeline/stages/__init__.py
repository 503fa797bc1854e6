"""One module a DVC stage: read params and inputs, call the science, write to the store."""
