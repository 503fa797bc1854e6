"""Arrays in, tables out, never torch: every number that a page draws or a stage stores."""
