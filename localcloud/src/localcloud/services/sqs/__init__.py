"""All of sqs in the local cloud."""
