"""Whether to train again, and how that is asked for."""
