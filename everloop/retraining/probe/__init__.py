"""The fresh probe of the deployed loop: for which window, on which rows, and what it says of retraining."""
