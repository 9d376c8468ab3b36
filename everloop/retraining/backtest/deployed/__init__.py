"""The deployed loop on a history, without a cloud."""
