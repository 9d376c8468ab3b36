"""The registry: versions and their states, runs, rollouts, the audit chain, and what they tell.

Importing this package brings nothing in: a function that asks for one of its modules does not start with all of them.
"""
