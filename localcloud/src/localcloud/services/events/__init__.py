"""All of events in the local cloud."""
