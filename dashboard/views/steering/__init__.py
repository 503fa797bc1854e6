"""Steering: what happens if I turn this up?"""
