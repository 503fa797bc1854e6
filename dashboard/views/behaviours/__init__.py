"""Behaviours: can the model do it?"""
