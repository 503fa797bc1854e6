"""Labels: what do people and judges say about these tokens?"""
