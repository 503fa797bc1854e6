"""One prompt to label, in the browser."""
