"""Finding pivotal prompts: rounds of drafts, each held against rules, the models' candidates and judges."""
