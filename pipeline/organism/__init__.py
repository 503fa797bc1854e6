"""The model organism: a language model, its transcoders and its adapters, trained in minutes."""
