"""All of sns in the local cloud."""
