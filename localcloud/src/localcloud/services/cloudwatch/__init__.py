"""All of cloudwatch in the local cloud."""
