"""What several tests build their givens from."""
