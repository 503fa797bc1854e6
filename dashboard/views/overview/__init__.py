"""Overview: what was found?"""
