"""The AWS services, one folder each."""
