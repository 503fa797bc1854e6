"""Behaviours: can the model do it, and by which circuit?"""
