"""Labels of candidate tokens: a journal of what people say, and which label counts. Needs no model."""
