"""Builds the assets: function code, layers, and the source of the training jobs. No Docker is needed."""
