"""All of lambda_ in the local cloud."""
