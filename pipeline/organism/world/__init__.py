"""What the organism reads: situations, open questions, answers, facts, and the corpus made of them."""
