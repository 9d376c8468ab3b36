"""The limit of the API that models share, and of a model's own one where none is declared: ours, not API Gateway's."""

USUAL_RATE, USUAL_BURST = 1_000, 2_000
"""Requests a second, and at once."""
