"""Distributions and tests with the standard library alone: the gate and the monitor run where scipy does not."""
