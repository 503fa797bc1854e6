"""Who labels candidate tokens: the lexicon, a model behind an API, or one on this machine."""
