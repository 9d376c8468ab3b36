"""Lake Formation."""
