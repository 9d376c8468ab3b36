"""REST APIs: version 1 of API Gateway."""
