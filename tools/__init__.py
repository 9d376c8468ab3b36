"""What sets the repository up; run by make."""
