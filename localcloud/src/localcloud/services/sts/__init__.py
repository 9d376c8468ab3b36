"""All of STS in the local cloud."""
