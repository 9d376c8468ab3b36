"""HTTP APIs: version 2 of API Gateway."""
