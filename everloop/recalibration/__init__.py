"""Recalibration: how the scores that are served follow the outcomes, between trainings, on an untouched model."""
