"""Who scores whole answers: the grammar, a model behind an API, one on this machine."""
