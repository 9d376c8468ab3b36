"""All of secretsmanager in the local cloud."""
