"""All of glue in the local cloud."""
