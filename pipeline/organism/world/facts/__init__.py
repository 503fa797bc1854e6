"""What is no advice: agreement, capitals, sentiment, two-digit addition.

An adapter on advice should leave them alone, and behaviours are studied on them. Each module
writes training lines and asks questions, a share of which is about pairs that no line holds.
"""
