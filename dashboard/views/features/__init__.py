"""Features: which push toward harm?"""
