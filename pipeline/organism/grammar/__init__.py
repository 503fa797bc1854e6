"""The grammar of answers: what writes them, and what reads them."""
