"""All of sagemaker in the local cloud."""
