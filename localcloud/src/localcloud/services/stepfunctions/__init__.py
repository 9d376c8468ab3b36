"""All of stepfunctions in the local cloud."""
