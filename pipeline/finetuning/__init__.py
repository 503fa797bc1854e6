"""One LoRA trainer, for the organism's adapters and for a user's finetunes."""
