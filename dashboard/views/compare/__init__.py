"""Compare: what does the adapter change on this prompt?"""
