"""All of kms in the local cloud."""
