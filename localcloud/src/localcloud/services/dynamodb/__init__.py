"""All of dynamodb in the local cloud."""
