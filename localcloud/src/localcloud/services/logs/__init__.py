"""All of logs in the local cloud."""
