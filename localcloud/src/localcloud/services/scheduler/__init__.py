"""All of scheduler in the local cloud."""
