"""What a model can do, a file each: prompts with a right and a wrong answer, and how probable these are."""
