"""All of ECR in the local cloud."""
