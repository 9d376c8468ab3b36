"""What policies of retraining would have cost on a history."""
