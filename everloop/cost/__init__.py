"""What a model costs a month, by part, computed from the templates that would be deployed."""
