"""What every role of the templates may do, what of it was used, what breaks without it: ``python -m tools.roles``."""
