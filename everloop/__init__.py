"""Everloop: the decisions of a closed machine-learning loop, as plain functions over plain facts."""

__version__ = "0.1.0"
