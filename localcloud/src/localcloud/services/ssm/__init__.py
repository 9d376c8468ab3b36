"""All of ssm in the local cloud."""
