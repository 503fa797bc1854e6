"""Parts that stand on two pages or more."""
