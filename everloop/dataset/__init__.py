"""Training data: the contract rows keep, history files, snapshots and their splits.

Modules that need pandas are imported by name; importing this package brings nothing in.
"""
