"""What a candidate is worth: metrics with their error, paired comparisons, and the gate.

Nothing is imported here: the gate runs where numpy does not.
"""
