"""All of s3 in the local cloud."""
